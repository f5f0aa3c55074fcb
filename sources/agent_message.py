"""A batch of samples as Ceilometer's polling agents send it, in oslo.messaging's envelope."""

from collections.abc import Sequence
from typing import Any

import orjson

from metering.signature import signature


def agent_message(
    samples: Sequence[dict[str, Any]], publisher: str, timestamp: str, message_id: str
) -> bytes:
    """Return the message; `message_id` is a UUID."""
    message = {
        "message_id": message_id,
        "publisher_id": publisher,
        "event_type": "telemetry.polling",
        "priority": "SAMPLE",
        "payload": {"samples": samples},
        "timestamp": timestamp,
        "_unique_id": message_id.replace("-", ""),
    }
    inner = orjson.dumps(message).decode()
    return orjson.dumps({"oslo.version": "2.0", "oslo.message": inner})


def stray_message(answer: Any, poller: str, reason: str) -> bytes:
    """Return a payload for an answer that is none: it is refused, and kept with its reason."""
    return orjson.dumps({"unreadable": answer, "poller": poller, "reason": reason}, default=repr)


def signed(samples: Sequence[dict[str, Any]], secret: str) -> list[dict[str, Any]]:
    """Return samples with the signature that a shared secret gives them."""
    plain = orjson.loads(orjson.dumps(samples))
    return [{**each, "message_signature": signature(each, secret)} for each in plain]
