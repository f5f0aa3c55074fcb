"""Finding alarms that the caller may see, a page at a time.

Source: Aodh's API: sort=key:dir, limit, and a marker that is the last one's id.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from metering.alarms.definition import Alarm
from metering.alarms.states import AlarmState
from store.alarms import alarm_of
from store.queries.alarms import AlarmQuery, Order, behind
from store.queries.predicate import AllOf, AnyOf, Compare, Predicate, Value
from store.queries.run import Query
from webapi.alarm_shapes import alarm_json, moment
from webapi.errors import RequestError, invalid_input
from webapi.fields import Args, bounded_limit, integer_from
from webapi.scope import Scope
from webapi.services import fetch, services

SORTS: Final = (
    "alarm_id",
    "enabled",
    "name",
    "type",
    "severity",
    "timestamp",
    "user_id",
    "project_id",
    "state",
    "repeat_actions",
    "state_timestamp",
)
_MOST_SORTS: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """An alarm in its state; `evaluated` in ms."""

    alarm: Alarm
    state: AlarmState
    evaluated: int

    def to_json(self) -> dict[str, Any]:
        """Return the alarm as it is served."""
        return alarm_json(self.alarm, self.state, self.evaluated)


def found(row: Mapping[str, Any]) -> Found:
    """Return the alarm of a row of AlarmQuery."""
    state = AlarmState(
        row["alarm_id"],
        row["state_"],
        row["state_timestamp_"],
        row["state_reason_"],
        version=row["state_version_"],
    )
    return Found(alarm_of(dict(row)), state, row["evaluate_timestamp_"])


def own_alarm(alarm_id: str, scope: Scope) -> Found:
    """Return an alarm that the caller may see. Raises RequestError (404)."""
    where = AllOf([*visible(scope), Compare("alarm_id", "eq", alarm_id)])
    rows = fetch(AlarmQuery(where, 1))
    if not rows:
        raise no_alarm(alarm_id)
    return found(rows[0])


def alarms_by_id(ids: Sequence[str], project_id: str | None) -> dict[str, Alarm]:
    """Return the alarms of these ids, of one project or of all."""
    named = AnyOf([Compare("alarm_id", "eq", one) for one in ids])
    own = [] if project_id is None else [Compare("project_id", "eq", project_id)]
    rows = fetch(AlarmQuery(AllOf([*own, named]), max(len(ids), 1)))
    return {row["alarm_id"]: alarm_of(row) for row in rows}


def visible(scope: Scope) -> list[Predicate]:
    """Return what limits alarms to those that the caller may see."""
    return [] if scope.admin else [Compare("project_id", "eq", scope.only_project or "")]


def no_alarm(alarm_id: str) -> RequestError:
    """Return the error for an alarm that is not there, or not the caller's: 404."""
    return RequestError(f"Alarm {alarm_id[:100]} not found", 404)


def page_of(
    args: Args,
    where: Predicate,
    sorts: Sequence[str],
    key: str,
    query: Callable[[Predicate, int, Order], Query],
) -> list[dict[str, Any]]:
    """Return the rows of a query that this request's sort, limit and marker ask for. Raises RequestError."""
    limit, order = _limit(args), _order(args.getlist("sort"), sorts)
    marker = args.get("marker")
    if not marker:
        return fetch(query(where, limit, order))
    rows = fetch(query(AllOf([where, Compare(key, "eq", marker)]), 1, order))
    if not rows:
        raise RequestError(f"Invalid marker {marker[:100]}.")
    last = {name: _value(rows[0], name) for name in [*dict(order), key]}
    return fetch(query(AllOf([where, behind(order, key, last)]), limit, order))


def _limit(args: Args) -> int:
    limit = integer_from(args, "limit")
    if limit is None:
        return services().config.api.max_limit
    if limit <= 0:
        raise invalid_input("limit", limit, "it should be a positive integer.")
    return bounded_limit(limit)


def _order(asked: Sequence[str], sorts: Sequence[str]) -> list[tuple[str, str]]:
    order: dict[str, str] = {}
    for text in asked[:_MOST_SORTS]:
        name, _, way = text.partition(":")
        if name not in sorts or way not in ("", "asc", "desc"):
            raise invalid_input(
                "sort",
                text[:100],
                "the sort parameter should be a pair of sort key and sort dir combined with ':', or"
                " only sort key specified and sort dir will be default 'asc', the supported sort"
                f" keys are: {sorts}",
            )
        order.setdefault(name, way or "asc")
    return list(order.items()) or [("timestamp", "desc")]


def _value(row: Mapping[str, Any], name: str) -> Value:
    value = row[name] if name in row else row[f"{name}_"]
    timed = name.endswith("timestamp") and not isinstance(value, dt.datetime)
    return moment(value) if timed else value
