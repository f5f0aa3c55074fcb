"""MatchAlarms, EvaluateAlarms and EvaluateEventAlarms: from samples, events and ticks to transitions.

In process the three share one book of alarms (metering.alarms.book), made when it is first asked for.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from metering.alarms.book import AlarmBook
from metering.alarms.transitions import Transition
from metering.elements import Tick, Touched
from transforms.counters import count
from transforms.windowed import windowed

ALARMS = b"alarms"

Book = Callable[[], AlarmBook]
Matched = tuple[bytes, pa.Table | Tick]


class _BookFn(beam.DoFn):
    """A bundle's elements, gathered; before the first the book reads what changed in the store."""

    def __init__(self, book: Book) -> None:
        self._make_book = book

    def setup(self) -> None:
        self._book = self._make_book()

    def start_bundle(self) -> None:
        self._book.begin()
        self._elements: list[Any] = []

    def process(self, element: Any) -> Iterator[Any]:
        self._elements.append(element[1] if isinstance(element, tuple) else element)
        return iter(())


class _MatchFn(_BookFn):
    def finish_bundle(self) -> Iterator[Any]:
        """Match the bundle's samples before its ticks: they are about all that came before them."""
        tables = [one for one in self._elements if isinstance(one, pa.Table)]
        for partials in self._book.matched(tables):
            if partials.num_rows:
                yield windowed((ALARMS, partials))
        for one in self._elements:
            if isinstance(one, Touched):
                self._book.touch(one.series)
        for one in self._elements:
            if isinstance(one, Tick):
                yield windowed((ALARMS, one))


class _EvaluateFn(_BookFn):
    def finish_bundle(self) -> Iterator[Any]:
        made: list[Transition] = []
        for one in self._elements:
            made += self._book.tick(one) if isinstance(one, Tick) else self._take(one)
        count("alarm_transitions", sum(one.previous != one.current for one in made))
        if made:
            yield windowed(made)

    def _take(self, partials: pa.Table) -> list[Transition]:
        return self._book.take(partials)


class _EvaluateEventsFn(_EvaluateFn):
    def _take(self, events: pa.Table) -> list[Transition]:
        return self._book.take_events(events)


@dataclasses.dataclass
class MatchAlarms(beam.PTransform):
    """PCollection[(place, SAMPLES | Touched | Tick)] -> PCollection[(ALARMS, PARTIALS | Tick)].

    State: what alarms watch (metering.alarms.matching); read again from the store after each tick.
    """

    book: Book

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return what samples add to the periods of alarms."""
        return samples | "Match" >> beam.ParDo(_MatchFn(self.book)).with_output_types(Matched)


@dataclasses.dataclass
class EvaluateAlarms(beam.PTransform):
    """PCollection[(ALARMS, PARTIALS | Tick)] -> PCollection[list[Transition]].

    State:     of each alarm what its rule looks back to (metering.alarms.book).
    Lateness:  a period is empty once the watermark has passed it; a late sample counts when it comes.
    Guarantee: between two ticks the state follows from the samples, however they are cut into bundles.
    """

    book: Book

    def expand(self, matched: beam.PCollection) -> beam.PCollection:
        """Return the transitions, at the end of each bundle."""
        return matched | "Evaluate" >> beam.ParDo(_EvaluateFn(self.book))


@dataclasses.dataclass
class EvaluateEventAlarms(beam.PTransform):
    """PCollection[EVENTS | Tick] -> PCollection[list[Transition]]: of alarms that listen to events."""

    book: Book

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Return the transitions, at the end of each bundle."""
        return events | "Evaluate" >> beam.ParDo(_EvaluateEventsFn(self.book))
