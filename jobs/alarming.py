"""Dry runs and explanations of alarms, over what is stored."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from metering.alarms.book_explain import explained
from metering.alarms.book_trial import Past, trial
from metering.alarms.buckets_verdicts import Moment
from metering.alarms.definition import Alarm
from metering.alarms.states import UNKNOWN, AlarmState
from metering.alarms.transitions import Transition
from store.alarm_states import alarm_states
from store.alarm_trials import events_between, samples_between, samples_now, states_between
from store.client import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Trials:
    """Evaluates alarms aside from the stream. Errors: DefinitionError, StoreAwayError.

    `lag` (ms) is how far the watermark is behind the clock while all feeds are read.
    """

    store: Store
    lag: int
    watermark: Callable[[], int | None]  # ms

    def dry_run(self, alarm: Alarm, start: int, stop: int) -> list[Transition]:
        """Return the transitions that an alarm would have made in [start, stop) (ms)."""
        store = self.store
        past = Past(
            samples_between(store, alarm, start, stop),
            events_between(store, alarm, start, stop),
            states_between(store, alarm, stop),
            self.lag,
        )
        return trial(alarm, past, start, stop)

    def explain(self, alarm: Alarm) -> dict[str, Any]:
        """Return what is behind an alarm's state."""
        store, name = self.store, alarm.alarm_id
        now = time.time_ns() // 1_000_000
        moment = Moment(now, self.watermark())
        found = alarm_states(store, [name, *alarm.alarm_ids()])
        own = found.get(name, AlarmState(name, UNKNOWN, alarm.timestamp))
        states = {one: state.state for one, state in found.items()}
        return explained(alarm, own, samples_now(store, alarm, now), moment, states)
