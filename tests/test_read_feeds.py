"""ReadFeeds: what a bundle holds, and what is acknowledged."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from metering.config import Job
from metering.elements import Beat, Payloads
from sources.hub import Hub
from sources.read_feeds import ReadFeeds
from tests.servers.rabbitmq import wait_until
from tests.test_hub import ListFeed


class EndingFeed(ListFeed):
    """Is at its end once its list is empty."""

    def finished(self) -> bool:
        return not self.bodies


FEED = EndingFeed("a", [b"1", b"2", b"3"])
HUB = Hub([FEED], 1000)
ELEMENTS: list[list[Any]] = []  # by bundle


class KeepFn(beam.DoFn):
    def start_bundle(self) -> None:
        ELEMENTS.append([])

    def process(self, element: Any) -> Iterator[None]:
        ELEMENTS[-1].append(element)
        return iter(())


def hub(_reader: int) -> Hub:
    return HUB


def acknowledge(_reader: int, taken: list[Payloads]) -> None:
    HUB.ack(taken)


def test_a_beat_is_alone_in_the_first_bundle_and_in_the_last_though_payloads_wait() -> None:
    HUB.end_with_feeds({"a"})
    HUB.open()
    wait_until(lambda: not FEED.bodies, "payloads to wait")
    options = PipelineOptions(["--streaming"])
    job = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options)
    job | ReadFeeds([0], hub, acknowledge, Job(element_payloads=2)) | beam.ParDo(KeepFn())
    job.run().wait_until_finish()
    HUB.close()
    first, *between, last = [bundle for bundle in ELEMENTS if bundle]
    assert [type(one) for one in (*first, *last)] == [Beat, Beat]
    taken = [[one for one in bundle if not isinstance(one, Beat)] for bundle in between]
    bodies = [[part.bodies for parts in bundle for part in parts] for bundle in taken if bundle]
    assert bodies == [[[b"1"], [b"2"]], [[b"3"]]]
    assert FEED.acked == [2, 1, 0]
