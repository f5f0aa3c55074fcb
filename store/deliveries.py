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
        ("receiver", pa.string()),
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
MOST_PENDING: Final = 100_000  # deliveries read at once
_CONVERTED: Final = {
    "created_at": "toUnixTimestamp64Milli(created_at)",
    "next_attempt_at": "toUnixTimestamp64Milli(next_attempt_at)",
    "state": "state::String",
}
_SELECTED: Final = [f"{name}_" if name in _CONVERTED else name for name in _DELIVERIES.names]
DELIVERY_COLUMNS: Final = ", ".join(
    f"{_CONVERTED[name]} AS {name}_" if name in _CONVERTED else name for name in _DELIVERIES.names
)


def insert_deliveries(store: Store, deliveries: Sequence[Delivery]) -> None:
    """Write deliveries as they are now."""
    if deliveries:
        rows = [dataclasses.asdict(one) for one in deliveries]
        store.insert("deliveries", pa.Table.from_pylist(rows, _DELIVERIES))


def pending_deliveries(store: Store, since: int, each: int) -> tuple[list[Delivery], bool]:
    """Return the first pending deliveries of each receiver, made since a time (ms), in order.

    Older ones, too, where one was sent again since. Of a receiver `each` at the most; the second is
    whether no receiver was left out.
    """
    rows = store.query(
        f"SELECT {DELIVERY_COLUMNS}, row_number() OVER (PARTITION BY receiver ORDER BY sequence, id)"
        f" AS place FROM {store.name}.deliveries FINAL"
        " WHERE created_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND state = 'pending'"
        " QUALIFY place <= {each:UInt32} ORDER BY place LIMIT {most:UInt32}",
        {"since": _since(store, max(since, 0)), "each": each, "most": MOST_PENDING},
    ).named_results()
    found = [delivery_of(row) for row in rows]
    return sorted(found, key=lambda one: (one.sequence, one.id)), len(found) < MOST_PENDING


def _since(store: Store, since: int) -> int:
    """Return since when (ms) to look: earlier where a delivery from before was sent again."""
    ((count, oldest),) = store.query(
        f"SELECT count(), toUnixTimestamp64Milli(min(created_at)) FROM {store.name}.deliveries"
        " PREWHERE state = 'pending' WHERE created_at < fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
        " AND next_attempt_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
        {"since": since},
    ).result_rows
    return int(oldest) if count else since


def write_attempts(store: Store, made: Sequence[tuple[Delivery, Attempt]]) -> None:
    """Write attempts, then the deliveries as they are after them (with a larger version)."""
    if made:
        rows = [dataclasses.asdict(attempt) for _, attempt in made]
        store.insert("delivery_attempts", pa.Table.from_pylist(rows, _ATTEMPTS))
        insert_deliveries(store, [delivery for delivery, _ in made])


def delivery_of(row: dict[str, Any]) -> Delivery:
    """Return the delivery of a selected row (DELIVERY_COLUMNS, and others)."""
    return Delivery(**{name.removesuffix("_"): row[name] for name in _SELECTED})
