"""Absence alarms: nothing came, or nothing followed, within so many seconds of the watermark.

Units: times in ms.
State: when something of the selection came last; firsts that wait for their second, or did so in vain.
"""

import dataclasses
import heapq
from collections.abc import Iterator, Mapping
from typing import Final

from metering.alarms.buckets_statistics import Partial
from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Reason
from metering.alarms.evaluation import Part, States
from metering.alarms.rules import AbsenceRule
from metering.alarms.states import ALARM, OK, UNKNOWN, State
from metering.timestamps import iso

_AHEAD: Final = 60_000  # ms; as metering.alarms.buckets
_REMEMBERED: Final = 10_000  # firsts that had no second, the newest

Key = tuple[str, ...]  # the values of the traits that are equal in both events


class LastSeen:
    """When the last sample of a selection came."""

    def __init__(self) -> None:
        self.newest = BEFORE_ALL

    def add(self, series: int, bucket: int, partial: Partial, now: int) -> None:
        """Take samples; of those ahead of the clock as if they came now."""
        self.newest = max(self.newest, min(partial.last_at, now + _AHEAD))

    def drop(self, series: int) -> None:
        """Keep what is known: that a sample did not count does not mean that none came."""

    def know_from(self, at: int) -> None:
        """Begin with what is stored."""

    def look_from(self, at: int, told: int) -> None:
        """Take everything for looked at."""

    def look_again(self) -> None:
        """Take what is known for changed."""

    def begin(self, moment: Moment) -> None:
        """Begin what follows a tick."""


@dataclasses.dataclass(frozen=True, slots=True)
class Absent:
    """What came last, and whether the watermark has passed the time for more."""

    state: State | None
    what: str
    within: int  # s
    last: int | None
    seen: int
    fresh: bool = True
    waits: bool = False

    def after(self, before: State) -> State:
        """Return the state that follows; before anything came it stays."""
        return before if self.state is None else self.state

    def repeats(self, state: State) -> bool:
        """Return whether actions are repeated."""
        return state != UNKNOWN

    def reason(self, before: State, after: State) -> Reason:
        """Return why."""
        last = None if self.last is None else iso(self.last)
        way = "Remaining as" if before == after else "Transition to"
        due = f"no {self.what} within {self.within} seconds" if after == ALARM else self.what
        text = f"{way} {after} due to {due}, most recent: {last}"
        return text, {"type": "absence", "within": self.within, "most_recent": last}


class AbsenceEvaluator:
    """Evaluates the absence of samples; `since` is when they were first waited for."""

    def __init__(self, rule: AbsenceRule, since: int) -> None:
        self._rule, self._since = rule, since
        self._last = LastSeen()
        self.parts: Mapping[int, Part] = {0: self._last}

    def findings(self, moment: Moment, states: States) -> Iterator[Absent]:
        yield self.present(moment, states)

    def present(self, moment: Moment, states: States) -> Absent:
        came = self._last.newest > BEFORE_ALL
        last = self._last.newest if came else None
        absent = moment.passed >= self._until()
        state: State | None = ALARM if absent else OK if came else None
        seen = max(self._last.newest, self._until() if absent else BEFORE_ALL)
        return Absent(state, f"sample of {self._rule.meter_name}", self._rule.within, last, seen)

    def due(self, state: State, moment: Moment) -> int:
        return NEVER if state == ALARM else self._until()

    def _until(self) -> int:
        last = self._last.newest if self._last.newest > BEFORE_ALL else self._since
        return last + self._rule.within * 1000


class SequenceEvaluator:
    """Evaluates that a first event is followed by a second, by the traits that are equal in both."""

    def __init__(self, rule: AbsenceRule) -> None:
        self._rule = rule
        self._within = rule.within * 1000
        self.parts: Mapping[int, Part] = {}
        self._firsts: dict[Key, list[int]] = {}
        self._deadlines: list[tuple[int, Key, int]] = []  # a heap: until when, of which first
        self._seconds: dict[Key, list[int]] = {}
        self._overdue: dict[Key, int] = {}
        self._passed = BEFORE_ALL
        self._answered = False
        self._last: int | None = None  # when a second came

    def first(self, key: Key, at: int) -> None:
        """Take a first event, unless its second came before it."""
        if any(at <= second <= at + self._within for second in self._seconds.get(key, ())):
            self._answered = True
        else:
            self._firsts.setdefault(key, []).append(at)
            heapq.heappush(self._deadlines, (at + self._within, key, at))

    def second(self, key: Key, at: int) -> None:
        """Take a second event: it answers every first before it, those it was too late for too."""
        self._seconds.setdefault(key, []).append(at)
        self._last = max(at, self._last or at)
        waiting = self._firsts.pop(key, [])
        later = [first for first in waiting if first > at]
        if later:
            self._firsts[key] = later
        if self._overdue.get(key, NEVER) <= at:
            del self._overdue[key]
            self._answered = True
        self._answered |= len(later) < len(waiting)

    def findings(self, moment: Moment, states: States) -> Iterator[Absent]:
        yield self.present(moment, states)

    def present(self, moment: Moment, states: States) -> Absent:
        self._pass(moment.passed)
        state: State | None = ALARM if self._overdue else OK if self._answered else None
        second = self._rule.followed_by
        what = f"{second.event_type if second else '*'} after {self._rule.event_type}"
        return Absent(state, what, self._rule.within, self._last, moment.passed)

    def due(self, state: State, moment: Moment) -> int:
        return self._deadlines[0][0] if self._deadlines else NEVER

    def _pass(self, watermark: int) -> None:
        """Tell what the watermark has decided: firsts without a second, seconds that none will ask for."""
        while self._deadlines and self._deadlines[0][0] <= watermark:
            _, key, first = heapq.heappop(self._deadlines)
            waiting = self._firsts.get(key, [])
            if first in waiting:
                waiting.remove(first)
                self._overdue[key] = max(first, self._overdue.get(key, first))
                if not waiting:
                    del self._firsts[key]
        if watermark == self._passed:
            return
        self._passed = watermark
        while len(self._overdue) > _REMEMBERED:
            del self._overdue[next(iter(self._overdue))]
        self._seconds = {
            key: kept
            for key, seconds in self._seconds.items()
            if (kept := [second for second in seconds if second > watermark])
        }
