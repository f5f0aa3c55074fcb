"""Alarms: /v2/alarms and /v2/alarms/{id}.

Source: Aodh's v2 API.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from metering.alarms.faults import bad_value
from metering.alarms.reading import Reading
from metering.alarms.states import STATES, UNKNOWN, State
from store.queries.alarms import AlarmQuery
from store.queries.predicate import AllOf, Compare, Predicate
from webapi import alarm_writing
from webapi.alarm_lookup import SORTS, Found, found, own_alarm, page_of
from webapi.alarm_requests import body_json, changed_alarm, check_name, check_room, new_alarm
from webapi.alarm_shapes import moment
from webapi.alarm_trusts import entrusted, give_back, giving_back
from webapi.errors import RequestError, invalid_input
from webapi.fields import QUERY, Condition, check_arguments, conditions_from, timestamp_of
from webapi.scope import Scope, current_scope

bp: Final = Blueprint("alarms", __name__, url_prefix="/v2/alarms")

_FIELDS: Final = (
    "all_projects",
    "user_id",
    "project_id",
    "type",
    "name",
    "enabled",
    "state",
    "severity",
    "timestamp",
    "repeat_actions",
)
_TRUTHS: Final = ("all_projects", "enabled", "repeat_actions")


@bp.get("")
def get_alarms() -> ResponseReturnValue:
    """Alarms of a project, or of all (admin). 400: a bad field, operator, sort, limit or marker."""
    check_arguments(request.args, QUERY | {"sort", "limit", "marker"})
    where = _where(conditions_from(request.args), current_scope())
    return [
        found(row).to_json() for row in page_of(request.args, where, SORTS, "alarm_id", AlarmQuery)
    ]


@bp.post("")
def create_alarm() -> ResponseReturnValue:
    """Create an alarm. 400: a bad definition; 401, 403, 409: not the caller's, no room, no free name."""
    scope, body = current_scope(), body_json()
    state = _state(body, UNKNOWN)
    alarm = new_alarm(body, str(uuid.uuid4()), scope)
    check_room(alarm)
    trusted = entrusted(alarm, None, scope)
    with giving_back(trusted, None), alarm_writing.WRITING:
        check_room(trusted)
        written = alarm_writing.create(trusted, state)
    answer = jsonify(written.to_json())
    answer.headers["Location"] = f"{request.base_url.rstrip('/')}/{alarm.alarm_id}"
    return answer, 201


@bp.get("/<alarm_id>")
def get_alarm(alarm_id: str) -> ResponseReturnValue:
    """One alarm. 404: there is none with this id that the caller may see."""
    check_arguments(request.args, frozenset())
    return own_alarm(alarm_id, current_scope()).to_json()


@bp.put("/<alarm_id>")
def change_alarm(alarm_id: str) -> ResponseReturnValue:
    """Replace an alarm's definition. 400, 401, 409: as when it is created; 404: it is not there."""
    scope, body = current_scope(), body_json()
    before = own_alarm(alarm_id, scope)
    after = entrusted(changed_alarm(body, before.alarm, scope), before.alarm, scope)
    with giving_back(after, before.alarm), alarm_writing.WRITING:
        before = own_alarm(alarm_id, scope)
        check_name(after)
        written = alarm_writing.change(after, _next_state(body, before), before)
    give_back(before.alarm, after)
    return written.to_json()


@bp.delete("/<alarm_id>")
def delete_alarm(alarm_id: str) -> ResponseReturnValue:
    """Delete an alarm and its trust; its history stays. 404: it is not there."""
    scope = current_scope()
    give_back(own_alarm(alarm_id, scope).alarm, None)
    with alarm_writing.WRITING:
        alarm_writing.delete(own_alarm(alarm_id, scope))
    return "", 204


def _where(conditions: Sequence[Condition], scope: Scope) -> Predicate:
    unknown = sorted({one.field for one in conditions} - set(_FIELDS))
    if unknown:
        allowed = f"only fields {', '.join(_FIELDS)} are allowed"
        raise invalid_input("field", ", ".join(unknown)[:100], allowed)
    ops = sorted({one.op for one in conditions} - {"eq"})
    if ops:
        raise invalid_input("op", ", ".join(ops), "only operations eq are allowed")
    asked = [Compare(one.field, "eq", _value(one)) for one in conditions]
    wanted: list[Predicate] = [one for one in asked if one.field != "all_projects"]
    if any(one.field == "all_projects" and one.value for one in asked):
        if not scope.admin:
            raise RequestError("RBAC Authorization Failed", 403)
        return AllOf(wanted)
    projects = [str(one.value) for one in asked if one.field == "project_id"]
    for project in projects:
        scope.check_project(project)
    if not projects and scope.project_id is not None:
        wanted.append(Compare("project_id", "eq", scope.project_id))
    return AllOf(wanted)


def _value(one: Condition) -> Any:
    if one.field in _TRUTHS:
        return one.typed("boolean")
    if one.field == "timestamp":
        try:
            return timestamp_of(one.value)
        except ValueError:
            raise invalid_input("timestamp", one.value, "invalid timestamp format") from None
    return one.value


def _state(body: Any, default: State) -> State:
    reading = Reading("alarm", body)
    state = reading.choice("state", STATES, default)
    return next(one for one in STATES if one == state)


def _next_state(body: Any, before: Found) -> State:
    """Return the state that a request asks for, unless it repeats one that has passed since it was read."""
    asked, read_at = _state(body, before.state.state), body.get("state_timestamp")
    try:
        stale = read_at is not None and timestamp_of(str(read_at)) != moment(before.state.at)
    except ValueError:
        raise bad_value("state_timestamp", str(read_at)[:100], "invalid timestamp format") from None
    return before.state.state if stale else asked
