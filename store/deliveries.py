"""Deliveries and the attempts at them.

Guarantee: natural keys (created_at, alarm_id, id) and (delivery_id, number); the later version counts,
    and a delivery written anew has version 0, so writing its transition again changes nothing.
Errors: StoreAwayError.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from metering.alarms.transitions import Attempt, Delivery
from store.client import Store

_MS: Final = pa.timestamp("ms", "UTC")
_DELIVERIES: Final = pa.schema(
    [
        ("id", pa.string()),
        ("transition_id", pa.string()),
        ("alarm_id", pa.string()),
        ("project_id", pa.string()),
        ("sequence", pa.uint64()),
        ("created_at", _MS),
        ("action", pa.string()),
        ("body", pa.string()),
        ("state", pa.string()),
        ("attempts", pa.uint32()),
        ("next_attempt_at", _MS),
        ("last_status", pa.uint16()),
        ("last_error", pa.string()),
        ("version", pa.uint64()),
    ]
)
_ATTEMPTS: Final = pa.schema(
    [
        ("delivery_id", pa.string()),
        ("number", pa.uint32()),
        ("at", _MS),
        ("status", pa.uint16()),
        ("error", pa.string()),
        ("seconds", pa.float64()),
    ]
)
_TIMES: Final = ("created_at", "next_attempt_at")
DELIVERY_COLUMNS: Final = ", ".join(
    f"toUnixTimestamp64Milli({name}) AS {name}_"
    if name in _TIMES
    else f"{name}::String AS {name}_"
    if name == "state"
    else name
    for name in _DELIVERIES.names
)


def insert_deliveries(store: Store, deliveries: Sequence[Delivery]) -> None:
    """Write deliveries as they are now."""
    if deliveries:
        rows = [dataclasses.asdict(one) for one in deliveries]
        store.insert("deliveries", pa.Table.from_pylist(rows, _DELIVERIES))


def pending_deliveries(store: Store, since: int, now: int, limit: int) -> list[Delivery]:
    """Return pending deliveries made since a time (ms) whose next attempt is due, in order."""
    rows = store.query(
        f"SELECT {DELIVERY_COLUMNS} FROM {store.name}.deliveries FINAL"
        " WHERE created_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND state = 'pending'"
        " AND next_attempt_at <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')"
        " ORDER BY sequence, id LIMIT {limit:UInt32}",
        {"since": max(since, 0), "now": now, "limit": limit},
    ).named_results()
    return [delivery_of(row) for row in rows]


def write_attempt(store: Store, delivery: Delivery, attempt: Attempt) -> None:
    """Write an attempt, then the delivery as it is after it (with a larger version)."""
    rows = pa.Table.from_pylist([dataclasses.asdict(attempt)], _ATTEMPTS)
    store.insert("delivery_attempts", rows)
    insert_deliveries(store, [delivery])


def delivery_of(row: dict[str, Any]) -> Delivery:
    """Return the delivery of a selected row (DELIVERY_COLUMNS)."""
    return Delivery(**{name.removesuffix("_"): value for name, value in row.items()})
