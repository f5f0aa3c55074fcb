"""What decision 12 rests on: what Ceilometer's prometheus and opentelemetryhttp publishers leave out."""

import json
import subprocess
from typing import Any

import pytest

from tests.servers.ceilometer import FOLDER, INSTALL
from tests.servers.receiver import receiving

# A sample of each type, of one second, by the real publishers, in the agent's own environment.
PUBLISH = """
import sys
from oslo_config import cfg
from oslo_utils import netutils
from ceilometer import sample, service
from ceilometer.publisher import opentelemetry_http, prometheus

conf = service.prepare_service(["x"], config_files=[])
samples = [
    sample.Sample(
        name=f"a.{kind}-x", type=kind, unit="B", volume=1, user_id=None, project_id="p",
        resource_id="r", timestamp="2026-11-23T10:00:00.250000+00:00",
        resource_metadata={"name": "n"}, id="i",
    )
    for kind in ("gauge", "delta", "cumulative")
]
port = sys.argv[1]
for kind, scheme, path in (
    (prometheus.PrometheusPublisher, "prometheus", "/metrics/job/ceilometer"),
    (opentelemetry_http.OpentelemetryHttpPublisher, "opentelemetryhttp", "/v1/metrics"),
):
    url = netutils.urlsplit(f"{scheme}://127.0.0.1:{port}{path}")
    kind(conf, url).publish_samples(samples)
"""


@pytest.fixture(scope="module")
def posts() -> list[tuple[str, str]]:
    """Path and body of each post, in order."""
    if not (FOLDER / "ready").exists():
        pytest.skip(INSTALL)
    with receiving() as receiver:
        done = subprocess.run(
            [FOLDER / "bin/python", "-c", PUBLISH, str(receiver.port)],
            env={"TZ": "UTC-2", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [(call.path, call.body.decode()) for call in receiver.calls]


def test_prometheus_has_neither_time_nor_unit_nor_the_type_of_a_delta(
    posts: list[tuple[str, str]],
) -> None:
    labels = '{resource_id="r", user_id="None", project_id="p"} 1'
    assert posts[0] == (
        "/metrics/job/ceilometer/resource_id/r",
        f"# TYPE a_gauge_x gauge\na_gauge_x{labels}\na_delta_x{labels}\n"
        f"# TYPE a_cumulative_x counter\na_cumulative_x{labels}\n",
    )


def test_opentelemetry_has_a_delta_as_a_gauge_and_seconds_of_local_time_for_nanoseconds(
    posts: list[tuple[str, str]],
) -> None:
    assert [path for path, _ in posts[1:]] == ["/v1/metrics"] * 3
    metrics = [metric(body) for _, body in posts[1:]]
    assert [next(iter(m.keys() & {"gauge", "counter"})) for m in metrics] == [
        *("gauge", "gauge", "counter")
    ]
    assert metrics[0]["name"] == "a_gauge-x"
    (point,) = metrics[0]["gauge"]["data_points"]
    # 10:00:00.25 UTC, on a machine two hours east of it.
    assert point["time_unix_nano"] == 1_795_428_000 - 2 * 3600
    names = [attribute["key"] for attribute in point["attributes"]]
    assert names == ["resource_id", "user_id", "project_id"]


def metric(body: str) -> dict[str, Any]:
    """Return the one metric of a post."""
    (resource,) = json.loads(body)["resource_metrics"]
    (scope,) = resource["scope_metrics"]
    (found,) = scope["metrics"]
    return found  # type: ignore[no-any-return]
