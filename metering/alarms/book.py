"""The alarms of a process: what they watch, what came, their states, and the transitions that follow.

Shape: samples -> partials -> transitions; events -> transitions; ticks -> transitions.
State: of each alarm what its rule looks back to, and the state at the last tick. Read from the store at a
    start, and where a definition or the past of a series changed, between two bundles.
Guarantee: between two ticks the state follows from what came, however it is cut into bundles. A state is
    left by a transition alone, or by hand.
"""

import heapq
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from metering.alarms.book_ahead import Ahead
from metering.alarms.book_entries import Entry
from metering.alarms.book_reading import Reader, follow
from metering.alarms.book_roster import Roster
from metering.alarms.book_shelf import Shelf
from metering.alarms.buckets_partials import Row, rows_of
from metering.alarms.buckets_verdicts import BEFORE_ALL, Moment
from metering.alarms.evaluation_events import Event, fired
from metering.alarms.evaluation_members import Member, MemberEvaluator
from metering.alarms.rules import EventRule, MemberHealthRule
from metering.alarms.states import ALARM, State
from metering.alarms.transitions import Transition
from metering.batches import together
from metering.elements import LeastWatermark, Tick
from metering.schema import PARTIALS

_COUNTED: Final = 60_000  # ms between two times that evaluations are told


class AlarmBook:
    """Every alarm of this process. Units: `now` and `repeat` in ms.

    Where samples are written by others what is stored may be `ahead` of what comes.
    """

    def __init__(self, shelf: Shelf, repeat: int, now: int, ahead: bool = False) -> None:
        self._shelf, self._repeat = shelf, repeat
        self._roster = Roster()
        self._ahead = Ahead() if ahead else None
        self._reader = Reader(self._roster, shelf, self._ahead)
        self._moment = Moment(now)
        self._least = LeastWatermark()
        self._ticks: dict[int, Tick] = {}  # the last of each reader
        self._epoch = 0  # of ticks
        self._ticked = True
        self._changed: dict[str, Entry] = {}  # to be evaluated
        self._counted = now
        self._lock = threading.RLock()
        self.begin()

    @property
    def moment(self) -> Moment:
        """The clock and the watermark as the last tick told them."""
        return self._moment

    def begin(self) -> None:
        """Begin a bundle: after a tick, read what changed in the store."""
        with self._lock:
            if self._ticked:
                self._ticked = False
                for entry in self._reader.read(self._moment, self._epoch):
                    self._changed[entry.alarm.alarm_id] = entry

    def partials(self, samples: Sequence[pa.Table]) -> pa.Table:
        """Return what samples (tables of SAMPLES) add to alarms (PARTIALS)."""
        with self._lock:
            matcher = self._roster.matcher
            columns = matcher.columns()
            if not columns or not samples:
                return PARTIALS.empty_table()
            return matcher.partials(together([table.select(columns) for table in samples]))

    def matched(self, samples: Sequence[pa.Table]) -> Iterator[pa.Table]:
        """Yield what samples (tables of SAMPLES) add to alarms (PARTIALS), each to be taken for itself."""
        if self._ahead is None:
            yield self.partials(samples)
            return
        with self._lock:
            yield from [self._ahead.fresh(self.partials([table])) for table in samples]

    def touch(self, series: pa.Table) -> None:
        """Take series (TOUCHED) whose stored past changed: they are read again after the next tick."""
        with self._lock:
            self._reader.touch(series)

    def take(self, partials: pa.Table) -> list[Transition]:
        """Add what came (PARTIALS); return the transitions that follow."""
        with self._lock:
            rest = self._roster.hold(partials, self._moment, self._epoch)
            return self.take_rows(rows_of(rest))

    def take_rows(self, rows: Iterable[Row]) -> list[Transition]:
        """Add what came; return the transitions that follow."""
        with self._lock:
            entries, now = self._roster.entries, self._moment.now
            for alarm_id, part, series, bucket, added in rows:
                entry = entries.get(alarm_id)
                if entry is not None:
                    entry.begin(self._epoch, self._moment)
                    entry.parts[part].add(series, bucket, added, now)
                    self._changed[alarm_id] = entry
            return list(self._settled())

    def take_events(self, events: pa.Table) -> list[Transition]:
        """Take events (EVENTS); return the transitions that follow."""
        with self._lock:
            made: list[Transition] = []
            for event, alarm_id, role in self._roster.events.heard(events):
                entry = self._roster.entries[alarm_id]
                if role == "fires":
                    made += self._fired(entry, event)
                else:
                    entry.begin(self._epoch, self._moment)
                    follow(entry, event, role)
                    self._changed[alarm_id] = entry
            return [*made, *self._settled()]

    def tick(self, tick: Tick) -> list[Transition]:
        """Take a tick, which may come several times; return the transitions that follow."""
        with self._lock:
            if self._ticks.get(tick.reader) == tick:
                return []
            self._ticks[tick.reader] = tick
            if self._ahead is not None:
                self._ahead.tick(tick.now)
            made = list(self._settled())
            self._moment = Moment(max(tick.now, self._moment.now), self._least.take(tick))
            self._epoch += 1
            due = list(self._roster.due(self._moment))
            self._roster.gather(due, self._moment, self._epoch)
            self._changed = {entry.alarm.alarm_id: entry for entry in due}
            made += self._settled()
            for entry in due:
                made += self._repeated(entry)
            self._epoch += 1  # what comes now follows from where the tick has led
            self._ticked = True
            if self._moment.now - self._counted >= _COUNTED:
                self.tell_counts()
            return made

    def suppose(self, states: Mapping[str, State]) -> list[Transition]:
        """Take the states of alarms that are not in this book; return the transitions that follow."""
        with self._lock:
            for alarm_id, state in states.items():
                self._roster.states[alarm_id] = state
                self._followed(alarm_id)
            return list(self._settled())

    def pools(self) -> list[str]:
        """Return the load balancers' pools whose members alarms look at."""
        with self._lock:
            rules = [one.alarm.rule for one in self._roster.entries.values() if one.alarm.enabled]
            return sorted({rule.pool_id for rule in rules if isinstance(rule, MemberHealthRule)})

    def take_members(self, pool_id: str, members: Sequence[Member] | None) -> None:
        """Take what a pool's members are like, None where it is not there; the next tick evaluates."""
        with self._lock:
            for alarm_id, entry in self._roster.entries.items():
                evaluator = entry.evaluator
                if isinstance(evaluator, MemberEvaluator) and evaluator.rule.pool_id == pool_id:
                    evaluator.take(members)
                    self._changed[alarm_id] = entry

    def tell_counts(self) -> None:
        """Have it written how often alarms were evaluated."""
        with self._lock:
            self._counted = self._moment.now
            self._shelf.evaluated(list(self._roster.counted()))

    def next_due(self) -> tuple[int, int]:
        """Return the least watermark and the least time (ms) at which an alarm is due."""
        return self._roster.next_due()

    def _settled(self) -> Iterator[Transition]:
        """Yield what follows from all that changed, alarms before those that look at them."""
        waiting: list[tuple[int, str]] = []
        done: set[str] = set()
        while self._changed or waiting:
            changed, self._changed = self._changed, {}
            for alarm_id, entry in changed.items():
                rank = self._roster.links.rank(alarm_id)
                if rank:
                    heapq.heappush(waiting, (rank, alarm_id))
                else:
                    yield from self._evaluated(entry)
            if not self._changed and waiting:
                _, alarm_id = heapq.heappop(waiting)
                if alarm_id not in done and alarm_id in self._roster.entries:
                    done.add(alarm_id)
                    yield from self._evaluated(self._roster.entries[alarm_id])

    def _evaluated(self, entry: Entry) -> Iterator[Transition]:
        """Yield the transitions of one alarm; those who look at it are to be evaluated then."""
        self._roster.gather([entry], self._moment, self._epoch)
        entry.begin(self._epoch, self._moment)
        if entry.is_open(self._moment.now):
            state, waits = entry.before, True
            for found in entry.findings(self._moment, self._roster.states):
                state, waits = found.after(state), found.waits
                if found.fresh and state != entry.state.state:
                    reason = found.reason(entry.state.state, state)
                    yield self._made(
                        entry, entry.transition(state, reason, found.seen, self._moment.now)
                    )
            if not waits:
                entry.counted[state] += 1
            entry.steady = not waits and state == entry.state.state
        else:
            entry.steady = False
        self._roster.guard(entry)
        self._roster.schedule(entry, *entry.due(self._moment, self._repeat))

    def _fired(self, entry: Entry, event: Event) -> Iterator[Transition]:
        rule, alarm = entry.alarm.rule, entry.alarm
        assert isinstance(rule, EventRule)
        if not entry.is_open(self._moment.now):
            return
        entry.counted[ALARM] += 1
        if entry.state.state != ALARM or alarm.repeat_actions:
            made = entry.transition(ALARM, fired(rule, event), BEFORE_ALL, self._moment.now)
            yield self._made(entry, made)

    def _repeated(self, entry: Entry) -> Iterator[Transition]:
        """Yield that an alarm stays in its state, where its actions are to be called again."""
        now = self._moment.now
        if not entry.repeats() or now - entry.called < self._repeat or not entry.is_open(now):
            return
        if entry.evaluator is None or entry.seen > BEFORE_ALL:
            return
        state = entry.state
        found = entry.evaluator.present(self._moment, self._roster.states)
        if found.repeats(state.state):
            found.after(state.state)
            reason = found.reason(state.state, state.state)
            if found.waits:
                reason = state.reason, state.reason_data
            yield entry.repetition(reason, found.seen, now)
        entry.called = now
        self._roster.schedule(entry, *entry.due(self._moment, self._repeat))

    def _made(self, entry: Entry, made: Transition) -> Transition:
        self._roster.states[made.alarm_id] = made.current
        self._followed(made.alarm_id)
        return made

    def _followed(self, alarm_id: str) -> None:
        for follower in self._roster.links.followers(alarm_id):
            if follower in self._roster.entries:
                self._changed[follower] = self._roster.entries[follower]
