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


@dataclasses.dataclass
class Telling:
    """Where the telling of usage stands. Units: ms."""

    watermark: LeastWatermark = dataclasses.field(default_factory=LeastWatermark)
    now: int = 0  # the last version told
    finals: dict[int, int] = dataclasses.field(default_factory=dict)  # what each shard was told


class _UsageFn(beam.DoFn):
    def __init__(
        self,
        shards: int,
        windows: Callable[[], UsageWindows],
        past: Callable[[], Past],
        telling: Callable[[], Telling],
    ) -> None:
        self._shards = shards
        self._make_windows, self._make_past, self._make_telling = windows, past, telling

    def setup(self) -> None:
        self._windows, self._past = self._make_windows(), self._make_past()
        self._telling = self._make_telling()

    def start_bundle(self) -> None:
        self._samples: list[pa.Table] = []
        self._touched: list[pa.Table] = []
        self._ticks: dict[int, Tick] = {}

    def process(self, keyed: Keyed) -> Iterator[Any]:
        shard, element = keyed
        if isinstance(element, Tick):
            self._ticks[int(shard)] = element
            self._telling.watermark.take(element)
        elif isinstance(element, Touched):
            self._touched.append(element.series)
        else:
            self._samples.append(element)
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        """What earlier bundles touched is in the store now, so it comes first; all of it on a tick."""
        finals: list[Told] = []
        if self._ticks:
            again = self._windows.touched()
            if again is not None:
                count("series_again", again.num_rows)
                work_out_again(self._windows, again, self._past)
            finals = list(self._windows.finals())
        if self._samples:
            self._windows.take(together(self._samples))
        for touched in self._touched:
            self._windows.touch(touched)
        if self._ticks:
            yield from map(GlobalWindows.windowed_value, self._told_now(finals))

    def _told_now(self, finals: list[Told]) -> Iterator[pa.Table | Final]:
        telling = self._telling
        now = telling.now = max(telling.now + 2, *(tick.now for tick in self._ticks.values()))
        told = list(self._windows.tick(now, telling.watermark.reached))
        # Of a window told twice the second counts: its version is a millisecond later.
        tables = [
            usage_table(self._windows, finals, now - 1),
            usage_table(self._windows, told, now),
        ]
        self._windows.forget()
        rows = sum(table.num_rows for table in tables)
        if rows:
            count("usage_rows", rows)
            yield together(tables)
        until = self._windows.final_until
        for shard in self._ticks:
            if until is not None and telling.finals.get(shard) != until:
                telling.finals[shard] = until
                yield Final(self._shards, shard, until, now)


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
    telling: Callable[[], Telling] = Telling

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return what ticks tell."""
        fn = _UsageFn(self.shards, self.windows, self.past, self.telling)
        return samples | "Window" >> beam.ParDo(fn)
