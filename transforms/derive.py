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
from transforms.by_place import ByPlaceFn
from transforms.counters import count
from transforms.shard import Keyed, split

REVISED = "revised"


class _Deriving:
    """What is derived at one place."""

    def __init__(self, place: Place, deriver: Callable[[Place], Deriver], history: History) -> None:
        self._place, self._history = place, history
        self._deriver = deriver(place)

    def bundle(self, elements: list[Keyed]) -> list[Any]:
        """What earlier bundles touched is in the store now: it comes before this one's samples."""
        outputs = [*self._again(elements), *elements, *self._derived(elements)]
        # Ticks last: they are about all that came before them.
        return sorted(outputs, key=lambda output: isinstance(_element(output), Tick))

    def _again(self, elements: list[Keyed]) -> Iterator[Any]:
        ticks = [element for _, element in elements if isinstance(element, Tick)]
        again = self._deriver.tick(ticks, self._history)
        if again is not None:
            count("derived_again", again.revisions.num_rows)
            yield pvalue.TaggedOutput(REVISED, ("revisions", again.revisions))
            for shard, series in split(again.touched, self._place):
                yield shard, Touched(series)

    def _derived(self, elements: list[Keyed]) -> Iterator[Keyed]:
        for _, element in elements:
            if isinstance(element, Touched):
                self._deriver.touch(element.series)
        tables = [element for _, element in elements if isinstance(element, pa.Table)]
        derived = self._deriver.take(tables)
        count("derived", derived.samples.num_rows)
        count("underived", derived.numberless)
        yield from split(derived.samples, self._place)


def _element(output: Any) -> Any:
    return None if isinstance(output, pvalue.TaggedOutput) else output[1]


@dataclasses.dataclass
class DeriveMeters(beam.PTransform):
    """PCollection[(shard, SAMPLES | Touched | Tick)] -> the same, derived samples too; REVISED.

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
