"""Pushes where there is no job in the process: kept in a spool, and forwarded to the queue of the job's feed.

Guarantee: what `append` returned for is on this disk, and there until the broker has confirmed it in the
    queue. A crash in between forwards it again: the job knows it by its message ids.
Errors: SpoolError where nothing is taken; what ends the forwarding is in `failure`.
"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import prometheus_client

from jobs import feeds
from jobs.forwarding import Forwarder, Tell, rabbitmq_feed, rabbitmq_feeds
from metering.config import Config
from sources.rabbitmq_queue import Queue
from sources.rabbitmq_settings import RabbitSettings
from sources.spool import SpoolError, SpoolFeed, SpoolSettings

_ASIDE: Final = "aside"  # folder in the spool's, for what RabbitMQ cannot take
_PATIENCE: Final = 10.0  # s for the spool to empty at the end
_UNTAKEN: Final = (
    "pushes are not taken here: the configuration has no rabbitmq feed to forward them to;"
    " give it the one that the job reads, and start this again"
)
_forwarded: Final = prometheus_client.Counter(
    "streamgauge_pushes_forwarded", "pushes that were forwarded to the queue of the job's feed"
)
_spooled: Final = prometheus_client.Gauge(
    "streamgauge_pushes_waiting", "pushes in the spool that are not confirmed in that queue yet"
)


class Forwarded:
    """Takes pushes into the spool, and forwards them in a thread of its own."""

    def __init__(self, config: Config, settings: RabbitSettings, tell: Tell) -> None:
        self._spool = SpoolFeed(SpoolSettings(name=feeds.RESERVED, **config.spool.model_dump()))
        self._queue = Queue(settings)
        self._stop = threading.Event()
        aside = Path(config.spool.path) / _ASIDE
        self._forwarder = Forwarder(
            self._spool, self._queue, aside, self._stop, tell, _forwarded.inc
        )
        self._thread = threading.Thread(target=self._run, name="forwarding", daemon=True)
        self.where = f"{self._queue.name} of feed {settings.name or settings.type}"
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        _spooled.set_function(lambda: self._spool.status()["records"])

    def start(self) -> None:
        """Take the spool's folder; what is in it goes first. Raises FeedError."""
        self._forwarder.open()
        self._thread.start()

    def append(self, bodies: Sequence[bytes]) -> None:
        """Keep these bodies; durable when it returns. Raises SpoolError."""
        self._spool.append(bodies)

    def close(self) -> None:
        """Forward what is in the spool, but not for long; the rest is forwarded at the next start."""
        ends = time.monotonic() + _PATIENCE
        while self._may_empty() and time.monotonic() < ends:
            self.ended.wait(0.05)
        self._stop.set()
        self._thread.join()
        self._queue.close()

    def status(self) -> dict[str, Any]:
        """Return the spool's status, how many were forwarded where, and what stands against it."""
        forwarder, found = self._forwarder, self._forwarder.status()
        found["feeds"][feeds.RESERVED] |= {
            "forwarded": forwarder.forwarded,
            "set_aside": forwarder.set_aside,
            "to": self.where,
            "last_error": self._queue.last_error or found["feeds"][feeds.RESERVED]["last_error"],
        }
        return found

    def _may_empty(self) -> bool:
        waiting = self._spool.status()["records"]
        return bool(waiting) and self._queue.last_error is None and not self.ended.is_set()

    def _run(self) -> None:
        try:
            self._forwarder.run()
        except BaseException as error:  # noqa: BLE001 - kept, and told by who waits for its end
            self.failure = error
        finally:
            self.ended.set()


class Untaken:
    """Refuses pushes: there is nowhere to forward them to."""

    where = None
    failure = None

    def __init__(self) -> None:
        self.ended = threading.Event()

    def start(self) -> None:
        """Nothing is to be done."""

    def append(self, bodies: Sequence[bytes]) -> None:
        """Raise SpoolError."""
        raise SpoolError(_UNTAKEN)

    def close(self) -> None:
        """Nothing is open."""

    def status(self) -> dict[str, Any]:
        """Return that there is no feed."""
        return {"feeds": {}}


def pushes_of(config: Config, feed: str | None, tell: Tell) -> Forwarded | Untaken:
    """Return what takes pushes: forwarded to the queue of that rabbitmq feed, or of the only one.

    Raises ConfigError where it is not clear which.
    """
    if feed is None and not rabbitmq_feeds(config):
        return Untaken()
    settings = RabbitSettings.model_validate(rabbitmq_feed(config, feed))
    return Forwarded(config, settings, tell)
