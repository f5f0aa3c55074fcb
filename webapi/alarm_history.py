"""What became of an alarm: /v2/alarms/{id}/history. It outlives the alarm.

Source: Aodh's API. Conditions on time are by lt, le, gt and ge, on everything else by eq.
"""

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.alarm_history import AlarmHistoryQuery
from store.queries.predicate import AllOf, Compare, Predicate
from webapi.alarm_lookup import own_alarm, page_of
from webapi.alarm_shapes import change_json
from webapi.errors import invalid_input, unknown_argument
from webapi.fields import QUERY, Condition, check_arguments, conditions_from, timestamp_of
from webapi.scope import Scope, current_scope
from webapi.services import fetch

bp: Final = Blueprint("alarm_history", __name__, url_prefix="/v2/alarms")

SORTS: Final = (
    "event_id",
    "alarm_id",
    "on_behalf_of",
    "project_id",
    "user_id",
    "type",
    "timestamp",
    "severity",
)
_FIELDS: Final = {
    "user": "user_id",
    "user_id": "user_id",
    "project": "project_id",
    "project_id": "project_id",
    "type": "type",
    "severity": "severity",
}


@bp.get("/<alarm_id>/history")
def get_history(alarm_id: str) -> ResponseReturnValue:
    """Entries, the newest first. 400: a bad field, sort, limit or marker; 404: never such an alarm."""
    check_arguments(request.args, QUERY | {"sort", "limit", "marker"})
    scope = current_scope()
    own = AllOf([*of_project(scope), Compare("alarm_id", "eq", alarm_id)])
    where = AllOf([own, *(_compare(one) for one in conditions_from(request.args))])
    rows = page_of(request.args, where, SORTS, "event_id", AlarmHistoryQuery)
    if not rows and not fetch(AlarmHistoryQuery(own, 1)):
        own_alarm(alarm_id, scope)  # raises 404
    return [change_json(row) for row in rows]


def of_project(scope: Scope) -> Sequence[Predicate]:
    """Return what limits the history to what the caller may see."""
    return [] if scope.admin else [Compare("on_behalf_of", "eq", scope.only_project or "")]


def _compare(one: Condition) -> Compare:
    if one.field == "timestamp":
        if one.op not in ("lt", "le", "gt", "ge"):
            raise invalid_input("op", one.op, "unimplemented operator for timestamp")
        try:
            return Compare("timestamp", one.op, timestamp_of(one.value))
        except ValueError:
            raise invalid_input("timestamp", one.value, "invalid timestamp format") from None
    if one.field not in _FIELDS:
        valid = sorted({*_FIELDS, "timestamp"})
        raise unknown_argument(one.field, f"unrecognized field in query, valid keys: {valid}")
    if one.op != "eq":
        raise invalid_input("op", one.op, f"unimplemented operator for {one.field}")
    return Compare(_FIELDS[one.field], "eq", one.value)
