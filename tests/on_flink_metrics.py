"""What Prometheus reads of a job on a real Flink, by Flink's own reporter. `make test-flink` runs it."""

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.flink_happenings import SEED, traffic_past_an_hour
from tests.flink_job import JOB, Job, ended, eventually
from tests.servers.engine import engine_in
from tests.servers.flink import find_reporter, flink_in
from tests.servers.prometheus import Prometheus, prometheus_in
from tests.soak.service import service_in
from tests.soak.sources import FileSource

pytestmark = pytest.mark.server

PAGE = Path(__file__).parent.parent / "docs" / "flink.md"
HOST = "metrics.reporter.push.hostUrl"
OURS = 'sum by (__name__) ({__name__=~"streamgauge_.*"})'


def settings_on_the_page() -> Iterator[Any]:
    """Return what each YAML block of docs/flink.md says."""
    for block in PAGE.read_text().split("```yaml\n")[1:]:
        yield yaml.safe_load(block.split("```")[0])


@pytest.fixture
def scraping() -> dict[str, Any]:
    *_, prometheus = settings_on_the_page()
    entry: dict[str, Any] = prometheus["scrape_configs"][0]
    return entry | {"scrape_interval": "1s"}


@pytest.fixture
def prometheus(tmp_path: Path, scraping: dict[str, Any]) -> Iterator[Prometheus]:
    with prometheus_in(tmp_path / "prometheus", scraping) as prometheus:
        yield prometheus


@pytest.fixture
def job(tmp_path: Path, prometheus: Prometheus) -> Iterator[Job]:
    reporter = find_reporter()
    if reporter is None:
        pytest.skip("Flink's reporter is not installed; `scripts/flink reporter` installs it")
    settings = next(settings_on_the_page()) | {HOST: prometheus.gateway}
    source = FileSource(tmp_path / "recorded.jsonl")
    with (
        flink_in(tmp_path / "flink", more=settings, jars=[reporter]) as cluster,
        engine_in(tmp_path / "engine") as engine,
        ended(Job(tmp_path, cluster, engine, source)) as job,
    ):
        yield job


def test_prometheus_has_the_counters_by_the_names_of_one_process(
    job: Job, prometheus: Prometheus, tmp_path: Path
) -> None:
    job.publish(traffic_past_an_hour(SEED, 1_000, int(time.time() * 1000)))
    job.start("submit")
    eventually(lambda: prometheus.ask(OURS), lambda: counted(job.command("job", "metrics", job.id)))
    found = prometheus.ask(OURS)
    assert found["streamgauge_payloads_total"] == len(job.published)
    with service_in(tmp_path / "service", job.source) as service:
        service.start(**JOB)
        with urllib.request.urlopen(f"http://127.0.0.1:{service.api}/metrics", timeout=10) as page:
            assert found.keys() <= samples(page.read().decode()).keys()


def samples(text: str) -> dict[str, float]:
    """Return what Prometheus' text format says, by name."""
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def counted(text: str) -> dict[str, float]:
    """Return what was counted at all: Flink does not know of a counter before."""
    return {name: value for name, value in samples(text).items() if value}
