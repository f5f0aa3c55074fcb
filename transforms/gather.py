"""GatherReaders: what the readers decoded comes to its place, with one time for all of them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from metering.elements import CommonTick, Contested, Tick
from metering.places import Place, Places
from transforms.decode import EVENTS, FIRST, INVALID, SAMPLES, Placed


class _GatherFn(beam.DoFn):
    def __init__(self, places: Places, common: Callable[[Place], CommonTick]) -> None:
        self._places, self._make_common = places, common

    def setup(self) -> None:
        self._commons: dict[bytes, CommonTick] = {}

    def process(self, placed: Placed) -> Iterator[Any]:
        key, element = placed
        if isinstance(element, Tick):
            if (tick := self._common(key).take(element)) is not None:
                yield key, tick
                if key == FIRST:
                    yield pvalue.TaggedOutput(EVENTS, tick)
        elif isinstance(element, Contested):
            yield key, element
        else:
            name, table = element
            yield (key, table) if name == SAMPLES else pvalue.TaggedOutput(name, table)

    def _common(self, key: bytes) -> CommonTick:
        if key not in self._commons:
            self._commons[key] = self._make_common(self._places.of_key(key))
        return self._commons[key]


class _GatherHereFn(_GatherFn):
    """Declares state and has none: to a step with state a runner sends what has one key, and all of it."""

    _STATE = ReadModifyWriteStateSpec("none", BytesCoder())

    def process(self, placed: Placed, _: Any = beam.DoFn.StateParam(_STATE)) -> Iterator[Any]:
        return super().process(placed)


@dataclasses.dataclass
class GatherReaders(beam.PTransform):
    """(place, (name, table) | Contested | Tick) -> (place, SAMPLES | Contested | Tick); events and Ticks; invalid.

    Where readers are `apart` it is where a runner of several slots cuts: they and their decoding are
    before it, in slots of their own, and each place behind it is in one. A reader's tick stays behind its
    data.
    State: of a place, what each reader's last tick said; ticks that leave are of all readers together.
    """

    apart: bool
    places: Places
    common: Callable[[Place], CommonTick]

    def expand(self, placed: beam.PCollection) -> Any:
        """Return the outputs `samples`, EVENTS and INVALID."""
        fn = (_GatherHereFn if self.apart else _GatherFn)(self.places, self.common)
        return placed | "Gather" >> beam.ParDo(fn).with_outputs(EVENTS, INVALID, main=SAMPLES)
