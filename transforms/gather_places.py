"""GatherPlaces: what every place has written comes to one slot, for the alarms, with one time for all."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from metering.batches import together
from metering.elements import CommonTick, Tick, Touched
from metering.places import Place, Places
from transforms.by_place import ByPlaceFn, Element
from transforms.decode import EVENTS, SAMPLES

ALL = b"all"

Passed = tuple[bytes, tuple[str, pa.Table] | Touched | Tick]
Waiting = list[Touched]


class _Passing:
    """What one place passes on, all of a bundle's samples in one table: they were written in one insert."""

    def __init__(self, place: Place, waiting: Callable[[Place], Waiting]) -> None:
        self._place = place
        self._waiting = waiting(place)

    def bundle(self, elements: list[Element]) -> Iterator[Passed]:
        """What earlier bundles touched is in the store now; what this one touched may not be yet."""
        touched, self._waiting[:] = (
            list(self._waiting),
            [one for one in elements if isinstance(one, Touched)],
        )
        yield from ((ALL, one) for one in touched)
        tables = [one for one in elements if isinstance(one, pa.Table)]
        if tables:
            yield ALL, (SAMPLES, together(tables))
        for one in elements:
            if isinstance(one, Tick):
                yield ALL, Tick(one.now, one.watermark, self._place.number, self._place.count)


def _named(events: pa.Table | Tick) -> Iterator[Passed]:
    """Yield events to pass on; the time is told behind samples."""
    if not isinstance(events, Tick):
        yield ALL, (EVENTS, events)


class _GatherFn(beam.DoFn):
    """Declares state and has none, as GatherReaders does."""

    _STATE = ReadModifyWriteStateSpec("none", BytesCoder())

    def __init__(self, common: Callable[[Place], CommonTick]) -> None:
        self._make_common = common

    def setup(self) -> None:
        self._common = self._make_common(Place())

    def process(self, passed: Passed, _: Any = beam.DoFn.StateParam(_STATE)) -> Iterator[Any]:
        element = passed[1]
        if isinstance(element, Tick):
            if (tick := self._common.take(element)) is not None:
                yield tick
        elif isinstance(element, Touched):
            yield element
        else:
            name, table = element
            yield table if name == SAMPLES else pvalue.TaggedOutput(EVENTS, table)


@dataclasses.dataclass
class GatherPlaces(beam.PTransform):
    """((place, SAMPLES | Touched | Tick), EVENTS | Tick), as written -> the same two, in one slot.

    Where places are in slots of their own a runner cuts here once more, `alone` are the hints of what is
    behind it. Samples and events come by one collection: two, each with a cut, might be placed in two
    processes. In process both are given on as they are.
    State:     of a place the series that its last bundle touched: they are told once they are stored.
    Guarantee: what comes of a place is in its order, and in the store.
    """

    alone: Mapping[str, str]
    places: Places
    common: Callable[[Place], CommonTick]
    waiting: Callable[[Place], Waiting]

    def expand(self, written: Any) -> Any:
        """Return samples and events by SAMPLES and EVENTS."""
        samples, events = written
        if not self.alone:
            return {SAMPLES: samples, EVENTS: events}
        fn = ByPlaceFn(self.places, functools.partial(_Passing, waiting=self.waiting))
        passed = samples | "Pass" >> beam.ParDo(fn).with_output_types(Passed)
        named = events | "PassEvents" >> beam.FlatMap(_named).with_output_types(Passed)
        gather = beam.ParDo(_GatherFn(self.common)).with_outputs(EVENTS, main=SAMPLES)
        return (
            (passed, named)
            | "Both" >> beam.Flatten()
            | "Gather" >> gather.with_resource_hints(**self.alone)
        )
