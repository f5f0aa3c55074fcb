"""WindowUsage: what the samples of each series amount to in each hour and day."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from metering.batches import together
from metering.elements import Final, LeastWatermark, Tick, Touched
from metering.usage.again import Past, work_out_again
from metering.usage.table import usage_table
from metering.usage.windows import Told, UsageWindows
from transforms.counters import count
from transforms.shard import Keyed


class _UsageFn(beam.DoFn):
    def __init__(
        self, shards: int, windows: Callable[[], UsageWindows], past: Callable[[], Past]
    ) -> None:
        self._shards = shards
        self._make_windows, self._make_past = windows, past

    def setup(self) -> None:
        self._windows, self._past = self._make_windows(), self._make_past()
        self._watermark = LeastWatermark()
        self._now = 0  # ms; the last version told
        self._told: dict[int, int] = {}  # up to when each shard was told to be final

    def start_bundle(self) -> None:
        self._samples: list[pa.Table] = []
        self._touched: list[pa.Table] = []
        self._ticks: dict[int, Tick] = {}

    def process(self, keyed: Keyed) -> Iterator[Any]:
        shard, element = keyed
        if isinstance(element, Tick):
            self._ticks[int(shard)] = element
            self._watermark.take(element)
        elif isinstance(element, Touched):
            self._touched.append(element.series)
        else:
            self._samples.append(element)
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        """What earlier bundles touched is in the store now, so it comes first."""
        again = self._windows.touched()
        if again is not None:
            count("series_again", again.num_rows)
            work_out_again(self._windows, again, self._past)
        finals = list(self._windows.finals()) if self._ticks else []
        if self._samples:
            self._windows.take(together(self._samples))
        for touched in self._touched:
            self._windows.touch(touched)
        if self._ticks:
            yield from map(GlobalWindows.windowed_value, self._told_now(finals))

    def _told_now(self, finals: list[Told]) -> Iterator[pa.Table | Final]:
        self._now = max(self._now + 2, *(tick.now for tick in self._ticks.values()))
        told = list(self._windows.tick(self._now, self._watermark.reached))
        # Of a window told twice the second counts: its version is a millisecond later.
        tables = [
            usage_table(self._windows, finals, self._now - 1),
            usage_table(self._windows, told, self._now),
        ]
        self._windows.forget()
        rows = sum(table.num_rows for table in tables)
        if rows:
            count("usage_rows", rows)
            yield together(tables)
        until = self._windows.final_until
        for shard in self._ticks:
            if until is not None and self._told.get(shard) != until:
                self._told[shard] = until
                yield Final(self._shards, shard, until, self._now)


@dataclasses.dataclass
class WindowUsage(beam.PTransform):
    """PCollection[(shard, SAMPLES | Touched | Tick)] -> PCollection[USAGE | Final].

    State:  of a process: metering.usage.windows; `windows` makes it knowing what the store knows, `past`
        reads stored samples and rows of the few series that are worked out again.
    Lateness: none here: late samples went another way (NormalizeSamples).
    Guarantee: a Final comes after the rows it makes final.
    """

    shards: int
    windows: Callable[[], UsageWindows]
    past: Callable[[], Past]

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return what ticks tell."""
        fn = _UsageFn(self.shards, self.windows, self.past)
        return samples | "Window" >> beam.ParDo(fn)
