"""What an alarm would have done: stored samples and events in order of time, through the live code.

Each moment's samples are taken together, after a tick; the watermark is behind the clock by as much as
feeds may be out of order, and a tick comes whenever it reaches a time at which the alarm is due.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from metering.alarms.book import AlarmBook
from metering.alarms.book_shelf import Evaluated, Recalled
from metering.alarms.buckets_partials import Row, rows_of
from metering.alarms.buckets_verdicts import NEVER
from metering.alarms.definition import Alarm
from metering.alarms.evaluation_types import watched_by
from metering.alarms.faults import DefinitionError
from metering.alarms.matching import Matcher
from metering.alarms.matching_index import Watched
from metering.alarms.states import AlarmState, State
from metering.alarms.transitions import Transition
from metering.elements import Tick
from metering.schema import SAMPLES

_MOST: Final = 500_000  # ticks


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What is stored of what an alarm looks at: from before the start, as far back as it looks, to the stop.

    Shape: `samples` as SAMPLES, `events` as EVENTS in order of time; `states` are (ms, alarm, state) of
    other alarms, in order. Units: ms; `lag` is how far the watermark is behind the clock.
    """

    samples: pa.Table
    events: pa.Table
    states: Sequence[tuple[int, str, State]]
    lag: int


def trial(alarm: Alarm, past: Past, start: int, stop: int) -> list[Transition]:
    """Return the transitions that an alarm created at `start` would have made until `stop` (ms).

    Raises DefinitionError where that takes too long.
    """
    alarm = dataclasses.replace(alarm, timestamp=start, version=1)
    return list(_Trial(alarm, past, start).run(stop))


class _Trial:
    def __init__(self, alarm: Alarm, past: Past, start: int) -> None:
        self._past, self._start = past, start
        shelf = _TrialShelf(alarm, past, start)
        self._book = AlarmBook(shelf, NEVER, start)
        self._steps = 0
        self._matcher = Matcher()
        self._matcher.index.watch(watched_by(alarm))

    def run(self, stop: int) -> Iterator[Transition]:
        before = {name: state for at, name, state in self._past.states if at < self._start}
        yield from self._book.suppose(before)
        yield from self._tick(self._start)
        self._book.begin()  # the alarm is there, filled with what was stored before
        for at, step in self._steps_until(stop):
            yield from self._until(at)
            yield from self._tick(at)
            yield from step
        yield from self._until(stop)

    def _steps_until(self, stop: int) -> Iterator[tuple[int, Iterable[Transition]]]:
        """Yield the transitions of each moment at which something came, unmade yet."""
        merged = heapq.merge(self._samples(stop), self._events(stop), self._states(stop), key=_at)
        yield from merged

    def _samples(self, stop: int) -> Iterator[tuple[int, Iterable[Transition]]]:
        rows = rows_of(self._matcher.partials(self._since(stop), by_moment=True))
        for at, some in itertools.groupby(rows, key=lambda row: row.added.last_at):
            yield at, self._taken(list(some))

    def _since(self, stop: int) -> pa.Table:
        times = self._past.samples["timestamp"].cast(pa.int64())
        inside = pc.and_(pc.greater_equal(times, self._start), pc.less(times, stop))
        return self._past.samples.filter(inside)

    def _taken(self, rows: list[Row]) -> Iterator[Transition]:
        yield from self._book.take_rows(rows)

    def _events(self, stop: int) -> Iterator[tuple[int, Iterable[Transition]]]:
        events = self._past.events
        times = events["generated"].cast(pa.int64()).to_pylist()
        for nth, at in enumerate(times):
            if self._start <= at < stop:
                yield at, self._happened(events.slice(nth, 1))

    def _happened(self, event: pa.Table) -> Iterator[Transition]:
        yield from self._book.take_events(event)

    def _states(self, stop: int) -> Iterator[tuple[int, Iterable[Transition]]]:
        for at, alarm_id, state in self._past.states:
            if self._start <= at < stop:
                yield at, self._supposed({alarm_id: state})

    def _supposed(self, states: Mapping[str, State]) -> Iterator[Transition]:
        yield from self._book.suppose(states)

    def _until(self, at: int) -> Iterator[Transition]:
        """Tick whenever the alarm is due, up to a time."""
        while True:
            mark, clock = self._book.next_due()
            due = max(min(mark + self._past.lag, clock), self._book.moment.now + 1)
            if due > at:
                return
            yield from self._tick(due)

    def _tick(self, at: int) -> Iterator[Transition]:
        self._steps += 1
        if self._steps > _MOST:
            raise DefinitionError("A dry run over that much takes too long: ask for less time.")
        yield from self._book.tick(Tick(at, at - self._past.lag))


class _TrialShelf:
    """One alarm, and what was stored when it was created."""

    def __init__(self, alarm: Alarm, past: Past, start: int) -> None:
        self._alarm, self._past, self._start = alarm, past, start
        self._asked = 0

    def changes(self, since: int) -> "_Created":
        """Return the alarm once the process has begun."""
        self._asked += 1
        return _Created([self._alarm] if self._asked > 1 else [])

    def states(self) -> Mapping[str, AlarmState]:
        return {}

    def samples(self, watched: Sequence[Watched]) -> Iterator[Recalled]:
        times = self._past.samples["timestamp"].cast(pa.int64())
        earlier = self._past.samples.filter(pc.less(times, self._start))
        newest = pc.max(earlier["timestamp"].cast(pa.int64())).as_py() or 0
        for one in watched:
            yield Recalled([one], max(newest - one.span, 0), newest, iter([earlier]))

    def series(self, since: pa.Table) -> pa.Table:
        return SAMPLES.empty_table()

    def events(self, types: Sequence[str], since: int) -> Iterator[pa.Table]:
        times = self._past.events["generated"].cast(pa.int64())
        yield self._past.events.filter(pc.less(times, self._start))

    def evaluated(self, counted: Sequence[Evaluated]) -> None:
        """Count nothing."""


@dataclasses.dataclass
class _Created:
    alarms: list[Alarm]
    deleted: dict[str, int] = dataclasses.field(default_factory=dict)
    states: list[AlarmState] = dataclasses.field(default_factory=list)
    until: int = 1


def _at(step: tuple[int, Iterable[Transition]]) -> int:
    return step[0]
