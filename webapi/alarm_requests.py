"""From a request to an alarm that may be stored: whose it is, what it calls and looks at.

Source: Aodh's API. Its quota of a project is compared with the user's alarms; ours with the project's.
"""

import dataclasses
from typing import Any, Final

import orjson
from flask import request

from metering.alarms.actions import ADMINS_ONLY, needs_trust, parts_of
from metering.alarms.composition import CompositeRule
from metering.alarms.definition import ACTION_FIELDS, Alarm, alarm_from
from metering.alarms.meter_rules import StatisticsRule
from store.alarm_quotas import quotas_of
from store.queries.alarms import AlarmCountQuery, AlarmQuery
from store.queries.predicate import AllOf, Compare, NoneOf
from webapi.alarm_lookup import alarms_by_id, no_alarm
from webapi.errors import RequestError, not_authorized
from webapi.scope import Scope
from webapi.services import fetch, services

QUOTA: Final = "alarms"
_MOST_STEPS: Final = 100  # levels of alarms that look at alarms


def body_json() -> Any:
    """Return this request's body. Raises RequestError."""
    try:
        return orjson.loads(request.get_data() or b"null")
    except orjson.JSONDecodeError as error:
        raise RequestError(f"Request body invalid: it is no JSON: {error}") from None


def new_alarm(body: Any, alarm_id: str, scope: Scope) -> Alarm:
    """Return the alarm that is asked for, owned and checked. Raises DefinitionError, RequestError."""
    alarm = alarm_from(body, alarm_id)
    owners = {
        "user": (alarm.user_id, scope.user_id),
        "project": (alarm.project_id, scope.project_id),
    }
    for aspect, (asked, caller) in owners.items():
        if not scope.admin and asked and asked != caller:
            raise not_authorized(asked, aspect)
    owned = dataclasses.replace(
        alarm,
        user_id=alarm.user_id or scope.user_id or "",
        project_id=alarm.project_id or scope.project_id or "",
    )
    return _checked(owned, scope)


def changed_alarm(body: Any, before: Alarm, scope: Scope) -> Alarm:
    """Return the alarm as it is to be, owned and checked. Raises as `new_alarm`."""
    alarm = alarm_from(body, before.alarm_id)
    if scope.admin:
        user_id, project_id = alarm.user_id or before.user_id, alarm.project_id or before.project_id
    else:
        user_id, project_id = scope.user_id or before.user_id, before.project_id
    return _checked(dataclasses.replace(alarm, user_id=user_id, project_id=project_id), scope)


def check_name(alarm: Alarm) -> None:
    """Let only a name pass that no other alarm of the project has. Raises RequestError (409)."""
    same = [Compare(field, "eq", getattr(alarm, field)) for field in ("project_id", "name")]
    others = AllOf([*same, NoneOf(Compare("alarm_id", "eq", alarm.alarm_id))])
    if fetch(AlarmQuery(others, 1)):
        raise RequestError(f"Alarm with name='{alarm.name}' exists", 409)


def check_room(alarm: Alarm) -> None:
    """Let only a new alarm pass for which there is a name and room. Raises RequestError (403, 409)."""
    check_name(alarm)
    settings = services().config.alarms
    (count,) = fetch(AlarmCountQuery(alarm.project_id, alarm.user_id))
    limit = quotas_of(services().store, alarm.project_id).get(QUOTA, settings.project_quota)
    over_project = limit != -1 and count["of_project"] >= limit
    over_user = settings.user_quota != -1 and count["of_user"] >= settings.user_quota
    if over_project or over_user:
        raise RequestError(
            f"Alarm quota exceeded for user {alarm.user_id} on project {alarm.project_id}", 403
        )


def _checked(alarm: Alarm, scope: Scope) -> Alarm:
    """Return the alarm with what it may look at. Raises DefinitionError, RequestError."""
    _check_actions(alarm, scope)
    on_behalf = alarm.project_id if alarm.project_id != (scope.project_id or "") else None
    limited = dataclasses.replace(alarm, scope=on_behalf if scope.admin else alarm.project_id)
    _check_projects(limited)
    _check_references(limited)
    return limited


def _check_actions(alarm: Alarm, scope: Scope) -> None:
    most = services().config.alarms.max_actions
    for state, field in ACTION_FIELDS.items():
        actions = alarm.actions(state)
        if 0 < most < len(actions):
            raise RequestError(f"{field} count exceeds maximum value {most}")
        for action in actions:
            parts = parts_of(action)
            if parts.scheme in ADMINS_ONLY and not scope.admin:
                raise RequestError(f"You are not authorized to create action: {action}", 401)
            if needs_trust(action) and "@" in parts.netloc:
                raise RequestError("trust URL cannot contain a trust ID.")


def _check_projects(alarm: Alarm) -> None:
    """Let no query pass that asks for another project than the alarm may look at."""
    rules = alarm.rule.leaves() if isinstance(alarm.rule, CompositeRule) else [alarm.rule]
    queries = [rule.query for rule in rules if isinstance(rule, StatisticsRule)]
    for one in (condition for query in queries for condition in query):
        if one.field in ("project", "project_id") and alarm.scope not in (None, one.value):
            raise not_authorized(one.value)


def _check_references(alarm: Alarm) -> None:
    """Let only alarms be looked at that are there, and never the alarm itself."""
    if alarm.alarm_id in alarm.alarm_ids():
        raise RequestError(f"Cannot specify alarm {alarm.alarm_id} itself in combination rule")
    wanted = set(alarm.alarm_ids())
    for _ in range(_MOST_STEPS):
        if not wanted:
            return
        there = alarms_by_id(sorted(wanted), alarm.scope)
        missing = sorted(set(alarm.alarm_ids()) & wanted - there.keys())
        if missing:
            raise no_alarm(missing[0])
        wanted = {name for one in there.values() for name in one.alarm_ids()}
        if alarm.alarm_id in wanted:
            raise RequestError(f"Alarm {alarm.alarm_id} would depend on itself")
    raise RequestError(f"Alarms look at alarms more than {_MOST_STEPS} levels deep")
