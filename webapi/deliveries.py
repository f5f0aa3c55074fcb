"""Deliveries of an alarm's actions, and sending one again: /v1/alarms/{id}/deliveries."""

from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.alarms.actions import scrubbed
from metering.alarms.attempts import resent
from metering.alarms.transitions import Delivery
from store.deliveries import delivery_of, insert_deliveries
from store.queries.deliveries import AttemptsQuery, DeliveryQuery
from store.queries.predicate import AllOf, Compare
from webapi.alarm_lookup import own_alarm, page_of, visible
from webapi.alarm_shapes import moment
from webapi.alarm_writing import now_us
from webapi.errors import RequestError, invalid_input
from webapi.fields import check_arguments
from webapi.scope import current_scope
from webapi.services import fetch, services

bp: Final = Blueprint("deliveries", __name__, url_prefix="/v1/alarms/<alarm_id>/deliveries")

_SORTS: Final = ("timestamp",)
_STATES: Final = ("pending", "delivered", "dead")


@bp.get("")
def get_deliveries(alarm_id: str) -> ResponseReturnValue:
    """Deliveries, the newest first. 400: a bad state, sort, limit or marker; 404: never such an alarm."""
    check_arguments(request.args, frozenset({"state", "sort", "limit", "marker"}))
    where, state = _own(alarm_id), request.args.get("state")
    if state is not None and state not in _STATES:
        raise invalid_input("state", state[:100], f"it is one of {', '.join(_STATES)}")
    asked = [Compare("state", "eq", state)] if state else []
    rows = page_of(request.args, AllOf([where, *asked]), _SORTS, "id", DeliveryQuery)
    if not rows and not fetch(DeliveryQuery(where, 1)):
        own_alarm(alarm_id, current_scope())  # raises 404
    return [_json(delivery_of(row)) for row in rows]


@bp.get("/<delivery_id>")
def get_delivery(alarm_id: str, delivery_id: str) -> ResponseReturnValue:
    """One delivery with its body and the attempts at it. 404: there is none."""
    check_arguments(request.args, frozenset())
    found = _one(alarm_id, delivery_id)
    made = fetch(AttemptsQuery(found.id))
    return _json(found) | {
        "body": orjson.loads(found.body),
        "attempts_made": [one | _answered(one["status"], one["error"]) for one in made],
    }


@bp.post("/<delivery_id>/resend")
def resend(alarm_id: str, delivery_id: str) -> ResponseReturnValue:
    """Have a delivery go out once more, whatever became of it. 404: there is none."""
    check_arguments(request.args, frozenset())
    again = resent(_one(alarm_id, delivery_id), now_us() // 1000)
    insert_deliveries(services().store, [again])
    deliver = services().alarming.deliver
    if deliver is not None:
        deliver([again])
    return _json(again), 202


def _own(alarm_id: str) -> AllOf:
    return AllOf([*visible(current_scope()), Compare("alarm_id", "eq", alarm_id)])


def _one(alarm_id: str, delivery_id: str) -> Delivery:
    where = AllOf([_own(alarm_id), Compare("id", "eq", delivery_id)])
    rows = fetch(DeliveryQuery(where, 1))
    if not rows:
        raise RequestError(f"Delivery {delivery_id[:100]} of alarm {alarm_id[:100]} not found", 404)
    return delivery_of(rows[0])


def _json(one: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": one.id,
        "alarm_id": one.alarm_id,
        "event_id": one.transition_id,
        "timestamp": moment(one.created_at),
        "action": scrubbed(one.action),
        "state": one.state,
        "attempts": one.attempts,
        "next_attempt_at": moment(one.next_attempt_at) if one.state == "pending" else None,
        **{
            f"last_{name}": value
            for name, value in _answered(one.last_status, one.last_error).items()
        },
    }


def _answered(status: int, error: str) -> dict[str, Any]:
    return {"status": status or None, "error": error or None}
