"""Events, their types and their traits."""

import dataclasses
import datetime as dt
from typing import Any, Final

from store.queries.predicate import OPS, Predicate, Rendering, Value, milliseconds

# What the fields of an event are called in the table.
EVENT_COLUMNS: Final = {
    "event_type": "event_type",
    "message_id": "message_id",
    "project_id": "project_id",
    "generated": "generated",
}
TRAIT_TYPES: Final = {  # type -> its column, and the type of a value in it
    "string": ("text_traits", "String"),
    "integer": ("integer_traits", "Int64"),
    "float": ("float_traits", "Float64"),
    "datetime": ("datetime_traits", "Int64"),
}
_TRAITS: Final = ", ".join(column for column, _ in TRAIT_TYPES.values())
_TABLE: Final = "{database}.events FINAL"


@dataclasses.dataclass(frozen=True, slots=True)
class CompareTrait:
    """A trait of one type against a value of that type; an event without that trait is not taken."""

    name: str
    type: str  # one of TRAIT_TYPES
    op: str  # one of OPS
    value: Value

    def to_sql(self, into: Rendering) -> str:
        column, kind = TRAIT_TYPES[self.type]
        name = into.bind("String", self.name)
        value: Any = self.value
        if isinstance(value, dt.datetime):
            value = milliseconds(value)
        right = into.bind(kind, value)
        if self.type == "datetime":
            right = f"fromUnixTimestamp64Milli({right}, 'UTC')"
        return f"mapContains({column}, {name}) AND {column}[{name}] {OPS[self.op]} {right}"


@dataclasses.dataclass(frozen=True, slots=True)
class EventQuery:
    """Events, the oldest first.

    Shape: -> [event_type, generated, message_id, text_traits, integer_traits, float_traits,
        datetime_traits, raw]
    """

    where: Predicate
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(EVENT_COLUMNS)
        where = self.where.to_sql(into)
        sql = (
            f"SELECT event_type, generated, message_id, {_TRAITS}, raw FROM {_TABLE}"
            f" WHERE {where} ORDER BY generated, message_id LIMIT {into.bind('UInt32', self.limit)}"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class EventTypeQuery:
    """The types of events there are; by name. Shape: -> [event_type]"""

    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        sql = (
            "SELECT DISTINCT event_type FROM {database}.events"
            " ORDER BY event_type LIMIT {limit:UInt32}"
        )
        return sql, {"limit": self.limit}


@dataclasses.dataclass(frozen=True, slots=True)
class TraitDescriptionQuery:
    """The traits that events of a type have; by name. Shape: -> [name, type]"""

    event_type: str
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        named = ", ".join(
            f"arrayMap(name -> (name, '{kind}'), mapKeys({column}))"
            for kind, (column, _) in TRAIT_TYPES.items()
        )
        sql = (
            "SELECT DISTINCT trait.1 AS name, trait.2 AS type FROM {database}.events"
            f" ARRAY JOIN arrayConcat({named}) AS trait"
            " WHERE event_type = {event_type:String} ORDER BY name, type LIMIT {limit:UInt32}"
        )
        return sql, {"event_type": self.event_type, "limit": self.limit}


@dataclasses.dataclass(frozen=True, slots=True)
class HasTrait:
    """Events that have a trait of this name, of whatever type."""

    name: str

    def to_sql(self, into: Rendering) -> str:
        name = into.bind("String", self.name)
        columns = (column for column, _ in TRAIT_TYPES.values())
        return " OR ".join(f"mapContains({column}, {name})" for column in columns)
