"""The recorded notifications: etc/demo/corpus, one oslo.messaging body a line."""

import functools
import gzip
import json
from pathlib import Path
from typing import Any

from metering.notification import Notification
from metering.timestamps import parse_ms

GENERATED = 1_795_000_000_000  # of notifications made up
FOLDER = Path(__file__).parent.parent / "etc" / "demo" / "corpus"


@functools.cache
def bodies() -> tuple[bytes, ...]:
    """Return every recorded message body, as it crossed the queue."""
    lines: list[bytes] = []
    for path in sorted(FOLDER.glob("*.jsonl.gz")):
        lines += gzip.decompress(path.read_bytes()).splitlines()
    return tuple(lines)


def notification(message: dict[str, Any]) -> Notification:
    """Return the Notification of an inner message."""
    return Notification(
        message_id=message["message_id"],
        event_type=message["event_type"],
        publisher_id=message["publisher_id"],
        priority=message["priority"].lower(),
        generated=parse_ms(message["timestamp"]),
        payload=message["payload"],
        body=message,
    )


@functools.cache
def notifications() -> tuple[Notification, ...]:
    """Return every recorded notification."""
    return tuple(notification(json.loads(json.loads(b)["oslo.message"])) for b in bodies())


def example(event_type: str) -> Notification:
    """Return the first recorded notification of an event type."""
    return next(n for n in notifications() if n.event_type == event_type)


def notified(payload: Any, event_type: str = "thing.create", **context: Any) -> Notification:
    """Return a notification made up around a payload."""
    body = {"event_type": event_type, "publisher_id": "thing.host", "payload": payload, **context}
    return Notification("m-1", event_type, "thing.host", "info", GENERATED, payload, body)
