"""Samples pushed by REST: POST /v2/meters/{name}.

Guarantee: answered 201 only after the samples are in the spool, as one `telemetry.api` notification.
Errors: a sample that the job would refuse is refused here, and with it the whole request.
Source: Ceilometer's v2 API.
"""

import datetime as dt
import uuid
from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.refusal import RefusedError
from metering.samples import DEFAULT_SOURCE, draft_sample
from metering.schema import SAMPLE_TYPES
from metering.signature import signature
from webapi.errors import RequestError, invalid_input
from webapi.fields import check_arguments
from webapi.scope import Scope, current_scope
from webapi.services import services

bp: Final = Blueprint("push", __name__, url_prefix="/v2/meters")

_MANDATORY: Final = (
    "counter_name",
    "counter_type",
    "counter_unit",
    "counter_volume",
    "resource_id",
)
_OPTIONAL: Final = ("user_id", "project_id", "source", "timestamp", "resource_metadata")
_UNSETTABLE: Final = ("message_id", "recorded_at")
_ATTRIBUTES: Final = frozenset({*_MANDATORY, *_OPTIONAL, *_UNSETTABLE})
_MOST: Final = 10_000  # samples in a request


@bp.post("/<meter>")
def push_samples(meter: str) -> ResponseReturnValue:
    """Take samples of a meter; answers them with their ids. 400: a bad sample; 503: the spool is full.

    `direct` is taken and changes nothing: samples are durable once answered either way.
    """
    check_arguments(request.args, frozenset({"direct"}))
    scope, now = current_scope(), dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    taken = [_sample(one, meter, scope, now) for one in _body()]
    _check_ahead(taken, now)
    notification = _notification(taken, now)
    if len(notification) > services().config.decode.max_payload_bytes:
        raise RequestError("These are too many or too large samples for one request", 413)
    services().spool.append([notification])
    return taken, 201


def _body() -> list[Any]:
    try:
        body = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    if not isinstance(body, list):
        raise RequestError("The body must be a list of samples")
    if not body:
        raise RequestError("Samples should be included in request body")
    if len(body) > _MOST:
        raise RequestError(f"A request takes at most {_MOST} samples, not {len(body)}", 413)
    return body


def _sample(given: Any, meter: str, scope: Scope, now: dt.datetime) -> dict[str, Any]:
    """Return one sample as it goes into the notification. Raises RequestError."""
    _check_attributes(given)
    _check_fixed(given, meter)
    project_id = given.get("project_id") or scope.project_id
    if not scope.admin and project_id != scope.project_id:
        raise invalid_input("project_id", project_id, "can not post samples to other projects")
    source = given.get("source") or DEFAULT_SOURCE
    sample = {
        **{name: given[name] for name in _MANDATORY},
        "user_id": given.get("user_id") or scope.user_id,
        "project_id": project_id,
        "source": f"{project_id}:{source}" if project_id else source,
        "timestamp": given.get("timestamp") or now.isoformat(),
        "resource_metadata": given.get("resource_metadata") or {},
        "message_id": str(uuid.uuid4()),
    }
    try:
        draft = draft_sample(sample)
    except RefusedError as error:
        raise _refused(error, given) from None
    return {**sample, "counter_volume": draft.volume, "timestamp": _isotime(draft.timestamp)}


def _check_attributes(given: Any) -> None:
    if not isinstance(given, dict):
        raise RequestError("Each sample must be an object")
    for name in given:
        if name not in _ATTRIBUTES:
            raise RequestError(f"Unknown attribute: {name}")
    for name in _MANDATORY:
        if given.get(name) is None:
            raise invalid_input(name, None, "Mandatory field missing.")


def _check_fixed(given: dict[str, Any], meter: str) -> None:
    if given["counter_name"] != meter:
        raise invalid_input("counter_name", given["counter_name"], f"should be {meter}")
    if given.get("message_id"):
        raise invalid_input("message_id", given["message_id"], "The message_id must not be set")
    if given["counter_type"] not in SAMPLE_TYPES:
        known = ", ".join(SAMPLE_TYPES)
        raise invalid_input(
            "counter_type", given["counter_type"], f"The counter type must be: {known}"
        )


_FIELDS: Final = {"bad_volume": "counter_volume", "bad_timestamp": "timestamp"}


def _refused(error: RefusedError, given: dict[str, Any]) -> RequestError:
    """Return the answer to a sample that the job would not take."""
    field = _FIELDS.get(error.reason)
    if field is None and error.detail in _ATTRIBUTES:
        field = error.detail  # what is missing or empty
    return invalid_input(field, given.get(field), str(error)) if field else RequestError(str(error))


def _check_ahead(samples: list[dict[str, Any]], now: dt.datetime) -> None:
    ahead = services().config.decode.max_ahead
    latest = (now + dt.timedelta(seconds=ahead)).isoformat()
    for sample in samples:
        if sample["timestamp"] > latest:
            why = f"it lies more than {ahead:g} s ahead (decode.max_ahead)"
            raise invalid_input("timestamp", sample["timestamp"], why)


def _notification(samples: list[dict[str, Any]], now: dt.datetime) -> bytes:
    secret = services().config.decode.telemetry_secret
    if secret is not None:
        key = secret.get_secret_value()
        samples = [{**one, "message_signature": signature(one, key)} for one in samples]
    return orjson.dumps(
        {
            "message_id": str(uuid.uuid4()),
            "publisher_id": "streamgauge-api",
            "event_type": "telemetry.api",
            "priority": "SAMPLE",
            "timestamp": now.isoformat(),
            "payload": {"samples": samples},
        }
    )


def _isotime(timestamp: int) -> str:
    epoch = dt.datetime(1970, 1, 1)
    return (epoch + dt.timedelta(milliseconds=timestamp)).isoformat()
