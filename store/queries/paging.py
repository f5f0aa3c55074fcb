"""Going on behind the last row of a page: rows have a key, and come in its order."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from store.queries.predicate import Rendering


class Column(NamedTuple):
    """A column of a key: what it is called in the answer, its SQL, and the type it is compared as."""

    name: str
    sql: str
    kind: str  # String, or Int64; times are ms since the epoch


Key = Sequence[Column]
Marker = Sequence[str | int]  # the values of a key

TIME: Final = "toUnixTimestamp64Milli(toDateTime64({}, 3, 'UTC'))"


def text(*names: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(name, name, "String") for name in names)


def order_by(key: Key) -> str:
    """Return the SQL of a key's order."""
    return ", ".join(column.sql for column in key)


def behind(into: Rendering, key: Key, marker: Marker | None) -> str:
    """Return the condition on rows that come after this marker: all of them where there is none.

    Written out column by column: of tuples the engine makes no use for its primary key.
    """
    condition = "1" if marker is None else "0"
    for column, value in reversed(list(zip(key, marker or (), strict=marker is not None))):
        bound = into.bind(column.kind, value)
        condition = f"({column.sql} > {bound} OR ({column.sql} = {bound} AND {condition}))"
    return condition
