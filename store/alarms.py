"""The definitions of alarms: written by the API, read by the job on its ticks.

Guarantee: natural key alarm_id; the larger version counts, and a deletion is a version too.
Errors: StoreAwayError.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from metering.alarms.definition import Alarm, alarm_from
from metering.alarms.states import AlarmState
from store.alarm_states import STATE_COLUMNS, state_of
from store.client import Store

_NONE: Final[Mapping[str, int]] = {}
_OVERLAP: Final = 5_000_000  # µs; a version may show after a larger one did
_MS: Final = pa.timestamp("ms", "UTC")
_SCHEMA: Final = pa.schema(
    [
        ("alarm_id", pa.string()),
        ("name", pa.string()),
        ("type", pa.string()),
        ("enabled", pa.uint8()),
        ("severity", pa.string()),
        ("repeat_actions", pa.uint8()),
        ("project_id", pa.string()),
        ("user_id", pa.string()),
        ("scope", pa.string()),
        ("timestamp", _MS),
        ("definition", pa.string()),
        ("version", pa.uint64()),
        ("is_deleted", pa.uint8()),
    ]
)
ALARM_COLUMNS: Final = (
    "alarm_id, definition, scope, toUnixTimestamp64Milli(timestamp) AS timestamp_, version"
)


Digest = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a version: definitions, deletions, and states set by hand.

    What is told again (within a few seconds it is) has a version that is known already.
    """

    digest: Digest
    versions: dict[str, int]  # alarm_id -> version, of all that was looked at
    alarms: list[Alarm]
    deleted: dict[str, int]  # alarm_id -> version
    states: list[AlarmState]
    until: int  # the version to ask from the next time


def changed_alarms(store: Store, since: int = 0, known: Changes | None = None) -> Changes:
    """Return what changed since a version (µs); from 0 every alarm there is, and no deletion.

    Definitions of a version that is `known` already are left out: ten thousand that were written at once
    would else be read again each time, until another is written.
    """
    after = max(since - _OVERLAP, 0)
    digest = _digest(store, after)
    if known is not None and digest == known.digest:
        versions, rows = known.versions, list[dict[str, Any]]()
    else:
        versions, rows = _listed(store, after, known.versions if known else _NONE)
    newest = {row["alarm_id"]: row for row in rows}
    states = _set_by_hand(store, after)
    until = max([since, *versions.values(), *(one.version for one in states)])
    return Changes(
        digest,
        versions,
        [alarm_of(row) for row in newest.values() if not row["is_deleted"]],
        {name: row["version"] for name, row in newest.items() if row["is_deleted"]},
        states,
        until,
    )


def _digest(store: Store, after: int) -> Digest:
    """Return what another version that is written makes another."""
    of_versions = "count(), groupBitXor(cityHash64(alarm_id, version))"
    ((count, digest),) = store.query(
        f"SELECT {of_versions} FROM {store.name}.alarms WHERE version > {{after:UInt64}}",
        {"after": after},
    ).result_rows
    return after, int(count), int(digest)


def _listed(
    store: Store, after: int, known: Mapping[str, int]
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Return the versions of what changed, and the rows of those that are not known, in order."""
    looked_at = (
        f"FROM {store.name}.alarms {'' if after else 'FINAL'}"
        " WHERE version > {after:UInt64} ORDER BY version"
    )
    bound = {"after": after}
    found = store.query(f"SELECT alarm_id, version {looked_at}", bound).result_rows
    versions = {str(name): int(version) for name, version in found}
    if not any(known.get(name, -1) < version for name, version in versions.items()):
        return versions, []
    rows = store.query(f"SELECT {ALARM_COLUMNS}, is_deleted {looked_at}", bound).named_results()
    return versions, [row for row in rows if known.get(row["alarm_id"], -1) < row["version"]]


def _set_by_hand(store: Store, after: int) -> list[AlarmState]:
    states = f"{store.name}.alarm_states"
    newer = "WHERE version > {after:UInt64} AND manual = 1"
    bound = {"after": after}
    ((count,),) = store.query(f"SELECT count() FROM {states} {newer}", bound).result_rows
    if not count:  # as nearly always, and told without FINAL
        return []
    found = store.query(
        f"SELECT {STATE_COLUMNS} FROM {states} FINAL {newer} ORDER BY version", bound
    )
    return [state_of(row) for row in found.named_results()]


def write_alarms(store: Store, alarms: Sequence[Alarm]) -> None:
    """Write definitions, each with a version larger than the one before."""
    if alarms:
        store.insert("alarms", _table([_row(alarm, deleted=False) for alarm in alarms]))


def delete_alarms(store: Store, alarms: Sequence[Alarm]) -> None:
    """Delete alarms, each with a version larger than that of its definition."""
    if alarms:
        store.insert("alarms", _table([_row(alarm, deleted=True) for alarm in alarms]))


def alarm_of(row: dict[str, Any]) -> Alarm:
    """Return the alarm of a selected row (ALARM_COLUMNS)."""
    alarm = alarm_from(orjson.loads(row["definition"]), row["alarm_id"])
    return dataclasses.replace(
        alarm, scope=row["scope"], timestamp=row["timestamp_"], version=row["version"]
    )


def _row(alarm: Alarm, deleted: bool) -> dict[str, Any]:
    return {
        "alarm_id": alarm.alarm_id,
        "name": alarm.name,
        "type": alarm.type,
        "enabled": int(alarm.enabled),
        "severity": alarm.severity,
        "repeat_actions": int(alarm.repeat_actions),
        "project_id": alarm.project_id,
        "user_id": alarm.user_id,
        "scope": alarm.scope,
        "timestamp": alarm.timestamp,
        "definition": orjson.dumps(alarm.to_json()).decode(),
        "version": alarm.version,
        "is_deleted": int(deleted),
    }


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, _SCHEMA)
