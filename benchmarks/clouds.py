"""poll_10000_servers_s: one poll round over the servers of a stub of Compute, from call to row.

The stub is a process of its own on the same cores; it answers at once, so what is measured is our part:
the calls, reading them, and storing what they say.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from benchmarks.figures import Figure, machine
from benchmarks.scale import Scale
from benchmarks.service import serving
from metering.pollsters.compute import DIAGNOSTICS, SERVERS
from tests.servers.rabbitmq import free_port, wait_until

_PATIENCE = 280.0  # s


def poll_servers(scale: Scale) -> Iterator[Figure]:
    """Measure one round of every meter of every server."""
    meters = DIAGNOSTICS.meters | SERVERS.meters
    total = scale.servers * len(meters)
    polled = f"samples WHERE meter IN {tuple(sorted(meters))}"  # without what is derived of them
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name, _stub(scale) as url:
        folder = Path(name)
        before = machine()
        with serving(folder / "service", [_feed(folder, url, meters)]) as service:
            used = service.cpu()
            stored = [at for at, rows in service.counts(polled, total, _PATIENCE) if rows][-1]
            told = _asked(url)
            used = service.cpu() - used
            _check(service.count(polled), total)
    yield Figure(
        "poll_10000_servers_s",
        round(told["last"] - told["first"], 1),
        "s",
        f"one round over {scale.servers:,} stubbed servers: {told['calls']:,} calls, at most"
        f" {told['at_once']} at once, {total:,} samples of {len(meters)} meters; all of them could be"
        f" queried {stored - told['first']:.1f} s after the first call; {used:.0f} s of processor;"
        f" the stub on the same cores; {before}",
    )


def _check(rows: int, total: int) -> None:
    if rows != total:
        raise RuntimeError(f"{rows:,} samples are stored of {total:,}")


def _feed(folder: Path, url: str, meters: frozenset[str]) -> dict[str, Any]:
    login = {"auth_url": f"{url}/identity/v3", "username": "admin", "password": "only-in-tests"}
    login |= {"project_name": "admin", "user_domain_id": "default", "project_domain_id": "default"}
    clouds = {"clouds": {"stub": {"auth": login, "region_name": "one"}}}
    (folder / "clouds.yaml").write_text(yaml.safe_dump(clouds))
    source = {"name": "servers", "interval": 86_400, "meters": sorted(meters)}
    (folder / "polling.yaml").write_text(json.dumps({"sources": [source]}))
    return {
        "type": "openstack",
        "clouds": ["stub"],
        "clouds_file": str(folder / "clouds.yaml"),
        "polling": str(folder / "polling.yaml"),
        "jitter": 0,
    }


@contextlib.contextmanager
def _stub(scale: Scale) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.cloud", str(port), str(scale.servers)]
    process = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is None and _answers(url), "the stub to answer", 60)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{url}/stub", timeout=10).ok
    return False


def _asked(url: str) -> dict[str, Any]:
    told: dict[str, Any] = requests.get(f"{url}/stub", timeout=30).json()
    return told
