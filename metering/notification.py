"""A decoded notification, whatever form it came in."""

import dataclasses
from typing import Any


@dataclasses.dataclass(slots=True)
class Notification:
    """One OpenStack notification, out of its envelope.

    `body` is the whole inner message (message_id, publisher_id, event_type, priority, payload,
    timestamp, `_context_*`): what the definitions' JSONPaths start from ($.payload.x, $.publisher_id).
    `body` is never changed by who reads it.
    """

    message_id: str
    event_type: str
    publisher_id: str
    priority: str  # lower case, "" where absent
    generated: int  # ms since the epoch, UTC
    payload: dict[str, Any] | list[Any]
    body: dict[str, Any]
