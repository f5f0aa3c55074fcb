"""The bridge: notifications of a RabbitMQ, on to a Google Pub/Sub topic. `streamgauge bridge`.

Guarantee: at least once. A delivery is acknowledged to RabbitMQ only once Pub/Sub has confirmed its
    message; what a crash leaves comes again. A message that Pub/Sub can never take is set aside in a
    file first.
Errors: BridgeError for what no retry would mend. While Pub/Sub is away nothing is acknowledged and,
    once the queue is full, nothing read.
"""

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import xxhash

from jobs.faults import ConfigError
from jobs.signals import stopped_by_signals
from metering.config import Config
from sources.feed import Feed, FeedError
from sources.hub import Hub
from sources.pubsub_access import Access
from sources.pubsub_settings import checked_endpoint
from sources.pubsub_topic import Topic, fits
from sources.rabbitmq import RabbitFeed
from sources.segment import sync_folder

_QUEUE: Final = 16 * 1024**2  # bytes that may wait
_PAYLOADS: Final = 1000  # taken at once
_BYTES: Final = 3 * 1024**2
_LINGER: Final = 0.02  # s to wait for more once there is one
_SHOWN: Final = 30.0  # s between two lines of status
_PATIENCE: Final = 10.0  # s that Pub/Sub may be away once we are to stop

Tell = Callable[[str], None]


class BridgeError(Exception):
    """The bridge cannot start or go on; says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """From where to where; None is what there is only one of, or what google-auth finds."""

    topic: str
    project: str | None
    endpoint: str | None
    credentials: Path | None
    feed: str | None  # name of a rabbitmq feed of the configuration
    aside: Path  # folder for messages that Pub/Sub cannot take


class Bridge:
    """Forwards what one feed brings, until `stop` is set."""

    def __init__(
        self, feed: Feed, topic: Topic, aside: Path, stop: threading.Event, tell: Tell
    ) -> None:
        self._hub = Hub([feed], _QUEUE)
        self._feed = feed
        self._topic = topic
        self._aside = aside
        self._stop = stop
        self._tell = tell
        self._shown = time.monotonic()
        self._ends = float("inf")  # monotonic s; when to give up
        self._forwarded = self._set_aside = 0

    def run(self) -> None:
        """Forward, and once told to stop what was taken in already. Raises BridgeError, FeedError."""
        self._hub.open()
        try:
            while not self._stop.is_set() and self._hub.failed(self._feed.name) is None:
                self._forward(0.2)
                self._show()
            self._hub.stop()
            while self._forward(0) and not self._time_is_up(0):
                pass
            self._tell(self._line())
        finally:
            self._hub.close()
        if (failed := self._hub.failed(self._feed.name)) is not None:
            raise BridgeError(failed)

    def _line(self) -> str:
        """Return the state in a line."""
        trouble = self._topic.last_error or self._feed.status()["last_error"]
        aside = f"   {self._set_aside:,} set aside" if self._set_aside else ""
        return f"{self._forwarded:,} messages forwarded{aside}   last error: {trouble or 'none'}"

    def _forward(self, wait: float) -> bool:
        """Forward what waits and acknowledge it; return whether there was something."""
        taken = self._hub.take(_PAYLOADS, _BYTES, wait, _LINGER)
        if taken:
            bodies = [body for part in taken for body in part.bodies]
            fit = [body for body in bodies if fits(body)]
            if len(fit) < len(bodies):
                self._put_aside([body for body in bodies if not fits(body)])
            if self._topic.publish(fit, self._time_is_up):
                self._forwarded += len(fit)
                self._hub.ack(taken)
        return bool(taken)

    def _put_aside(self, bodies: list[bytes]) -> None:
        for body in bodies:
            set_aside(body, self._aside)
        self._set_aside += len(bodies)

    def _time_is_up(self, seconds: float) -> bool:
        """Wait before another try; return whether there is no time for one."""
        self._show()
        if self._stop.wait(seconds):
            self._ends = min(self._ends, time.monotonic() + _PATIENCE)
            time.sleep(min(seconds, 0.2))
        return time.monotonic() >= self._ends

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _SHOWN:
            self._shown = now
            self._tell(self._line())


def run_bridge(config: Config, way: Way, tell: Tell) -> int:
    """Forward until SIGINT or SIGTERM; return the exit code. Raises BridgeError, ConfigError."""
    settings = RabbitFeed.Settings.model_validate(_chosen(config, way.feed))
    stop = threading.Event()
    try:
        topic = Topic(way.topic, _access(way))
        feed = RabbitFeed(settings)
        bridge = Bridge(feed, topic, way.aside, stop, tell)
        with stopped_by_signals(stop):
            tell(f"forwarding {feed.name} to {topic.name}")
            bridge.run()
    except FeedError as error:
        raise BridgeError(str(error)) from error
    topic.close()
    tell("stopped")
    return 0


def _chosen(config: Config, name: str | None) -> dict[str, Any]:
    """Return the rabbitmq feed of that name, or the only one there is. Raises ConfigError."""
    feeds = {
        str(feed.get("name") or feed["type"]): feed
        for feed in config.feeds
        if feed["type"] == "rabbitmq"
    }
    if name is None and len(feeds) == 1:
        return next(iter(feeds.values()))
    if name in feeds:
        return feeds[name]
    known = ", ".join(feeds) or "none"
    if name is None:
        raise ConfigError([f"--feed: which rabbitmq feed? The configuration has: {known}"])
    raise ConfigError([f"--feed: the configuration has no rabbitmq feed {name!r}, but: {known}"])


def _access(way: Way) -> Access:
    """Raises ConfigError."""
    try:
        endpoint = way.endpoint and checked_endpoint(way.endpoint)
    except ValueError as error:
        raise ConfigError([f"--endpoint: {error}"]) from error
    return Access(way.project, endpoint, way.credentials)


def set_aside(body: bytes, folder: Path) -> None:
    """Keep a message in a file that is named by its content; durable when it returns."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{xxhash.xxh128_hexdigest(body)}.part"
    with part.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    part.replace(part.with_suffix(".payload"))
    sync_folder(folder)
