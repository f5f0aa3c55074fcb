"""Forwarding what one feed brings to another place: the heart of `streamgauge bridge` and `streamgauge api`.

Guarantee: at least once. The feed hears that its messages are stored only once the other place has
    confirmed them; what a crash leaves comes again. A message that it can never take is set aside in a
    file first.
Errors: ForwardingError, FeedError for what no retry would mend. While the other place is away nothing is
    acknowledged and, once the queue is full, nothing read.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import xxhash

from jobs.faults import ConfigError
from metering.config import Config
from sources.feed import Feed
from sources.hub import Hub
from sources.segment import sync_folder

_QUEUE: Final = 16 * 1024**2  # bytes that may wait
_PAYLOADS: Final = 1000  # taken at once
_BYTES: Final = 3 * 1024**2
_LINGER: Final = 0.02  # s to wait for more once there is one
_SHOWN: Final = 30.0  # s between two lines of status
_PATIENCE: Final = 10.0  # s that the other place may be away once we are to stop

Tell = Callable[[str], None]


class ForwardingError(Exception):
    """Forwarding cannot start or go on; says what to do."""


class Place(Protocol):
    """Where messages go to."""

    name: str
    last_error: str | None

    def fits(self, body: bytes) -> bool:
        """Return whether it can take a message."""
        raise NotImplementedError

    def publish(self, bodies: Sequence[bytes], wait: Callable[[float], bool]) -> bool:
        """Publish messages that fit; return whether all are there.

        `wait` waits so many seconds before another try, and says whether to give up.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""


class Forwarder:
    """Forwards what one feed brings, until `stop` is set; `count` is told how many it forwarded."""

    def __init__(
        self,
        feed: Feed,
        place: Place,
        aside: Path,
        stop: threading.Event,
        tell: Tell,
        count: Callable[[int], None] | None = None,
    ) -> None:
        self._hub = Hub([feed], _QUEUE)
        self._feed = feed
        self._place = place
        self._aside = aside
        self._stop = stop
        self._tell = tell
        self._count = count
        self._shown = time.monotonic()
        self._ends = float("inf")  # monotonic s; when to give up
        self.forwarded = self.set_aside = 0  # messages

    def open(self) -> None:
        """Open the feed and begin to read. Raises FeedError."""
        self._hub.open()

    def run(self) -> None:
        """Forward, and once told to stop what was taken in already. Raises ForwardingError."""
        try:
            while not self._stop.is_set() and self._hub.failed(self._feed.name) is None:
                self._forward(0.2)
                self._show()
            self._hub.stop()
            while self._forward(0) and not self._time_is_up(0):
                pass
            self._tell(self.line())
        finally:
            self._hub.close()
        if (failed := self._hub.failed(self._feed.name)) is not None:
            raise ForwardingError(failed)

    def line(self) -> str:
        """Return the state in a line."""
        trouble = self._place.last_error or self._feed.status()["last_error"]
        aside = f"   {self.set_aside:,} set aside" if self.set_aside else ""
        return f"{self.forwarded:,} messages forwarded{aside}   last error: {trouble or 'none'}"

    def status(self) -> dict[str, Any]:
        """Return the feed's status, the bytes that wait, and the lag in s."""
        return self._hub.status()

    def _forward(self, wait: float) -> bool:
        """Forward what waits and acknowledge it; return whether there was something."""
        taken = self._hub.take(_PAYLOADS, _BYTES, wait, _LINGER)
        if taken:
            bodies = [body for part in taken for body in part.bodies]
            fit = [body for body in bodies if self._place.fits(body)]
            if len(fit) < len(bodies):
                self._put_aside([body for body in bodies if not self._place.fits(body)])
            if self._place.publish(fit, self._time_is_up):
                self._hub.ack(taken)
                self._add(len(fit))
        return bool(taken)

    def _add(self, forwarded: int) -> None:
        self.forwarded += forwarded
        if self._count is not None:
            self._count(forwarded)

    def _put_aside(self, bodies: list[bytes]) -> None:
        for body in bodies:
            set_aside(body, self._aside)
        self.set_aside += len(bodies)

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
            self._tell(self.line())


def rabbitmq_feed(config: Config, name: str | None) -> dict[str, Any]:
    """Return the rabbitmq feed of that name, or the only one there is. Raises ConfigError."""
    feeds = rabbitmq_feeds(config)
    if name is None and len(feeds) == 1:
        return next(iter(feeds.values()))
    if name in feeds:
        return feeds[name]
    known = ", ".join(feeds) or "none"
    if name is None:
        raise ConfigError([f"--feed: which rabbitmq feed? The configuration has: {known}"])
    raise ConfigError([f"--feed: the configuration has no rabbitmq feed {name!r}, but: {known}"])


def rabbitmq_feeds(config: Config) -> dict[str, dict[str, Any]]:
    """Return the configured rabbitmq feeds by name."""
    return {
        str(feed.get("name") or feed["type"]): feed
        for feed in config.feeds
        if feed["type"] == "rabbitmq"
    }


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
