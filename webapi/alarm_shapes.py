"""How alarms and their history look in JSON: as Aodh's, times in naive UTC, trusts left out."""

import datetime as dt
from typing import Any, Final

from metering.alarms.actions import scrubbed
from metering.alarms.definition import ACTION_FIELDS, Alarm
from metering.alarms.states import AlarmState
from metering.alarms.transitions import Transition

_EPOCH: Final = dt.datetime(1970, 1, 1)


def moment(at: int) -> dt.datetime:
    """Return a time in ms as the API tells it."""
    return _EPOCH + dt.timedelta(milliseconds=at)


def alarm_json(alarm: Alarm, state: AlarmState, evaluated: int | None = None) -> dict[str, Any]:
    """Return an alarm in its state; `evaluated` (ms) is when it last was."""
    return {
        **_definition(alarm),
        "timestamp": moment(alarm.timestamp),
        "state": state.state,
        "state_timestamp": moment(state.at),
        "state_reason": state.reason,
        "evaluate_timestamp": moment(alarm.timestamp if evaluated is None else evaluated),
    }


def detail_json(alarm: Alarm, state: AlarmState) -> dict[str, Any]:
    """Return an alarm as its history tells it: the rule is called `rule`, times are text."""
    told = alarm_json(alarm, state)
    del told["evaluate_timestamp"]
    told["rule"] = told.pop(f"{alarm.type}_rule")
    times = {name: told[name].isoformat() for name in ("timestamp", "state_timestamp")}
    return told | times


def change_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the history; unknown people are null."""
    people = ("user_id", "project_id", "on_behalf_of")
    return row | {name: row[name] or None for name in people}


def transition_json(one: Transition) -> dict[str, Any]:
    """Return a transition that would have been."""
    return {
        "at": moment(one.at),
        "previous": one.previous,
        "current": one.current,
        "reason": one.reason,
        "reason_data": dict(one.reason_data),
        "actions": [scrubbed(action) for action in one.actions],
    }


def _definition(alarm: Alarm) -> dict[str, Any]:
    told = alarm.to_json()
    for field in ACTION_FIELDS.values():
        told[field] = [scrubbed(action) for action in told[field]]
    return told
