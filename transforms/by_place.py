"""What a step does of each place: a bundle may hold elements of several, which share nothing.

State: of a place, made when the place first comes; where there is one place, before anything comes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa

from metering.elements import Contested, Tick, Touched
from metering.places import WHOLE, Place, Places
from transforms.windowed import windowed

Element = pa.Table | Touched | Contested | Tick
Keyed = tuple[bytes, Element]  # by the place


class Step(Protocol):
    """What a step does of one place."""

    def bundle(self, elements: list[Element]) -> Iterable[Any]:
        """Return what follows from a bundle's elements."""


class ByPlaceFn(beam.DoFn):
    """Gives each place its elements when a bundle ends."""

    def __init__(self, places: Places, make: Callable[[Place], Step]) -> None:
        self._places, self._make = places, make

    def setup(self) -> None:
        self._steps: dict[Place, Step] = {}
        if self._places.count == 1:
            self._step(self._places.of_key(WHOLE.key))

    def start_bundle(self) -> None:
        self._gathered: dict[bytes, list[Element]] = {}

    def process(self, keyed: Keyed) -> Iterator[Any]:
        key, element = keyed
        self._gathered.setdefault(key, []).append(element)
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        for key, elements in self._gathered.items():
            step = self._step(self._places.of_key(key))
            yield from map(windowed, step.bundle(elements))

    def _step(self, place: Place) -> Step:
        if place not in self._steps:
            self._steps[place] = self._make(place)
        return self._steps[place]
