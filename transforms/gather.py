"""GatherReaders: what the readers decoded comes to one place, with one time for all of them."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from metering.elements import CommonTick, Tick
from transforms.decode import EVENTS, INVALID, SAMPLES, Placed


class _GatherFn(beam.DoFn):
    def __init__(self, common: Callable[[], CommonTick]) -> None:
        self._make_common = common

    def setup(self) -> None:
        self._common = self._make_common()

    def process(self, placed: Placed) -> Iterator[Any]:
        element = placed[1]
        if isinstance(element, Tick):
            if (tick := self._common.take(element)) is not None:
                yield tick
                yield pvalue.TaggedOutput(EVENTS, tick)
        else:
            name, table = element
            yield table if name == SAMPLES else pvalue.TaggedOutput(name, table)


class _GatherHereFn(_GatherFn):
    """Declares state and has none: to a step with state a runner sends what has one key, and all of it."""

    _STATE = ReadModifyWriteStateSpec("none", BytesCoder())

    def process(self, placed: Placed, _: Any = beam.DoFn.StateParam(_STATE)) -> Iterator[Any]:
        return super().process(placed)


@dataclasses.dataclass
class GatherReaders(beam.PTransform):
    """PCollection[(PLACE, (name, table) | Tick)] -> samples and events (tables and Ticks), invalid.

    Where readers are `apart` it is where a runner of several slots cuts: they and their decoding are
    before it, in slots of their own, and all behind it is in one. A reader's tick stays behind its data.
    State: what each reader's last tick said; ticks that leave are of all readers together.
    """

    apart: bool
    common: Callable[[], CommonTick] = CommonTick

    def expand(self, placed: beam.PCollection) -> Any:
        """Return the outputs `samples`, EVENTS and INVALID."""
        fn = (_GatherHereFn if self.apart else _GatherFn)(self.common)
        return placed | "Gather" >> beam.ParDo(fn).with_outputs(EVENTS, INVALID, main=SAMPLES)
