"""The actions that call nobody: `log`, into the service's log, and `test`, kept in memory."""

import collections
import logging
from typing import Any, Final

import orjson

from metering.alarms.attempts import Outcome
from metering.alarms.transitions import Delivery

_KEPT: Final = 1000
_log = logging.getLogger(__name__)


class Logged:
    """Writes a line into the log: who reads it asked for it."""

    def send(self, delivery: Delivery) -> Outcome:
        """Log a transition."""
        told: dict[str, Any] = orjson.loads(delivery.body)
        _log.warning(
            "alarm %r (%s, %s) went from %s to %s: %r",
            told["alarm_name"],
            told["alarm_id"],
            told["severity"],
            told["previous"],
            told["current"],
            told["reason"],
        )
        return Outcome()

    def close(self) -> None:
        """Nothing is open."""


class Kept:
    """Keeps the last deliveries for who looks at them in this process."""

    def __init__(self) -> None:
        self.deliveries: collections.deque[Delivery] = collections.deque(maxlen=_KEPT)

    def send(self, delivery: Delivery) -> Outcome:
        """Keep a delivery."""
        self.deliveries.append(delivery)
        return Outcome()

    def close(self) -> None:
        """Nothing is open."""
