"""Writing an alarm with its history and state: created, changed, set by hand, deleted.

Guarantee: the history is written first. What the API itself writes comes one after the other, so two
    requests at once cannot both take the last place of a quota, or a name.
"""

import dataclasses
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from flask import request

from metering.alarms.definition import Alarm, AlarmChange, Change
from metering.alarms.states import MANUAL, NOT_EVALUATED, UNKNOWN, AlarmState, State
from store.alarm_states import write_changes, write_states
from store.alarms import delete_alarms, write_alarms
from webapi.alarm_lookup import Found
from webapi.alarm_shapes import detail_json
from webapi.services import services

WRITING: Final = threading.Lock()
_UNTOLD: Final = ("timestamp", "state_timestamp")  # of a change


def now_us() -> int:
    """Return the time in µs: a version."""
    return time.time_ns() // 1000


def create(alarm: Alarm, state: State) -> Found:
    """Write a new alarm in its first state."""
    version = now_us()
    at = version // 1000
    written = dataclasses.replace(alarm, timestamp=at, version=version)
    first = AlarmState(alarm.alarm_id, state, at, NOT_EVALUATED, {}, True, version)
    _record(written, "creation", detail_json(written, first), at)
    if state != UNKNOWN:
        write_states(services().store, [first])
    write_alarms(services().store, [written])
    return Found(written, first, at)


def change(alarm: Alarm, state: State, before: Found) -> Found:
    """Write a changed alarm, and its state where that is another."""
    version = max(now_us(), before.alarm.version + 1, before.state.version + 1)
    at = version // 1000
    written = dataclasses.replace(alarm, timestamp=at, version=version)
    same = state == before.state.state
    after = before.state if same else _by_hand(alarm.alarm_id, state, version)
    old, new = detail_json(before.alarm, before.state), detail_json(written, after)
    changed = {name: value for name, value in new.items() if value != old.get(name)}
    told = {name: value for name, value in changed.items() if name not in _UNTOLD}
    if told:
        _record(written, "rule change", told, at)
    if not same:
        write_states(services().store, [after])
    write_alarms(services().store, [written])
    return Found(written, after, at)


def set_state(state: State, before: Found) -> None:
    """Write a state that was set by hand."""
    version = max(now_us(), before.state.version + 1)
    after = _by_hand(before.alarm.alarm_id, state, version)
    detail = {"state": after.state, "state_reason": after.reason}
    _record(before.alarm, "state transition", detail, after.at)
    write_states(services().store, [after])


def delete(before: Found) -> None:
    """Delete an alarm; its history stays."""
    version = max(now_us(), before.alarm.version + 1)
    _record(before.alarm, "deletion", {"state": before.state.state}, version // 1000)
    delete_alarms(services().store, [dataclasses.replace(before.alarm, version=version)])


def _by_hand(alarm_id: str, state: State, version: int) -> AlarmState:
    return AlarmState(alarm_id, state, version // 1000, MANUAL, {}, True, version)


def _record(alarm: Alarm, kind: Change, detail: Mapping[str, Any], at: int) -> None:
    project_id = request.headers.get("X-Project-Id", "")
    change = AlarmChange(
        event_id=str(uuid.uuid4()),
        alarm_id=alarm.alarm_id,
        type=kind,
        detail=detail,
        timestamp=at,
        project_id=project_id,
        user_id=request.headers.get("X-User-Id", ""),
        on_behalf_of=alarm.project_id,
        severity=alarm.severity,
    )
    write_changes(services().store, [change])
