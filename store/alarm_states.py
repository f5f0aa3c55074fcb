"""The states of alarms, and what led to them.

Guarantee: a transition's row in the history is written first, then its deliveries, then the state; each
    by its natural key, so writing again changes nothing. What a crash left between them is written by
    `mend_transitions` before the job goes on.
Errors: StoreAwayError.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from metering.alarms.definition import AlarmChange
from metering.alarms.states import AlarmState
from metering.alarms.transitions import Delivery, Transition
from store.client import Store
from store.deliveries import insert_deliveries

STATE_COLUMNS: Final = (
    "alarm_id, state, toUnixTimestamp64Milli(at) AS at_, reason, reason_data, manual, version, seen"
)
_MS: Final = pa.timestamp("ms", "UTC")
_STATES: Final = pa.schema(
    [
        ("alarm_id", pa.string()),
        ("state", pa.string()),
        ("at", _MS),
        ("reason", pa.string()),
        ("reason_data", pa.string()),
        ("manual", pa.uint8()),
        ("version", pa.uint64()),
        ("seen", pa.int64()),
    ]
)
_HISTORY: Final = pa.schema(
    [
        ("alarm_id", pa.string()),
        ("timestamp", _MS),
        ("event_id", pa.string()),
        ("type", pa.string()),
        ("detail", pa.string()),
        ("project_id", pa.string()),
        ("user_id", pa.string()),
        ("on_behalf_of", pa.string()),
        ("severity", pa.string()),
        ("transition", pa.string()),
        ("version", pa.uint64()),
    ]
)
_EVALUATIONS: Final = pa.schema(
    [
        ("alarm_id", pa.string()),
        ("project_id", pa.string()),
        ("state", pa.string()),
        ("run", pa.string()),
        ("evaluations", pa.uint64()),
        ("at", _MS),
    ]
)
_MENDED: Final = 100_000  # transitions at the most that a crash can have left unfinished


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluations:
    """How often an alarm was evaluated to a state by this run of the job, since its start."""

    alarm_id: str
    project_id: str
    state: str
    run: str  # names the run
    evaluations: int
    at: int  # ms; the last one


def write_transitions(store: Store, transitions: Sequence[Transition]) -> list[Delivery]:
    """Write transitions, their deliveries and states, in this order; return the deliveries."""
    recorded = [one for one in transitions if one.recorded]
    if recorded:
        store.insert("alarm_history", pa.Table.from_pylist(list(map(_entry, recorded)), _HISTORY))
    deliveries = [delivery for one in transitions for delivery in one.deliveries()]
    insert_deliveries(store, deliveries)
    write_states(store, [one.state() for one in recorded])
    return deliveries


def mend_transitions(store: Store) -> list[Delivery]:
    """Finish what a crash left half written: transitions of which the state tells nothing yet."""
    rows = store.query(
        f"SELECT h.transition FROM {store.name}.alarm_history AS h FINAL LEFT JOIN"
        f" (SELECT alarm_id, version FROM {store.name}.alarm_states FINAL) AS s"
        " ON h.alarm_id = s.alarm_id WHERE h.transition != '' AND h.version > s.version"
        f" ORDER BY h.version LIMIT {_MENDED}"
    ).result_rows
    return write_transitions(store, [Transition(**orjson.loads(row[0])) for row in rows])


def write_states(store: Store, states: Sequence[AlarmState]) -> None:
    """Write states; of an alarm's the one with the largest version counts."""
    rows = [
        {
            "alarm_id": one.alarm_id,
            "state": one.state,
            "at": one.at,
            "reason": one.reason,
            "reason_data": _text(one.reason_data),
            "manual": int(one.manual),
            "version": one.version,
            "seen": one.seen,
        }
        for one in states
    ]
    if rows:
        store.insert("alarm_states", pa.Table.from_pylist(rows, _STATES))


def alarm_states(store: Store, ids: Sequence[str] | None = None) -> dict[str, AlarmState]:
    """Return the states of these alarms, or of all, by alarm."""
    where = "" if ids is None else " WHERE alarm_id IN {ids:Array(String)}"
    rows = store.query(
        f"SELECT {STATE_COLUMNS} FROM {store.name}.alarm_states FINAL{where}",
        {"ids": list(ids or [])},
    ).named_results()
    return {row["alarm_id"]: state_of(row) for row in rows}


def write_changes(store: Store, changes: Sequence[AlarmChange]) -> None:
    """Write entries of the history that are no evaluation's."""
    rows = [
        {
            **{field.name: getattr(one, field.name) for field in dataclasses.fields(one)},
            "detail": _text(one.detail),
            "transition": "",
            "version": 0,
        }
        for one in changes
    ]
    if rows:
        store.insert("alarm_history", pa.Table.from_pylist(rows, _HISTORY))


def write_evaluations(store: Store, counted: Sequence[Evaluations]) -> None:
    """Write how often alarms were evaluated; natural key (alarm, state, run), the most counts."""
    if counted:
        rows = [dataclasses.asdict(one) for one in counted]
        store.insert("alarm_evaluations", pa.Table.from_pylist(rows, _EVALUATIONS))


def state_of(row: dict[str, Any]) -> AlarmState:
    """Return the state of a selected row (STATE_COLUMNS)."""
    return AlarmState(
        row["alarm_id"],
        row["state"],
        row["at_"],
        row["reason"],
        orjson.loads(row["reason_data"] or "{}"),
        bool(row["manual"]),
        row["version"],
        row["seen"],
    )


def _entry(one: Transition) -> dict[str, Any]:
    return {
        "alarm_id": one.alarm_id,
        "timestamp": one.at,
        "event_id": one.id,
        "type": "state transition",
        "detail": _text({"state": one.current, "transition_reason": one.reason}),
        "project_id": "",
        "user_id": "",
        "on_behalf_of": one.project_id,
        "severity": one.severity,
        "transition": _text(dataclasses.asdict(one)),
        "version": one.version,
    }


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
