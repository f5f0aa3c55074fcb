"""One alarm in the book: its definition, its state, and what evaluates it."""

import dataclasses
from collections.abc import Iterator, Mapping

from metering.alarms.book_held import Kept
from metering.alarms.buckets import Buckets
from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Reason
from metering.alarms.constraints import turn, within
from metering.alarms.definition import Alarm
from metering.alarms.evaluation import Finding, MeterEvaluator, Part, States
from metering.alarms.evaluation_types import evaluator_of, watched_by
from metering.alarms.matching_index import Watched
from metering.alarms.rules import EventRule
from metering.alarms.states import STATES, AlarmState, State
from metering.alarms.transitions import Transition


class Entry:
    """An alarm, and where it stands. Units: times in ms.

    State: `before` is the state at the last tick: what samples since then lead to follows from it.
    """

    def __init__(self, number: int, alarm: Alarm, state: AlarmState) -> None:
        self.number = number
        self.alarm = alarm
        self.state = state
        self.before: State = state.state
        self.seen = NEVER  # what is less than this is not looked at: it is not read yet
        self.called = state.at  # when its actions were called last
        self.epoch = -1
        self.counted: dict[State, int] = dict.fromkeys(STATES, 0)  # evaluations
        self.told: dict[State, int] = {}  # of them
        self.steady = False  # its state is what was found
        self.evaluator = evaluator_of(alarm)
        self._behind = False  # less came than what led to the state
        self._turns = BEFORE_ALL  # until when `_open` holds
        self._open = True

    def redefine(self, alarm: Alarm) -> bool:
        """Take a changed definition; return whether what it watches is to be read anew."""
        old, self.alarm, self._turns = self.alarm, alarm, BEFORE_ALL
        anew = (old.rule, old.scope, old.enabled) != (alarm.rule, alarm.scope, alarm.enabled)
        if anew:
            self.empty()
        return anew

    def empty(self) -> None:
        """Forget what came, until it is read."""
        self.evaluator = evaluator_of(self.alarm)
        self.seen, self._behind, self.steady = NEVER, False, False

    def begin(self, epoch: int, moment: Moment) -> None:
        """Begin what follows a tick, once."""
        if self.epoch != epoch:
            self.epoch = epoch
            self.before = self.state.state
            for part in self.parts.values():
                part.begin(moment)

    def catch_up(self, kept: Kept, moment: Moment, epoch: int) -> None:
        """Take what was held, as if each had been taken when it came."""
        periods = self.periods
        assert periods is not None
        for series, bucket, added in kept.rows:
            periods.add(series, bucket, added, moment.now)
        if self.epoch != epoch:
            self.begin(epoch, moment)
            if kept.epoch == epoch:
                periods.know(kept.known)
                if kept.revised:
                    periods.look_again()

    def look_from(self, at: int | None, epoch: int) -> None:
        """Take what was read for known up to a time, or all of it; for told, what led to the state."""
        self.epoch, self.before = epoch, self.state.state
        for part in self.parts.values():
            if at is None:
                part.look_from(part.newest, part.newest)
            else:
                part.look_from(at, self.seen)

    @property
    def parts(self) -> Mapping[int, Part]:
        """What came, by the part of the rule."""
        return self.evaluator.parts if self.evaluator else {}

    @property
    def periods(self) -> Buckets | None:
        """The periods of a rule on meters that is always evaluated; None for others."""
        evaluator = self.evaluator
        if isinstance(evaluator, MeterEvaluator) and not self.alarm.time_constraints:
            return evaluator.periods
        return None

    @property
    def newest(self) -> int:
        """When the newest sample came."""
        return max((part.newest for part in self.parts.values()), default=BEFORE_ALL)

    def is_open(self, now: int) -> bool:
        """Return whether the alarm is evaluated at a time: enabled, and within its time constraints."""
        if now >= self._turns:
            constraints = self.alarm.time_constraints
            turns = turn(constraints, now)
            self._open, self._turns = within(constraints, now), NEVER if turns is None else turns
        return self._open and self.alarm.enabled

    def take(self, state: AlarmState) -> None:
        """Take a state that was set by hand."""
        self.state, self.before, self.called = state, state.state, state.at
        self.steady = False

    def findings(self, moment: Moment, states: States) -> Iterator[Finding]:
        """Yield what is found; nothing while less is known than what led to the state."""
        if self.evaluator is None:
            return
        if max(self.newest, moment.passed) < self.seen:
            self._behind = True
            return
        if self._behind:  # what came meanwhile has led to the state already
            self._behind = False
            for part in self.parts.values():
                part.look_from(self.seen, self.seen)
        self.seen = BEFORE_ALL
        yield from self.evaluator.findings(moment, states)

    def transition(self, current: State, reason: Reason, seen: int, now: int) -> Transition:
        """Return the way into a state, and take it."""
        made = self._made(current, reason, seen, now, recorded=True)
        self.state = made.state()
        return made

    def repetition(self, reason: Reason, seen: int, now: int) -> Transition:
        """Return that the alarm stays in its state, to have its actions called again."""
        made = self._made(self.state.state, reason, seen, now, recorded=False)
        self.state = dataclasses.replace(self.state, version=made.version)
        return made

    def due(self, moment: Moment, repeat: int) -> tuple[int, int]:
        """Return the watermark, and the time of the clock, at which it is to be looked at again."""
        if self.evaluator is None or not self.alarm.enabled:
            return NEVER, NEVER
        if not self._open:
            return NEVER, self._turns
        clock = min((part.wakes for part in self._buckets()), default=NEVER)
        if self.repeats():
            clock = min(clock, self.called + repeat)
        return self.evaluator.due(self.state.state, moment), clock

    def repeats(self) -> bool:
        """Return whether its actions are called again while it stays in its state."""
        alarm = self.alarm
        of_events = isinstance(alarm.rule, EventRule)
        return alarm.repeat_actions and not of_events and bool(alarm.actions(self.state.state))

    def watched(self) -> list[Watched]:
        """Return what it watches, while it is enabled."""
        return watched_by(self.alarm) if self.alarm.enabled else []

    def _made(
        self, current: State, reason: Reason, seen: int, now: int, recorded: bool
    ) -> Transition:
        self.called = now
        text, data = reason
        return Transition(
            alarm_id=self.alarm.alarm_id,
            alarm_name=self.alarm.name,
            project_id=self.alarm.project_id,
            severity=self.alarm.severity,
            previous=self.state.state,
            current=current,
            reason=text,
            reason_data=data,
            at=now,
            version=max(now * 1000, self.state.version + 1, self.alarm.version + 1),
            actions=self.alarm.actions(current),
            recorded=recorded,
            seen=max(seen, 0),
        )

    def _buckets(self) -> Iterator[Buckets]:
        yield from (part for part in self.parts.values() if isinstance(part, Buckets))
