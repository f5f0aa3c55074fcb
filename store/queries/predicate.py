"""What rows a query takes: comparisons and their combinations, as SQL in which values are parameters.

Metadata is compared by the value's kind: text with the text of what is there, a number with its
number, a truth value with `true` or `false` in any case. A key that is not there equals nothing.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

OPS: Final = {"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "match": "match"}

Value = str | int | float | bool | dt.datetime

_EPOCH: Final = dt.datetime(1970, 1, 1)
_FIRST: Final = dt.datetime(1900, 1, 1)  # what the engine's times reach
_LAST: Final = dt.datetime(2299, 12, 31)


@dataclasses.dataclass(slots=True)
class Rendering:
    """SQL in the making: what the fields are called in the table, and the parameters so far."""

    columns: Mapping[str, str]  # field -> SQL expression
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    def bind(self, kind: str, value: Any) -> str:
        """Return the placeholder of a value of this ClickHouse type."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"{{{name}:{kind}}}"

    def bind_value(self, value: Value) -> str:
        """Return the placeholder of a value, by its own kind."""
        if isinstance(value, dt.datetime):
            return f"fromUnixTimestamp64Milli({self.bind('Int64', milliseconds(value))}, 'UTC')"
        if isinstance(value, str):
            return self.bind("String", value)
        return self.bind("Float64", float(value))


class Predicate(Protocol):
    """A condition on rows."""

    def to_sql(self, into: Rendering) -> str:
        """Return the condition's SQL, its parameters put into the rendering."""


@dataclasses.dataclass(frozen=True, slots=True)
class Compare:
    """A field against a value of the field's own kind."""

    field: str
    op: str  # one of OPS
    value: Value

    def to_sql(self, into: Rendering) -> str:
        return _comparison(into.columns[self.field], self.op, into.bind_value(self.value))


@dataclasses.dataclass(frozen=True, slots=True)
class CompareMetadata:
    """A key of the metadata against a value of any kind."""

    key: str
    op: str  # one of OPS
    value: Value

    def to_sql(self, into: Rendering) -> str:
        there = metadata_text(into, self.key)
        if isinstance(self.value, bool):
            there, value = f"lower({there})", into.bind("String", str(self.value).lower())
        elif isinstance(self.value, int | float):
            there, value = f"toFloat64OrNull({there})", into.bind_value(self.value)
        elif isinstance(self.value, dt.datetime):
            there = f"parseDateTime64BestEffortOrNull({there}, 3, 'UTC')"
            value = into.bind_value(self.value)
        else:
            value = into.bind_value(self.value)
        if self.op == "ne":  # a key that is not there differs from everything
            return f"NOT ifNull({there} = {value}, 0)"
        return f"ifNull({_comparison(there, self.op, value)}, 0)"


@dataclasses.dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these; with none, every row."""

    parts: Sequence[Predicate]

    def to_sql(self, into: Rendering) -> str:
        return " AND ".join(f"({part.to_sql(into)})" for part in self.parts) or "1"


@dataclasses.dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these; with none, no row."""

    parts: Sequence[Predicate]

    def to_sql(self, into: Rendering) -> str:
        return " OR ".join(f"({part.to_sql(into)})" for part in self.parts) or "0"


@dataclasses.dataclass(frozen=True, slots=True)
class NoneOf:
    """Not this."""

    part: Predicate

    def to_sql(self, into: Rendering) -> str:
        return f"NOT ({self.part.to_sql(into)})"


def metadata_text(into: Rendering, key: str) -> str:
    """Return the SQL of a metadata key's value as text; null where the key is not there."""
    return (
        f"JSONExtract({into.columns['metadata']}, {into.bind('String', key)}, 'Nullable(String)')"
    )


def milliseconds(time: dt.datetime) -> int:
    """Return a naive UTC time in whole milliseconds since the epoch, within the engine's reach."""
    return (min(max(time, _FIRST), _LAST) - _EPOCH) // dt.timedelta(milliseconds=1)


def _comparison(left: str, op: str, right: str) -> str:
    return f"match({left}, {right})" if op == "match" else f"{left} {OPS[op]} {right}"
