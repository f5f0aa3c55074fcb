"""The RabbitMQ feed: oslo.messaging notifications from queues of our own.

Guarantee: at least once. A message is acknowledged to the broker only by `ack`; after a lost
    connection the broker delivers again what was not, and receipts of before are void.
Errors: a broker that is away or refuses us is retried for ever, over all urls, with backoff;
    `status` says what is wrong. FeedError: TLS files that cannot be read.
"""

import concurrent.futures
import contextlib
import select
import socket
import ssl
import time
from collections import deque
from typing import Any

from sources.backoff import pause
from sources.feed import Feed, FeedError, Payloads
from sources.rabbitmq_link import Link, LinkError
from sources.rabbitmq_settings import RabbitSettings
from sources.rabbitmq_topology import AwayError, Consuming, connect

Receipt = tuple[int, int]  # number of the connection, highest delivery tag


class RabbitFeed(Feed):
    """Payloads from RabbitMQ."""

    Settings = RabbitSettings
    settings: RabbitSettings

    def __init__(self, settings: RabbitSettings) -> None:
        super().__init__(settings)
        self._addresses = settings.addresses()
        self._link: Link | None = None
        self._attempt: concurrent.futures.Future[Consuming] | None = None
        self._failures = 0  # attempts in a row, or connections lost before a message came
        self._next_attempt = 0.0  # monotonic s
        self._connections = 0
        self._current = 0  # index of the address in use or tried
        self._last_error: str | None = "not connected yet"
        self._stored: deque[Receipt] = deque()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        self._sleeper = select.poll()
        self._sleeper.register(self._wake, select.POLLIN)
        # A broker that does not answer must not hold up `poll`.
        self._connector = concurrent.futures.ThreadPoolExecutor(1, f"{self.name}-connect")
        self._streaming = False  # the last read found something
        self._closed = False

    def open(self) -> None:
        """Check what no retry would mend. Raises FeedError."""
        tls = self.settings.tls
        if all(address.scheme == "amqp" for address in self._addresses):
            return
        try:
            context = ssl.create_default_context(cafile=tls.ca)
            if tls.cert:
                context.load_cert_chain(tls.cert, tls.key)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(file) for file in (tls.ca, tls.cert, tls.key) if file)
            raise FeedError(f"feed {self.name}: cannot use tls files {files}: {error}") from error

    def poll(self, timeout: float) -> Payloads | None:
        """Return what has arrived, or wait for something for at most `timeout` s."""
        deadline = time.monotonic() + timeout
        while True:
            if self._link is None:
                self._reconnect(deadline)
            elif (payloads := self._connected_poll(self._link, deadline)) is not None:
                return payloads
            if time.monotonic() >= deadline:
                return None

    def ack(self, receipt: Receipt) -> None:
        """Say that everything under `receipt` is stored; the polling thread tells the broker."""
        self._stored.append(receipt)
        with contextlib.suppress(BlockingIOError, OSError):  # full: it is awake; closed: too late
            self._waker.send(b"\0")

    def close(self) -> None:
        """Send pending acknowledgements and close; what was not acknowledged comes again."""
        if self._closed:
            return
        self._closed = True
        if self._attempt is not None:
            self._attempt.add_done_callback(_close_unused)
        self._connector.shutdown(wait=False, cancel_futures=True)
        if self._link is not None:
            with contextlib.suppress(LinkError):
                self._acknowledge(self._link)
            self._link.close()
            self._link = None
        self._last_error = "closed"
        self._wake.close()
        self._waker.close()

    def status(self) -> dict[str, Any]:
        """Return connection, trouble, ready messages a queue and what awaits acknowledgement."""
        link = self._link
        return {
            "connected": link is not None,
            "last_error": self._trouble(link),
            "url": str(self._addresses[self._current]),
            "reconnects": max(self._connections - 1, 0),
            "ready": dict(link.depths) if link else {},
            "unacknowledged": link.tag - link.outstanding.acknowledged if link else 0,
            "notes": list(link.notes) if link else [],
        }

    def _trouble(self, link: Link | None) -> str | None:
        if link is None:
            return self._last_error
        if link.blocked is not None:
            return f"the broker takes no new messages: {link.blocked}"
        unbound = [note for note in link.notes if "not bound" in note]
        return "; ".join(unbound) or None

    def _connected_poll(self, link: Link, deadline: float) -> Payloads | None:
        try:
            return self._read(link, deadline)
        except LinkError as error:
            link.drop()
            self._link = None
            if time.monotonic() - link.since > self.settings.backoff_max:
                self._failures = 0
            self._fail(f"{self._addresses[self._current]}: {error}")
            return None

    def _read(self, link: Link, deadline: float) -> Payloads | None:
        self._acknowledge(link)
        if self._streaming and self.settings.gather:
            time.sleep(min(self.settings.gather, max(deadline - time.monotonic(), 0)))
        bodies = link.read()
        link.tend()
        self._streaming = bool(bodies)
        if not bodies:
            link.wait(deadline)
            return None
        self._failures = 0
        link.outstanding.add(link.tag)
        return Payloads(self.name, bodies, (self._connections, link.tag))

    def _acknowledge(self, link: Link) -> None:
        self._clear_wake()
        while self._stored:
            connection, tag = self._stored.popleft()
            if connection == self._connections:
                link.acknowledge(tag)

    def _reconnect(self, deadline: float) -> None:
        now = time.monotonic()
        if self._attempt is None:
            if now < self._next_attempt:
                self._sleep(min(deadline, self._next_attempt) - now)
                return
            address = self._addresses[self._current]
            self._attempt = self._connector.submit(connect, self.settings, address)
        concurrent.futures.wait((self._attempt,), max(deadline - now, 0))
        if self._attempt.done():
            attempt, self._attempt = self._attempt, None
            self._settle(attempt)

    def _settle(self, attempt: "concurrent.futures.Future[Consuming]") -> None:
        try:
            consuming = attempt.result()
        except AwayError as error:
            self._fail(str(error))
            return
        self._connections += 1
        self._last_error = None
        self._link = Link(consuming, self._wake, self.settings.rebind)

    def _fail(self, error: str) -> None:
        """Note what is wrong, and where and when to try again: all urls in turn, then a pause."""
        self._last_error = error
        self._streaming = False
        self._failures += 1
        self._current = (self._current + 1) % len(self._addresses)
        rounds, within = divmod(self._failures, len(self._addresses))
        least, most = self.settings.backoff_min, self.settings.backoff_max
        self._next_attempt = time.monotonic() + (0.0 if within else pause(rounds, least, most))

    def _sleep(self, seconds: float) -> None:
        self._clear_wake()
        self._stored.clear()  # receipts of a connection that is gone are void
        self._sleeper.poll(max(seconds, 0) * 1000)

    def _clear_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)


def _close_unused(attempt: "concurrent.futures.Future[Consuming]") -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().socket.close()
