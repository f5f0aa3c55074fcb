"""A private Prometheus and Pushgateway for tests, on loopback. Source: Debian's, unpacked by scripts/flink."""

import contextlib
import dataclasses
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from jobs.cluster import job_server
from tests.servers.rabbitmq import free_port, wait_until

_SECONDS: Final = 60.0  # for a server to answer
_PROGRAMS: Final = ("prometheus", "prometheus-pushgateway")


@dataclasses.dataclass
class Prometheus:
    """Both, running: what is pushed to `gateway` can be asked for."""

    gateway: str  # URL
    url: str

    def ask(self, query: str) -> dict[str, float]:
        """Return the values of an instant query, by the names of its series."""
        words = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{words}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return {each["metric"]["__name__"]: float(each["value"][1]) for each in found}

    def answers(self) -> bool:
        """Return whether both say that they are ready."""
        try:
            for server in (self.gateway, self.url):
                urllib.request.urlopen(f"{server}/-/ready", timeout=10).close()
        except (OSError, urllib.error.URLError):
            return False
        return True


@contextlib.contextmanager
def prometheus_in(folder: Path, scraping: dict[str, Any]) -> Iterator[Prometheus]:
    """Give both; `scraping` is the gateway's entry in scrape_configs, but for its address. Skips without."""
    programs = job_server().parent / "prometheus"
    if not all((programs / name).exists() for name in _PROGRAMS):
        pytest.skip("Prometheus is not installed; `scripts/flink reporter` installs it")
    folder.mkdir()
    gateway, own = (f"127.0.0.1:{free_port()}" for _ in _PROGRAMS)
    scraped = scraping | {"static_configs": [{"targets": [gateway]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scraped]}))
    commands = (
        ["prometheus", f"--web.listen-address={own}", "--config.file=prometheus.yml"],
        ["prometheus-pushgateway", f"--web.listen-address={gateway}"],
    )
    with contextlib.ExitStack() as running:
        for name, *words in commands:
            running.enter_context(_started([str(programs / name), *words], folder))
        both = Prometheus(f"http://{gateway}", f"http://{own}")
        wait_until(both.answers, "Prometheus to answer", _SECONDS)
        yield both


@contextlib.contextmanager
def _started(command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
