"""What a rule would have done, and why an alarm is in its state: /v1/alarms/dry-run and .../explain."""

import uuid
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.alarms.reading import Reading
from metering.refusal import RefusedError
from metering.timestamps import parse_ms
from webapi.alarm_lookup import own_alarm
from webapi.alarm_requests import body_json, new_alarm
from webapi.alarm_shapes import alarm_json, transition_json
from webapi.errors import RequestError, invalid_input
from webapi.fields import check_arguments
from webapi.scope import current_scope
from webapi.services import services

bp: Final = Blueprint("alarm_trials", __name__, url_prefix="/v1/alarms")


@bp.post("/dry-run")
def dry_run() -> ResponseReturnValue:
    """The transitions that a definition would have made of stored samples; nothing is kept or called.

    400: a bad definition, start or end; 503: this process does not evaluate alarms.
    """
    scope, reading = current_scope(), Reading("dry-run", body_json())
    reading.only(("alarm", "start", "end"))
    start, end = _moment(reading, "start"), _moment(reading, "end")
    if start >= end:
        raise invalid_input("end", reading.text("end"), "it must be after the start")
    alarm = new_alarm(reading.value("alarm"), str(uuid.uuid4()), scope)
    evaluate = services().alarming.dry_run
    if evaluate is None:
        raise _not_here()
    return {"transitions": [transition_json(one) for one in evaluate(alarm, start, end)]}


@bp.get("/<alarm_id>/explain")
def explain(alarm_id: str) -> ResponseReturnValue:
    """The buckets and samples behind the present state. 404: no such alarm; 503: as for a dry run."""
    check_arguments(request.args, frozenset())
    found = own_alarm(alarm_id, current_scope())
    look = services().alarming.explain
    if look is None:
        raise _not_here()
    told: dict[str, Any] = alarm_json(found.alarm, found.state, found.evaluated)
    return {"alarm": told, **look(found.alarm)}


def _moment(reading: Reading, field: str) -> int:
    text = reading.text(field)
    try:
        return parse_ms(text)
    except RefusedError:
        raise invalid_input(field, text[:100], "invalid timestamp format") from None


def _not_here() -> RequestError:
    return RequestError("Alarms are not evaluated by this process", 503)
