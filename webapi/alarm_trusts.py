"""Trusts in the actions of an alarm: one an alarm, made when an action needs it, deleted with the last.

Source: Aodh: the first action that has the trust is marked as the one to delete it with.
"""

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator

from flask import request

from metering.alarms.actions import needs_trust, trust_id, with_trust
from metering.alarms.definition import ACTION_FIELDS, Alarm
from metering.alarms.trusts import Trusts
from webapi.errors import RequestError
from webapi.scope import Scope
from webapi.services import services

_log = logging.getLogger(__name__)


def entrusted(alarm: Alarm, before: Alarm | None, scope: Scope) -> Alarm:
    """Return the alarm with a trust in the actions that need one: the old one, or a new one.

    Raises RequestError: no connection to Keystone (503); TrustsError.
    """
    if not any(map(needs_trust, _actions(alarm))):
        return alarm
    held = _trusts_of(before) if before is not None else []
    trust = held[0] if held else _create(scope)
    firsts = itertools.chain([True], itertools.repeat(False))
    return _with_actions(
        alarm, lambda one: with_trust(one, trust, next(firsts)) if needs_trust(one) else one
    )


@contextlib.contextmanager
def giving_back(after: Alarm, before: Alarm | None) -> Iterator[None]:
    """Give back the trust that was made for `after`, should it not be written after all."""
    try:
        yield
    except Exception:
        give_back(after, before)
        raise


def give_back(before: Alarm, after: Alarm | None) -> None:
    """Delete the trusts of one definition that the other does not have. Raises TrustsError."""
    kept = set(_trusts_of(after)) if after is not None else set()
    trusts = services().alarming.trusts
    for trust in set(_trusts_of(before)) - kept:
        if trusts is None:
            _log.warning("trust %s is left: no connection to OpenStack is configured", trust)
        else:
            trusts.delete(trust, request.headers.get("X-Auth-Token"))


def _create(scope: Scope) -> str:
    roles = [role.strip() for role in request.headers.get("X-Roles", "").split(",")]
    token = request.headers.get("X-Auth-Token")
    return _keystone().create(
        scope.user_id or "", scope.project_id or "", [role for role in roles if role], token
    )


def _keystone() -> Trusts:
    trusts = services().alarming.trusts
    if trusts is None:
        raise RequestError(
            "trust+ actions need a connection to OpenStack, and none is configured here", 503
        )
    return trusts


def _trusts_of(alarm: Alarm) -> list[str]:
    found = (trust_id(action) for action in _actions(alarm))
    return list(dict.fromkeys(trust for trust in found if trust))


def _actions(alarm: Alarm) -> list[str]:
    return [action for state in ACTION_FIELDS for action in alarm.actions(state)]


def _with_actions(alarm: Alarm, change: Callable[[str], str]) -> Alarm:
    return dataclasses.replace(
        alarm,
        ok_actions=tuple(map(change, alarm.ok_actions)),
        alarm_actions=tuple(map(change, alarm.alarm_actions)),
        insufficient_data_actions=tuple(map(change, alarm.insufficient_data_actions)),
    )
