"""The alarms there are: found by id, by what they watch, by whom they look at, and by when they are due."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from metering.alarms.book_entries import Entry
from metering.alarms.book_held import Held
from metering.alarms.book_links import Links
from metering.alarms.book_shelf import Evaluated
from metering.alarms.buckets_verdicts import NEVER, Moment
from metering.alarms.definition import Alarm
from metering.alarms.evaluation_events import EventMatcher
from metering.alarms.matching import Matcher
from metering.alarms.states import UNKNOWN, AlarmState, State
from metering.memory import grown


class Roster:
    """Every alarm, enabled or not."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.matcher = Matcher()
        self.events = EventMatcher()
        self.links = Links()
        self.states: dict[str, State] = {}
        self._held = Held()
        self._numbered: list[Entry | None] = []
        self._free: list[int] = []
        self._marks = np.zeros(0, np.int64)  # ms; the watermark at which each is due
        self._clocks = np.zeros(0, np.int64)  # ms; the time at which it is

    def put(self, alarm: Alarm, state: AlarmState | None) -> bool:
        """Take an alarm, new or changed; return whether what it watches is to be read from the store."""
        entry = self.entries.get(alarm.alarm_id)
        if entry is None:
            entry = self._new(alarm, state or AlarmState(alarm.alarm_id, UNKNOWN, alarm.timestamp))
            anew = True
        else:
            anew = entry.redefine(alarm)
            if anew:
                self._held.forget(entry.number)
        self.links.put(alarm)
        if anew:
            self._unlisten(alarm.alarm_id)
            self.matcher.index.watch(entry.watched())
            if alarm.enabled:
                self.events.listen(alarm)
        return anew and alarm.enabled

    def remove(self, alarm_id: str) -> None:
        """Forget an alarm that was deleted."""
        entry = self.entries.pop(alarm_id)
        del self.states[alarm_id]
        self._unlisten(alarm_id)
        self.links.remove(alarm_id)
        self._held.forget(entry.number)
        self._numbered[entry.number] = None
        self._free.append(entry.number)
        self.schedule(entry, NEVER, NEVER)

    def hold(self, partials: pa.Table, moment: Moment, epoch: int) -> pa.Table:
        """Keep the rows (PARTIALS) of alarms whose state they leave; return the others, to be added."""
        names = partials["alarm_id"].combine_chunks()
        known = [self.entries.get(alarm_id) for alarm_id in names.dictionary.to_pylist()]
        numbers = np.array([-1 if one is None else one.number for one in known], np.int64)
        by_row = numbers[names.indices.to_numpy()]
        held = self._held.hold(by_row, partials, moment, epoch)
        some = by_row[held]
        self._marks[some] = self._held.due(some, moment)
        rest = by_row[~held]
        self.gather(self._entries(np.unique(rest[rest >= 0])), moment, epoch)
        return partials.filter(pa.array(~held))

    def gather(self, entries: Iterable[Entry], moment: Moment, epoch: int) -> None:
        """Add what was held of alarms to their periods."""
        numbers = [one.number for one in entries if self._held.holds(one.number)]
        for number, kept in self._held.release(numbers) if numbers else ():
            entry = self._numbered[number]
            assert entry is not None
            entry.counted[entry.state.state] += self._held.count(number)
            entry.catch_up(kept, moment, epoch)

    def guard(self, entry: Entry) -> None:
        """See what leaves an alarm in the state that it was found in."""
        stays = entry.steady and entry.before == entry.state.state
        periods = entry.periods if stays else None
        if periods is None:
            self.unguard(entry)
        else:
            self._held.guard(entry.number, periods.guard(entry.state.state), periods.kept)

    def unguard(self, entry: Entry) -> None:
        """Let whatever comes be added to an alarm's periods."""
        self._held.guard(entry.number, None)

    def schedule(self, entry: Entry, mark: int, clock: int) -> None:
        """Say at which watermark and which time an alarm is to be looked at again."""
        self._marks[entry.number] = mark
        self._clocks[entry.number] = clock

    def due(self, moment: Moment) -> Iterator[Entry]:
        """Yield the alarms that are due."""
        count = len(self._numbered)
        due = (self._marks[:count] <= moment.passed) & (moment.watermark is not None)
        due |= self._clocks[:count] <= moment.now
        yield from self._entries(np.flatnonzero(due))

    def next_due(self) -> tuple[int, int]:
        """Return the least watermark and the least time (ms) at which an alarm is due."""
        count = len(self._numbered)
        marks, clocks = self._marks[:count], self._clocks[:count]
        return int(marks.min(initial=NEVER)), int(clocks.min(initial=NEVER))

    def counted(self) -> Iterator[Evaluated]:
        """Yield how often each alarm was evaluated to each state, since that was told last."""
        for number, rows in self._held.counted():
            for entry in self._entries([number]):
                entry.counted[entry.state.state] += rows
        for entry in self.entries.values():
            for state, times in entry.counted.items():
                if times != entry.told.get(state, 0):
                    entry.told[state] = times
                    yield Evaluated(entry.alarm.alarm_id, entry.alarm.project_id, state, times)

    def _new(self, alarm: Alarm, state: AlarmState) -> Entry:
        number = self._free.pop() if self._free else len(self._numbered)
        entry = Entry(number, alarm, state)
        if number == len(self._numbered):
            self._numbered.append(entry)
            self._marks = grown(self._marks, number + 1)
            self._clocks = grown(self._clocks, number + 1)
        self._numbered[number] = entry
        self.schedule(entry, NEVER, NEVER)
        self.entries[alarm.alarm_id] = entry
        self.states[alarm.alarm_id] = state.state
        return entry

    def _entries(self, numbers: Iterable[int]) -> Iterator[Entry]:
        for number in numbers:
            entry = self._numbered[number]
            if entry is not None:
                yield entry

    def _unlisten(self, alarm_id: str) -> None:
        self.matcher.index.forget(alarm_id)
        self.events.forget(alarm_id)
