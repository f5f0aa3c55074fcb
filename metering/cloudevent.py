"""CloudEvents: events from anywhere, read as the notifications that definitions know.

An event's type is the event_type, its id and source together name the message, and the body that
JSONPaths start from is the event itself: $.data.x, $.subject, $.source, $.time.
Source: CloudEvents 1.0.2, its JSON format, its bindings to HTTP and to Google Pub/Sub.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

import orjson

from metering.envelope import parse_json, text_field
from metering.identity import content_id
from metering.notification import Notification
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

VERSION: Final = "1.0"
PREFIX: Final = "ce-"  # of headers and attributes that carry an event's own in binary mode
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_DATA: Final = ("data", "data_base64", "datacontenttype")  # never among binary mode's attributes


def is_event(message: object) -> bool:
    """Return whether a message is a CloudEvent of some version, in structured form."""
    return isinstance(message, dict) and "specversion" in message


def structured(attributes: Mapping[str, str], data: bytes) -> bytes | None:
    """Return an event in binary mode as structured JSON; None where it is none.

    `attributes` are the message's attributes or headers, of which `ce-*` and content-type are read.
    """
    named = {name.lower(): value for name, value in attributes.items()}
    own = {name[len(PREFIX) :]: value for name, value in named.items() if name.startswith(PREFIX)}
    if "specversion" not in own:
        return None
    event: dict[str, Any] = {name: value for name, value in own.items() if name not in _DATA}
    content_type = named.get("content-type", "")
    if content_type:
        event["datacontenttype"] = content_type
    if data:
        event |= _carried(data, content_type)
    return orjson.dumps(event)


def event_notification(event: object) -> Notification:
    """Return an event as a notification. Raises RefusedError.

    It needs a time: when something was measured must not depend on when it was sent again.
    """
    if not isinstance(event, dict):
        raise RefusedError("bad_field", "an event is an object")
    version = text_field(event, "specversion")
    if version != VERSION:
        raise RefusedError("bad_field", f"specversion {version[:20]!r} is not {VERSION}")
    event_id, source, kind, time = (
        text_field(event, name) for name in ("id", "source", "type", "time")
    )
    body = _with_plain_data(event)
    data = body.get("data")
    return Notification(
        message_id=content_id((len(source), source, event_id)),
        event_type=kind,
        publisher_id=source,
        priority="",
        generated=parse_ms(time),
        payload=data if isinstance(data, dict | list) else {},
        body=body,
    )


def _carried(data: bytes, content_type: str) -> dict[str, Any]:
    """Return data as the member of a structured event that can hold it."""
    try:
        if _is_json(content_type):
            orjson.loads(data)
            return {"data": orjson.Fragment(data)}
        return {"data": data.decode()}
    except ValueError:  # neither: bytes
        return {"data_base64": base64.b64encode(data).decode()}


def _with_plain_data(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event whose data, if it is JSON, is not bytes. Raises RefusedError."""
    encoded = event.get("data_base64")
    if encoded is None or not _is_json(str(event.get("datacontenttype") or "")):
        return event
    try:
        data = base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError) as error:
        raise RefusedError("bad_field", "data_base64 is no base64") from error
    plain = {name: value for name, value in event.items() if name != "data_base64"}
    return plain | {"data": parse_json(data)}


def _is_json(content_type: str) -> bool:
    """Return whether this is JSON; data that does not say what it is, is."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.endswith(("/json", "+json"))
