"""DeriveMeters: rates, percentages and what else definitions derive, behind the samples they are of."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from metering.derived.deriver import Deriver, History
from metering.elements import Tick, Touched
from transforms.counters import count
from transforms.shard import Keyed, split
from transforms.windowed import windowed

REVISED = "revised"


class _DeriveFn(beam.DoFn):
    def __init__(self, shards: int, deriver: Callable[[], Deriver], history: History) -> None:
        self._shards = shards
        self._make_deriver = deriver
        self._history = history

    def setup(self) -> None:
        self._deriver = self._make_deriver()

    def start_bundle(self) -> None:
        self._elements: list[Keyed] = []

    def process(self, keyed: Keyed) -> Iterator[Any]:
        self._elements.append(keyed)
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        """What earlier bundles touched is in the store now: it comes before this one's samples."""
        outputs = [*self._again(), *self._elements, *self._derived()]
        # Ticks last: they are about all that came before them.
        outputs.sort(key=lambda output: isinstance(_element(output), Tick))
        yield from map(windowed, outputs)

    def _again(self) -> Iterator[Any]:
        ticks = [element for _, element in self._elements if isinstance(element, Tick)]
        again = self._deriver.tick(ticks, self._history)
        if again is not None:
            count("derived_again", again.revisions.num_rows)
            yield pvalue.TaggedOutput(REVISED, ("revisions", again.revisions))
            for shard, series in split(again.touched, self._shards):
                yield shard, Touched(series)

    def _derived(self) -> Iterator[Keyed]:
        for _, element in self._elements:
            if isinstance(element, Touched):
                self._deriver.touch(element.series)
        tables = [element for _, element in self._elements if isinstance(element, pa.Table)]
        derived = self._deriver.take(tables)
        count("derived", derived.samples.num_rows)
        count("underived", derived.numberless)
        yield from split(derived.samples, self._shards)


def _element(output: Any) -> Any:
    return None if isinstance(output, pvalue.TaggedOutput) else output[1]


@dataclasses.dataclass
class DeriveMeters(beam.PTransform):
    """PCollection[(shard, SAMPLES | Touched | Tick)] -> the same, derived samples too; REVISED.

    State:     of a process: metering.derived.deriver; `deriver` makes it knowing what the store knows,
        `history` reads the stored samples of the few series whose past changed.
    Guarantee: what is derived of a bundle's samples goes the same way as they: written in one insert, so
        neither is there without the other. What is derived again is REVISED, and its series Touched.
    """

    shards: int
    deriver: Callable[[], Deriver]
    history: History

    def expand(self, samples: beam.PCollection) -> Any:
        """Return the outputs `samples` and REVISED: ("revisions", rows that replace others)."""
        fn = _DeriveFn(self.shards, self.deriver, self.history)
        return samples | "Derive" >> beam.ParDo(fn).with_outputs(REVISED, main="samples")
