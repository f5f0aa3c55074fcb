"""From a payload's bytes to the message inside: oslo.messaging's envelope, or none.

Source: oslo.messaging's message format 2.0: {"oslo.version": "2.0", "oslo.message": "<JSON text>"}.
"""

import json
from typing import Any

import orjson

from metering.notification import Notification
from metering.refusal import RefusedError
from metering.timestamps import parse_ms


def inner_text(body: bytes) -> str | None:
    """Return the JSON text inside an envelope; None where a closer look is needed (parse_body)."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    text = envelope.get("oslo.message") if type(envelope) is dict else None
    return text if type(text) is str else None


def parse_body(body: bytes) -> Any:
    """Return the message in a body of any form: enveloped, bare, or recorded as {"body": ...}.

    Raises RefusedError.
    """
    message = parse_json(body)
    if isinstance(message, dict) and isinstance(message.get("body"), dict):
        message = message["body"]
    if isinstance(message, dict) and "oslo.message" in message:
        inner = message["oslo.message"]
        if not isinstance(inner, str):
            raise RefusedError("bad_envelope", "oslo.message is not text")
        return parse_json(inner)
    return message


def parse_json(text: bytes | str) -> Any:
    """Parse JSON, also as Python's services write it (NaN, Infinity). Raises RefusedError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_leniently(text)


def _parse_leniently(text: bytes | str) -> Any:
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise RefusedError("not_utf8", f"{error.reason} at {error.start}") from error
    except RecursionError as error:
        raise RefusedError("bad_json", "nested too deeply") from error
    except ValueError as error:
        raise RefusedError("bad_json", str(error)[:200]) from error
    return value


def notification(message: dict[str, Any]) -> Notification:
    """Return the notification that a message is. Raises RefusedError."""
    event_type = text_field(message, "event_type")
    if "payload" not in message:
        raise RefusedError("missing_field", "payload")
    payload = message["payload"]
    if "timestamp" not in message:
        raise RefusedError("missing_field", "timestamp")
    return Notification(
        message_id=text_field(message, "message_id"),
        event_type=event_type,
        publisher_id=str(message.get("publisher_id") or ""),
        priority=str(message.get("priority") or "").lower(),
        generated=parse_ms(message["timestamp"]),
        payload=payload if isinstance(payload, dict | list) else {},
        body=message,
    )


def text_field(message: dict[str, Any], name: str) -> str:
    """Return a field that must be there and be text. Raises RefusedError."""
    value = message.get(name)
    if value is None or value == "":
        raise RefusedError("missing_field", name)
    if not isinstance(value, str):
        raise RefusedError("bad_field", f"{name} is no text")
    return value
