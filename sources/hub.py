"""The feeds of this process: a thread each, one bounded queue between them and the job.

The queue's bound in bytes is the back-pressure: while it is full no feed polls. A payload stays its
source's until the job acknowledges it.
"""

import logging
import threading
import time
from collections import deque
from typing import Any

from metering.elements import Payloads
from sources.feed import Feed, FeedError

_POLL: float = 0.2  # s; how soon a feed's thread notices that it should stop
_log = logging.getLogger(__name__)


class Hub:
    """Polls feeds in threads and hands over what they bring.

    Guarantee: what `take` returned is acknowledged by `ack` only; on close the rest is left to its
    sources.
    """

    def __init__(self, feeds: list[Feed], queue_bytes: int) -> None:
        self.feeds = {feed.name: feed for feed in feeds}
        self._bound = queue_bytes
        self.lag = 0.0  # s; from the arrival of the oldest payload last acknowledged
        self._waiting: deque[Payloads] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._empty_since: dict[str, float | None] = dict.fromkeys(self.feeds)
        self._failed: dict[str, str] = {}
        self._finished: set[str] = set()
        self._ending: set[str] = set()

    def open(self) -> None:
        """Open every feed and start polling. Raises FeedError."""
        opened: list[Feed] = []
        try:
            for feed in self.feeds.values():
                feed.open()
                opened.append(feed)
        except FeedError:
            for feed in opened:
                feed.close()
            raise
        for feed in self.feeds.values():
            thread = threading.Thread(target=self._poll, args=(feed,), name=f"feed-{feed.name}")
            thread.daemon = True
            self._threads.append(thread)
            thread.start()

    def take(self, payloads: int, size: int, wait: float, linger: float) -> list[Payloads]:
        """Return what waits, at most about so many payloads and bytes; [] after `wait` s of none.

        More is waited for until the first is `linger` s old, which it is while the job is busy.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping.is_set(), wait)
            if self._waiting and not self._stopping.is_set():
                age = max(time.time() - self._waiting[0].received / 1000, 0.0)
                self._changed.wait_for(lambda: self._enough(payloads, size), max(linger - age, 0))
            taken: list[Payloads] = []
            count = held = 0
            while self._waiting and (not taken or (count < payloads and held < size)):
                part = self._waiting.popleft()
                taken.append(part)
                count += len(part.bodies)
                held += part.size
            self._bytes -= held
            self._changed.notify_all()
        return taken

    def ack(self, taken: list[Payloads]) -> None:
        """Tell the feeds that these, if any, are stored."""
        if not taken:
            return
        for part in taken:
            self.feeds[part.feed].ack(part.receipt)
        self.lag = time.time() - min(part.received for part in taken) / 1000

    def idle(self, name: str) -> bool:
        """Return whether a feed has answered "empty" for its idle bound."""
        since = self._empty_since[name]
        return since is not None and (
            time.monotonic() - since >= self.feeds[name].settings.idle_after
        )

    def end_with_feeds(self, names: set[str]) -> None:
        """Be drained once these feeds have come to their end; others go on for ever."""
        self._ending = names

    @property
    def drained(self) -> bool:
        """Whether the feeds it ends with have come to their end, and nothing waits."""
        return bool(self._ending) and self._ending <= self._finished and not self._waiting

    def failed(self, name: str) -> str | None:
        """Return why a feed stopped; None where it did not fail."""
        return self._failed.get(name)

    @property
    def stopping(self) -> bool:
        """Whether stop was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Stop polling; what is not acknowledged stays with its source."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop polling and close every feed."""
        self.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for feed in self.feeds.values():
            feed.close()

    def status(self) -> dict[str, Any]:
        """Return each feed's status, the bytes that wait, and the lag in s."""
        feeds = {}
        for name, feed in self.feeds.items():
            feeds[name] = {"type": feed.settings.type, **feed.status()}
            if name in self._failed:
                feeds[name] |= {"connected": False, "last_error": self._failed[name]}
        return {"feeds": feeds, "queue_bytes": self._bytes, "lag_seconds": round(self.lag, 3)}

    def _enough(self, payloads: int, size: int) -> bool:
        return (
            self._stopping.is_set()
            or self._bytes >= size
            or sum(len(part.bodies) for part in self._waiting) >= payloads
        )

    def _poll(self, feed: Feed) -> None:
        try:
            while self._room() and not feed.finished():
                part = feed.poll(_POLL)
                if part is None or not part.bodies:
                    self._answered_empty(feed)
                else:
                    self._empty_since[feed.name] = None
                    part.received = int(time.time() * 1000)
                    self._put(part)
        except FeedError as error:
            self._failed[feed.name] = str(error)
            _log.error("feed %s stopped: %s", feed.name, error)
        finally:
            self._finished.add(feed.name)
            with self._changed:
                self._changed.notify_all()

    def _answered_empty(self, feed: Feed) -> None:
        """Take note since when; a feed whose source is away did not answer."""
        if not feed.status()["connected"]:
            self._empty_since[feed.name] = None
        elif self._empty_since[feed.name] is None:
            self._empty_since[feed.name] = time.monotonic()

    def _room(self) -> bool:
        """Wait while the queue is full; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._bound or self._stopping.is_set())
        return not self._stopping.is_set()

    def _put(self, part: Payloads) -> None:
        with self._changed:
            self._waiting.append(part)
            self._bytes += part.size
            self._changed.notify_all()
