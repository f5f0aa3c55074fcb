"""The state of an alarm, asked for and set by hand: /v2/alarms/{id}/state.

Source: Aodh's API: the body is a bare JSON text such as "ok". Setting a state calls no action.
"""

from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from metering.alarms.states import STATES
from webapi import alarm_writing
from webapi.alarm_lookup import own_alarm
from webapi.alarm_requests import body_json
from webapi.errors import RequestError
from webapi.fields import check_arguments
from webapi.scope import current_scope

bp: Final = Blueprint("alarm_state", __name__, url_prefix="/v2/alarms")


@bp.get("/<alarm_id>/state")
def get_state(alarm_id: str) -> ResponseReturnValue:
    """The state. 404: there is no such alarm that the caller may see."""
    check_arguments(request.args, frozenset())
    return jsonify(own_alarm(alarm_id, current_scope()).state.state)


@bp.put("/<alarm_id>/state")
def put_state(alarm_id: str) -> ResponseReturnValue:
    """Set the state. 400: it is none; 404: there is no such alarm that the caller may see."""
    scope, asked = current_scope(), body_json()
    with alarm_writing.WRITING:
        before = own_alarm(alarm_id, scope)
        state = next((one for one in STATES if one == asked), None)
        if state is None:
            raise RequestError("state invalid")
        alarm_writing.set_state(state, before)
    return jsonify(state)
