"""What pollers have made and the job has not taken: bounded, in order, acknowledged by receipt."""

import itertools
import threading
import time
from collections import deque

from sources.feed import Payloads

BOUND = 4 * 1024**2  # bytes; pollers wait beyond
PART = 1024**2  # bytes that are taken at once


class StoppedError(Exception):
    """The feed is being closed: what is under way ends here."""


class Ticket:
    """One poll's bodies on their way; `stored` once it has ended and all of them are."""

    def __init__(self) -> None:
        self.out = 0
        self.ended = False

    @property
    def stored(self) -> bool:
        """Whether nothing of the poll is on its way any more."""
        return self.ended and not self.out


class Outbox:
    """A queue between the pollers' threads and the feed's.

    `put` waits while it is full: that is the back-pressure, and makes polls overrun and be skipped.
    """

    def __init__(self, feed: str, bound: int = BOUND) -> None:
        self._feed = feed
        self._bound = bound
        self._changed = threading.Condition()
        self._waiting: deque[tuple[bytes, Ticket]] = deque()
        self._bytes = 0
        self._numbers = itertools.count(1)
        self._out: dict[int, list[Ticket]] = {}
        self._stopped = False
        self.stored = 0  # polls

    def put(self, body: bytes, ticket: Ticket) -> None:
        """Add a body of a poll. Raises StoppedError."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._bound or self._stopped)
            if self._stopped:
                raise StoppedError
            ticket.out += 1
            self._waiting.append((body, ticket))
            self._bytes += len(body)
            self._changed.notify_all()

    def end(self, ticket: Ticket) -> None:
        """Say that a poll has put all it had."""
        with self._changed:
            ticket.ended = True
            self.stored += ticket.stored

    def take(self, timeout: float) -> Payloads | None:
        """Return what waits, some PART bytes at the most; waits `timeout` s at the most for any."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._waiting:
                left = deadline - time.monotonic()
                if left <= 0 or self._stopped:
                    return None
                self._changed.wait(left)
            taken: list[tuple[bytes, Ticket]] = []
            left_over = self._bytes - PART
            while self._waiting and (not taken or self._bytes > left_over):
                taken.append(self._waiting.popleft())
                self._bytes -= len(taken[-1][0])
            receipt = next(self._numbers)
            self._out[receipt] = [ticket for _, ticket in taken]
            self._changed.notify_all()
        return Payloads(self._feed, [body for body, _ in taken], receipt)

    def ack(self, receipt: int) -> None:
        """Say that what was taken under a receipt is stored."""
        with self._changed:
            for ticket in self._out.pop(receipt, ()):
                ticket.out -= 1
                self.stored += ticket.stored

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Bytes that the job has not taken yet."""
        return self._bytes
