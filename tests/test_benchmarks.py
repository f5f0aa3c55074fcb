"""The benchmarks run, at sizes that measure nothing, and keep their figures in the agreed form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.figures import Figure, keep, percentile, plateau
from tests.servers.pubsub import MISSING, PROGRAM
from tests.servers.rabbitmq import find_rabbitmq

ROOT = Path(__file__).parent.parent
PROMISED = {
    *("samples_per_s", "pubsub_samples_per_s", "notifications_per_s", "bytes_per_sample", "rss_mb"),
    *("memory_growth_percent", "peak_rss_mb", "series_hour_p50_ms", "series_hour_p99_ms"),
    *("average_1000_by_project_p50_ms", "average_1000_by_project_p99_ms"),
    *("month_by_project_p50_ms", "month_by_project_p99_ms"),
    "poll_10000_servers_s",
    *("breach_to_webhook_p50_ms", "breach_to_webhook_p99_ms", "alarms_throughput_ratio"),
    *("flink_samples_per_s_p1", "flink_samples_per_s_p2", "flink_samples_per_s_p4"),
    *("flink_checkpoint_p50_ms", "flink_breach_to_webhook_p50_ms"),
    *("usage_samples_per_s", "state_bytes_per_series", "million_series_rss_mb"),
}


def test_there_is_a_benchmark_for_every_figure_that_is_promised():
    assert set(NAMES) >= PROMISED


@pytest.mark.server
def test_benchmarks_write_their_figures(tmp_path: Path):
    if find_rabbitmq() is None:
        pytest.skip("RabbitMQ is not installed; `make services` installs it")
    if not PROGRAM.exists():
        pytest.skip(MISSING)
    named = [
        "samples_per_s",
        "pubsub_samples_per_s",
        "poll_10000_servers_s",
        "average_1000_by_project_p50_ms",
        "bytes_per_sample",
        "usage_samples_per_s",
        "breach_to_webhook_p50_ms",
    ]
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--results", str(results), *named]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(results.read_text())
    assert set(found) >= set(named)
    for name, figure in found.items():
        assert set(figure) == {"value", "unit", "conditions"}
        assert figure["value"] > 0
        assert f"{name}: " in done.stdout


def test_results_of_other_benchmarks_are_kept(tmp_path: Path):
    path = tmp_path / "results.json"
    keep(Figure("first", 1.5, "ms", "one"), path)
    keep(Figure("second", 2, "bytes", "two"), path)
    keep(Figure("first", 3.5, "ms", "again"), path)
    assert json.loads(path.read_text()) == {
        "first": {"value": 3.5, "unit": "ms", "conditions": "again"},
        "second": {"value": 2, "unit": "bytes", "conditions": "two"},
    }


def test_a_plateau_leaves_out_the_first_and_last_tenth():
    slow_ends = [(0.0, 0), (10.0, 10), (18.0, 90), (28.0, 100)]
    assert plateau(slow_ends) == (10.0, 5.0)


def test_percentiles_lie_within_the_values():
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([float(i) for i in range(101)], 99) == 99.0
