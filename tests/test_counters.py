"""What is counted reaches Beam's metrics, and so Flink's, whoever counts it."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from sinks.notify import NotifyActions
from transforms.counters import NAMESPACE, count, counted, hand_over

THREADS, EACH = 4, 2_000
COUNTED = "deliveries_delivered"


class _CountFn(beam.DoFn):
    def process(self, element: Any) -> Iterator[Any]:
        count("alarm_transitions")
        yield []


def outlet() -> SimpleNamespace:
    return SimpleNamespace()


def offer(_deliveries: Any) -> None:
    raise AssertionError("nothing is to be delivered")


def in_beam(elements: int) -> dict[str, int]:
    """Return what Beam has counted over a run of the steps, by name."""
    job = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    transitions = job | beam.Create(range(elements)) | beam.ParDo(_CountFn())
    transitions | NotifyActions(outlet, offer)
    done = job.run()
    done.wait_until_finish()
    found = done.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    return {one.key.metric.name: one.result for one in found if one.result}


@pytest.fixture(autouse=True)
def nothing_waits() -> None:
    in_beam(1)  # what other tests counted beside their streams


def test_what_is_counted_outside_of_bundles_is_in_the_next_ones_once() -> None:
    before = counted(COUNTED)
    count(COUNTED, 3)
    hand_over()  # there is no bundle here: it is kept
    assert in_beam(2) == {COUNTED: 3, "alarm_transitions": 2}
    assert in_beam(1) == {"alarm_transitions": 1}
    assert counted(COUNTED) - before == 3


def test_threads_that_count_while_bundles_run_lose_nothing() -> None:
    def deliver() -> None:
        for _ in range(EACH):
            count(COUNTED)

    threads = [threading.Thread(target=deliver) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    found = 0
    while any(thread.is_alive() for thread in threads):
        found += in_beam(1).get(COUNTED, 0)
    for thread in threads:
        thread.join()
    assert found + in_beam(1).get(COUNTED, 0) == THREADS * EACH
