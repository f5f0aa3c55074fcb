"""CloudEvents by HTTP, for meters from outside OpenStack: POST /v1/events.

Guarantee: answered 201 only after all events of the request are in the spool. Source and id together
    name an event: sent again it changes nothing.
Errors: an event that is none refuses the whole request; what definitions cannot make of a good one
    shows under invalid.
Source: CloudEvents 1.0.2, its bindings to HTTP and JSON.
"""

import time
from typing import Any, Final
from urllib.parse import unquote

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.cloudevent import BATCH, STRUCTURED, event_notification, structured
from metering.refusal import RefusedError
from webapi.errors import RequestError
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("cloudevents", __name__)


@bp.post("/v1/events")
def post_events() -> ResponseReturnValue:
    """Take events, in any mode; admin only. 400: one is none; 503: the spool is full."""
    require_admin()
    bodies = _bodies()
    for number, body in enumerate(bodies):
        _check(body, f"event {number}: " if request.mimetype == BATCH else "")
    if bodies:
        services().spool.append(bodies)
    return {"accepted": len(bodies)}, 201


def _bodies() -> list[bytes]:
    """Return each event as structured JSON. Raises RequestError."""
    data = request.get_data()
    if request.mimetype == BATCH:
        events = _parsed(data)
        if not isinstance(events, list):
            raise RequestError("A batch must be a list of events")
        return [orjson.dumps(event) for event in events]
    if request.mimetype == STRUCTURED:
        return [data]
    headers = {name: unquote(value) for name, value in request.headers}
    if (event := structured(headers, data)) is None:
        raise RequestError(
            f"The body must be {STRUCTURED} or {BATCH}, or the headers ce-specversion, ce-id, ...",
            415,
        )
    return [event]


def _check(body: bytes, which: str) -> None:
    """Raise RequestError for what the job would refuse at sight."""
    decode = services().config.decode
    if len(body) > decode.max_payload_bytes:
        raise RequestError(f"{which}{len(body)} bytes are too many for one event", 413)
    try:
        generated = event_notification(_parsed(body)).generated
    except RefusedError as error:
        raise RequestError(f"{which}{error}") from None
    if generated / 1000 > time.time() + decode.max_ahead:
        why = f"its time lies more than {decode.max_ahead:g} s ahead (decode.max_ahead)"
        raise RequestError(f"{which}{why}")


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
