"""DeriveMeters: rates, percentages and what else definitions derive, behind the samples they are of."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from metering.derived.deriver import Deriver, History
from metering.elements import Tick, Touched
from metering.places import Place, Places
from transforms.by_place import ByPlaceFn, Element
from transforms.counters import count

REVISED = "revised"


class _Deriving:
    """What is derived at one place."""

    def __init__(self, place: Place, deriver: Callable[[Place], Deriver], history: History) -> None:
        self._place, self._history = place, history
        self._deriver = deriver(place)

    def bundle(self, elements: list[Element]) -> Iterator[Any]:
        """What earlier bundles touched is in the store now: it comes before this one's samples."""
        ticks = [one for one in elements if isinstance(one, Tick)]
        others = [one for one in elements if not isinstance(one, Tick)]
        yield from self._again(ticks)
        # Ticks last: they are about all that came before them.
        for one in (*others, *self._derived(others), *ticks):
            yield self._place.key, one

    def _again(self, ticks: list[Tick]) -> Iterator[Any]:
        again = self._deriver.tick(ticks, self._history)
        if again is not None:
            count("derived_again", again.revisions.num_rows)
            yield pvalue.TaggedOutput(REVISED, ("revisions", again.revisions))
            if again.touched.num_rows:
                yield self._place.key, Touched(again.touched)

    def _derived(self, elements: list[Element]) -> Iterator[pa.Table]:
        for one in elements:
            if isinstance(one, Touched):
                self._deriver.touch(one.series)
        tables = [one for one in elements if isinstance(one, pa.Table)]
        derived = self._deriver.take(tables)
        count("derived", derived.samples.num_rows)
        count("underived", derived.numberless)
        if derived.samples.num_rows:
            yield derived.samples


@dataclasses.dataclass
class DeriveMeters(beam.PTransform):
    """PCollection[(place, SAMPLES | Touched | Tick)] -> the same, derived samples too; REVISED.

    State:     of a place: metering.derived.deriver; `deriver` makes it knowing what the store knows,
        `history` reads the stored samples of the few series whose past changed.
    Guarantee: what is derived of a bundle's samples goes the same way as they: written in one insert, so
        neither is there without the other. What is derived again is REVISED, and its series Touched.
    """

    places: Places
    deriver: Callable[[Place], Deriver]
    history: History

    def expand(self, samples: beam.PCollection) -> Any:
        """Return the outputs `samples` and REVISED: ("revisions", rows that replace others)."""
        make = functools.partial(_Deriving, deriver=self.deriver, history=self.history)
        fn = ByPlaceFn(self.places, make)
        return samples | "Derive" >> beam.ParDo(fn).with_outputs(REVISED, main="samples")
