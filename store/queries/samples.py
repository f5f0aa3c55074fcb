"""Samples: those that count, newest first or in a given order, and one by its id."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from store.queries.predicate import AllOf, Compare, Predicate, Rendering

COLUMNS: Final = {
    "meter": "meter",
    "type": "toString(type)",
    "unit": "unit",
    "volume": "volume",
    "user_id": "user_id",
    "project_id": "project_id",
    "resource_id": "resource_id",
    "source": "source",
    "timestamp": "timestamp",
    "recorded_at": "recorded_at",
    "message_id": "message_id",
    "metadata": "metadata",
}
# A row's key holds its time, so a key never lies in two partitions.
FINAL_SETTINGS: Final = (
    "SETTINGS do_not_merge_across_partitions_select_final = 1,"
    " optimize_move_to_prewhere_if_final = 1"
)
_SELECTED: Final = ", ".join(
    name if sql == name else f"{sql} AS {name}_" for name, sql in COLUMNS.items()
)
_KEY: Final = ("meter", "project_id", "resource_id", "timestamp", "variant")
_NEWEST_FIRST: Final = (("timestamp", "desc"),)


@dataclasses.dataclass(frozen=True, slots=True)
class SampleQuery:
    """The samples that a predicate takes.

    Shape: -> [meter, type_, unit, volume, user_id, project_id, resource_id, source, timestamp,
        recorded_at, message_id, metadata, variant]
    """

    where: Predicate
    limit: int
    order: Sequence[tuple[str, str]] = _NEWEST_FIRST  # (field, "asc" | "desc")

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(COLUMNS)
        where = self.where.to_sql(into)
        ways = dict.fromkeys(_KEY, "asc") | dict(reversed(self.order))  # one order, always
        fields = dict.fromkeys([*(field for field, _ in self.order), *_KEY])
        order = [f"{COLUMNS.get(field, field)} {_DIRECTIONS[ways[field]]}" for field in fields]
        limit = into.bind("UInt32", self.limit)
        sql = (
            f"SELECT {_SELECTED}, variant FROM {{database}}.samples FINAL WHERE {where}"
            f" ORDER BY {', '.join(order)} LIMIT {limit} {FINAL_SETTINGS}"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class SampleKey:
    """A sample by the natural key of its row; it outlives the message id."""

    meter: str
    project_id: str
    resource_id: str
    timestamp: int  # ms since the epoch
    variant: int

    def to_sql(self, into: Rendering) -> str:
        labels = ("meter", "project_id", "resource_id")
        same = AllOf([Compare(name, "eq", getattr(self, name)) for name in labels]).to_sql(into)
        time = into.bind("Int64", self.timestamp)
        variant = into.bind("UInt32", self.variant)
        return f"{same} AND timestamp = fromUnixTimestamp64Milli({time}, 'UTC') AND variant = {variant}"


@dataclasses.dataclass(frozen=True, slots=True)
class MessageId:
    """A sample by its message id. Looked for without merging first: ids have no place in the key."""

    message_id: str

    def to_sql(self, into: Rendering) -> str:
        if not self.message_id:
            return "0"  # forgotten ids are empty
        wanted = into.bind("String", self.message_id)
        key = ", ".join(_KEY)
        found = f"SELECT {key} FROM {{database}}.samples PREWHERE message_id = {wanted} LIMIT 1000"
        return f"({key}) IN ({found}) AND message_id = {wanted}"


_DIRECTIONS: Final = {"asc": "ASC", "desc": "DESC"}
