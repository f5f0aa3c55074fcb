"""ReadFeeds: payloads and ticks, out of the feeds and into the job.

Guarantee: a payload is given to `acknowledge` by the finalizer of its bundle, after every sink fused
    with this source has had its rows. At least once. It is told of polls that brought nothing, too:
    what was taken before may wait for a later checkpoint.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from metering.config import Job
from metering.elements import Beat, FeedClock, Payloads
from sources.hub import Hub

Acknowledge = Callable[[int, list[Payloads]], None]

_END = 1 << 60


class _EndlessTracker(OffsetRestrictionTracker):
    """Counts elements; splits nowhere but at a checkpoint."""

    def is_bounded(self) -> bool:
        return False

    def try_split(self, fraction_of_remainder: float) -> Any:
        return None if fraction_of_remainder else super().try_split(fraction_of_remainder)


class _Endless(RestrictionProvider):
    def initial_restriction(self, element: str) -> OffsetRange:
        return OffsetRange(0, _END)

    def create_tracker(self, restriction: OffsetRange) -> _EndlessTracker:
        return _EndlessTracker(restriction)

    def restriction_size(self, element: str, restriction: OffsetRange) -> float:
        return 1.0


_ENDLESS = _Endless()


class _ReadFn(beam.DoFn):
    """One element a call: the bundle ends with it, and is acknowledged."""

    def __init__(
        self, readers: int, hub: Callable[[int], Hub], acknowledge: Acknowledge, job: Job
    ) -> None:
        self._readers = readers
        self._hub = hub
        self._acknowledge = acknowledge
        self._job = job
        self._ticked: dict[int, float] = {}  # s; monotonic, by reader
        self._ending: set[int] = set()

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        reader: int,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,  # before the tracker, or Beam passes it twice
        tracker: Any = beam.DoFn.RestrictionParam(_ENDLESS),
    ) -> Iterator[list[Payloads] | Beat]:
        hub = self._hub(reader)
        position = tracker.current_restriction().start
        if reader in self._ending:
            tracker.try_claim(_END)  # the rest of the restriction: the job ends
            return
        tracker.try_claim(position)
        ending = hub.stopping or hub.drained
        if ending:
            self._ending.add(reader)
        # Alone in the first bundle is a beat: what the last process left undone is written before
        # anything newer. Alone in the last one too: for what the last payloads led to.
        job = self._job
        ticked = self._ticked.get(reader)
        if ticked is not None and not ending:
            taken = hub.take(job.element_payloads, job.element_bytes, job.tick, job.linger)
            finalizer.register(lambda: self._acknowledge(reader, taken))
            if taken:
                yield taken
        if ending or ticked is None or time.monotonic() - ticked >= job.tick / 2:
            self._ticked[reader] = time.monotonic()
            yield _beat(hub, reader, self._readers)
        tracker.defer_remainder()


def _beat(hub: Hub, reader: int, readers: int) -> Beat:
    clocks = [
        FeedClock(name, feed.settings.disorder, hub.idle(name)) for name, feed in hub.feeds.items()
    ]
    return Beat(int(time.time() * 1000), clocks, reader, readers)


@dataclasses.dataclass
class ReadFeeds(beam.PTransform):
    """PBegin -> PCollection[list[Payloads] | Beat], endless until the hubs stop or are drained.

    An element each of `readers`, which a runner may spread. `hub` returns the opened feeds of a
    reader that this process is; `acknowledge` has them acknowledge payloads once they are stored.
    Both must be importable.
    """

    readers: Sequence[int]
    hub: Callable[[int], Hub]
    acknowledge: Acknowledge
    job: Job

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Return one element a poll."""
        fn = _ReadFn(len(self.readers), self.hub, self.acknowledge, self.job)
        return (
            begin
            | "Readers" >> beam.Create(list(self.readers), reshuffle=False)
            | "Poll" >> beam.ParDo(fn)
        )
