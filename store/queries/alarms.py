"""Alarms with their states: those that a predicate takes, in an order, and how many there are.

An alarm without a state yet is "insufficient data" since its definition.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from metering.alarms.states import NOT_EVALUATED, UNKNOWN
from store.queries.predicate import AllOf, AnyOf, Compare, Predicate, Rendering, Value

ALARM_FIELDS: Final = {
    "alarm_id": "a.alarm_id",
    "name": "a.name",
    "type": "a.type",
    "enabled": "a.enabled",
    "severity": "a.severity",
    "repeat_actions": "a.repeat_actions",
    "project_id": "a.project_id",
    "user_id": "a.user_id",
    "timestamp": "a.timestamp",
    "description": "JSONExtractString(a.definition, 'description')",
    "state": f"if(s.version = 0, '{UNKNOWN}', s.state)",
    "state_timestamp": "if(s.version = 0, a.timestamp, s.at)",
    "state_reason": f"if(s.version = 0, '{NOT_EVALUATED}', s.reason)",
    "evaluate_timestamp": "greatest(a.timestamp, e.at)",
}
_SELECTED: Final = ", ".join(
    [
        "a.alarm_id AS alarm_id, a.definition AS definition, a.scope AS scope, a.version AS version",
        "toUnixTimestamp64Milli(a.timestamp) AS timestamp_",
        *(f"{sql} AS {name}_" for name, sql in ALARM_FIELDS.items() if "timestamp" not in name),
        *(
            f"toUnixTimestamp64Milli({ALARM_FIELDS[name]}) AS {name}_"
            for name in ("state_timestamp", "evaluate_timestamp")
        ),
        "s.version AS state_version_",
    ]
)
_FROM: Final = (
    "(SELECT * FROM {database}.alarms FINAL) AS a"
    " LEFT JOIN (SELECT * FROM {database}.alarm_states FINAL) AS s ON s.alarm_id = a.alarm_id"
    " LEFT JOIN (SELECT alarm_id, max(at) AS at FROM {database}.alarm_evaluations GROUP BY alarm_id)"
    " AS e ON e.alarm_id = a.alarm_id"
)
_WAYS: Final = {"asc": "ASC", "desc": "DESC"}

Order = Sequence[tuple[str, str]]  # (field, "asc" | "desc")


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmQuery:
    """The alarms that a predicate takes, the newest definitions first if nothing else is said.

    Shape: -> [alarm_id, definition, scope, version, timestamp_ (ms), state_version_] and each of
        ALARM_FIELDS as field_, times in ms
    """

    where: Predicate
    limit: int
    order: Order = (("timestamp", "desc"),)

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(ALARM_FIELDS)
        where = self.where.to_sql(into)
        limit = into.bind("UInt32", self.limit)
        order = ordered(ALARM_FIELDS, self.order, "alarm_id")
        return (
            f"SELECT {_SELECTED} FROM {_FROM} WHERE {where} ORDER BY {order} LIMIT {limit}",
            into.parameters,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmCountQuery:
    """How many alarms a project and a user have. Shape: -> [of_project, of_user]"""

    project_id: str
    user_id: str

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering({})
        project = into.bind("String", self.project_id)
        user = into.bind("String", self.user_id)
        return (
            f"SELECT countIf(project_id = {project}) AS of_project,"
            f" countIf(user_id = {user}) AS of_user FROM {{database}}.alarms FINAL",
            into.parameters,
        )


def ordered(fields: Mapping[str, str], order: Order, key: str) -> str:
    """Return the SQL of an order, ties broken by the key."""
    ways = dict(order)
    return ", ".join(
        f"{fields[field]} {_WAYS[way]}" for field, way in [*ways.items(), *_key_of(ways, key)]
    )


def behind(order: Order, key: str, row: Mapping[str, Value]) -> Predicate:
    """Return what comes after a row (field -> value) in an order, ties broken by the key."""
    ways = dict(order)
    fields = [*ways.items(), *_key_of(ways, key)]
    cases: list[Predicate] = []
    for number, (field, way) in enumerate(fields):
        same = [Compare(name, "eq", row[name]) for name, _ in fields[:number]]
        beyond = Compare(field, "gt" if way == "asc" else "lt", row[field])
        cases.append(AllOf([*same, beyond]))
    return AnyOf(cases)


def _key_of(ways: Mapping[str, str], key: str) -> list[tuple[str, str]]:
    return [] if key in ways else [(key, "asc")]
