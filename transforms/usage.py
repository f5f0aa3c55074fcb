"""WindowUsage: what the samples of each series amount to in each hour and day."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import apache_beam as beam
import pyarrow as pa

from metering.batches import together
from metering.elements import Final, LeastWatermark, Tick, Touched
from metering.places import Place, Places
from metering.usage.again import Past, work_out_again
from metering.usage.table import usage_table
from metering.usage.windows import Told, UsageWindows
from transforms.by_place import ByPlaceFn, Element
from transforms.counters import count


@dataclasses.dataclass
class Telling:
    """Where the telling of usage stands. Units: ms."""

    watermark: LeastWatermark = dataclasses.field(default_factory=LeastWatermark)
    now: int = 0  # the last version told
    until: int | None = None  # up to when windows were told to be final


class _Windowing:
    """The usage of one place's series."""

    def __init__(
        self,
        place: Place,
        windows: Callable[[Place], UsageWindows],
        past: Callable[[], Past],
        telling: Callable[[Place], Telling],
    ) -> None:
        self._place = place
        self._windows, self._past = windows(place), past()
        self._telling = telling(place)

    def bundle(self, elements: list[Element]) -> Iterator[pa.Table | Final]:
        """What earlier bundles touched is in the store now, so it comes first; all of it on a tick."""
        ticks = [one for one in elements if isinstance(one, Tick)]
        for tick in ticks:
            self._telling.watermark.take(tick)
        finals: list[Told] = []
        if ticks:
            again = self._windows.touched()
            if again is not None:
                count("series_again", again.num_rows)
                work_out_again(self._windows, again, self._past)
            finals = list(self._windows.finals())
        self._take(elements)
        if ticks:
            yield from self._told_now(ticks, finals)

    def _take(self, elements: list[Element]) -> None:
        samples = [one for one in elements if isinstance(one, pa.Table)]
        if samples:
            self._windows.take(together(samples))
        for one in elements:
            if isinstance(one, Touched):
                self._windows.touch(one.series)

    def _told_now(self, ticks: list[Tick], finals: list[Told]) -> Iterator[pa.Table | Final]:
        telling = self._telling
        now = telling.now = max(telling.now + 2, *(tick.now for tick in ticks))
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
        if until is not None and telling.until != until:
            telling.until = until
            yield Final(self._place.mine, self._place.shards, until, now)


@dataclasses.dataclass
class WindowUsage(beam.PTransform):
    """PCollection[(place, SAMPLES | Touched | Tick)] -> PCollection[USAGE | Final].

    State:  of a place: metering.usage.windows; `windows` makes it knowing what the store knows, `past`
        reads stored samples and rows of the few series that are worked out again.
    Lateness: none here: late samples went another way (NormalizeSamples).
    Guarantee: a Final comes after the rows it makes final.
    """

    places: Places
    windows: Callable[[Place], UsageWindows]
    past: Callable[[], Past]
    telling: Callable[[Place], Telling]

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return what ticks tell."""
        make = functools.partial(
            _Windowing, windows=self.windows, past=self.past, telling=self.telling
        )
        fn = ByPlaceFn(self.places, make)
        return samples | "Window" >> beam.ParDo(fn)
