"""Events, their types and traits: /v2/events and /v2/event_types.

Source: Ceilometer's and Panko's v2 API: a field that is no event's own is a trait's, of type string
    unless said; a trait's value is given as text.
"""

import datetime as dt
from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.events import (
    TRAIT_TYPES,
    CompareTrait,
    EventQuery,
    EventTypeQuery,
    HasTrait,
    TraitDescriptionQuery,
)
from store.queries.predicate import AllOf, Compare, Predicate
from webapi.errors import RequestError, invalid_input, not_found
from webapi.fields import QUERY, Condition, check_arguments, conditions_from, limit_from
from webapi.scope import Scope, current_scope, require_admin
from webapi.services import fetch, services

bp: Final = Blueprint("events", __name__)

_TIMES: Final = {"start_timestamp": "ge", "end_timestamp": "le"}
_OWN: Final = ("event_type", "message_id")


@bp.get("/v2/events")
def get_events() -> ResponseReturnValue:
    """Events, the oldest first. 400: a bad operator, type, value or limit."""
    check_arguments(request.args, QUERY | {"limit"})
    parts = [_predicate(one) for one in conditions_from(request.args)]
    where = AllOf([*_scoped(current_scope()), *parts])
    return [_event(row) for row in fetch(EventQuery(where, limit_from(request.args)))]


@bp.get("/v2/events/<any_text:message_id>")
def get_event(message_id: str) -> ResponseReturnValue:
    """One event. 404: it is not there, or not the caller's to see."""
    check_arguments(request.args, frozenset())
    where = AllOf([*_scoped(current_scope()), Compare("message_id", "eq", message_id)])
    rows = fetch(EventQuery(where, 1))
    if not rows:
        raise not_found("Event", message_id)
    return _event(rows[0])


@bp.get("/v2/event_types")
def get_event_types() -> ResponseReturnValue:
    """The types of events there are; admin only."""
    require_admin()
    check_arguments(request.args, frozenset())
    return [row["event_type"] for row in fetch(EventTypeQuery(_most()))]


@bp.get("/v2/event_types/<event_type>")
def get_event_type(event_type: str) -> ResponseReturnValue:
    """404, always: a type has nothing to tell but its traits, a level below."""
    require_admin()
    raise not_found("EventType", event_type)


@bp.get("/v2/event_types/<event_type>/traits")
def get_trait_descriptions(event_type: str) -> ResponseReturnValue:
    """The traits that events of a type have; admin only."""
    require_admin()
    check_arguments(request.args, frozenset())
    return fetch(TraitDescriptionQuery(event_type, _most()))


@bp.get("/v2/event_types/<event_type>/traits/<any_text:trait>")
def get_traits(event_type: str, trait: str) -> ResponseReturnValue:
    """A trait as every event of a type has it; admin only."""
    require_admin()
    check_arguments(request.args, frozenset())
    where = AllOf([Compare("event_type", "eq", event_type), HasTrait(trait)])
    rows = fetch(EventQuery(where, _most()))
    return [one for row in rows for one in _traits(row) if one["name"] == trait]


def _most() -> int:
    return services().config.api.max_limit


def _scoped(scope: Scope) -> list[Predicate]:
    if scope.admin:
        return []
    return [Compare("project_id", "eq", scope.only_project or "")]


def _predicate(one: Condition) -> Predicate:
    """Return what a condition asks of events. Raises RequestError."""
    if one.field in _OWN:
        if one.op != "eq":
            raise invalid_input("op", one.op, f"unimplemented operator for {one.field}")
        return Compare(one.field, "eq", one.value)
    if one.field in _TIMES:
        return _time(one, _TIMES[one.field])
    kind = one.type or "string"
    if kind not in TRAIT_TYPES:
        raise RequestError(
            f"The trait type {kind} is not supported. The supported types are: {list(TRAIT_TYPES)}"
        )
    return CompareTrait(one.field, kind, one.op, one.typed("string"))


def _time(one: Condition, op: str) -> Predicate:
    if one.op not in (op, "eq"):  # a condition without an operator comes as eq
        raise invalid_input("op", one.op, f"unimplemented operator for {one.field}")
    time = Condition(one.field, one.op, one.value, "datetime").typed()
    assert isinstance(time, dt.datetime)
    return Compare("generated", op, time)


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_id": row["message_id"],
        "event_type": row["event_type"],
        "generated": row["generated"],
        "traits": _traits(row),
        "raw": orjson.loads(row["raw"] or "{}"),
    }


def _traits(row: dict[str, Any]) -> list[dict[str, str]]:
    """Return an event's traits, by name; values as text."""
    found = [
        {"name": name, "type": kind, "value": _text(value)}
        for kind, (column, _) in TRAIT_TYPES.items()
        for name, value in row[column].items()
    ]
    return sorted(found, key=lambda trait: (trait["name"], trait["type"]))


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat()
    return str(value)
