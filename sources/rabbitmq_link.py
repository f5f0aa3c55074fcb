"""A consuming connection to one broker: deliveries in, acknowledgements and signs of life out.

Errors: LinkError when it is lost; whatever was not acknowledged comes again over the next one.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections import deque
from typing import Final

from sources import amqp_frames as frames
from sources.rabbitmq_topology import CHANNEL, Consuming

RECEIVE: Final = 256 * 1024  # bytes asked of the socket at once
MESSAGES: Final = 2_000  # a read ends beyond so many
BYTES: Final = 4 * 1024**2  # ... or so many bytes
DEPTH_EVERY: Final = 5.0  # s between questions for the queues' depth
CLOSE_SECONDS: Final = 3.0  # that the broker may take to say good-bye

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LinkError(Exception):
    """The connection is lost; the text says why."""


class Outstanding:
    """Receipts of one connection not yet acknowledged to the broker, each a delivery tag.

    An acknowledgement covers all tags before it, so one that overtakes another has to wait.
    """

    def __init__(self) -> None:
        self._tags: deque[int] = deque()
        self._stored: set[int] = set()
        self.acknowledged = 0  # the highest tag the broker may forget

    def add(self, tag: int) -> None:
        """Note that everything up to `tag` was handed out under one receipt."""
        self._tags.append(tag)

    def store(self, tag: int) -> bool:
        """Note that `tag`'s receipt is stored; return whether `acknowledged` has grown."""
        if tag > self.acknowledged:
            self._stored.add(tag)
        before = self.acknowledged
        while self._tags and self._tags[0] in self._stored:
            self.acknowledged = self._tags.popleft()
            self._stored.discard(self.acknowledged)
        return self.acknowledged > before


class Link:
    """One consuming socket. Used by one thread; `wake` is readable when there is something to do."""

    def __init__(self, consuming: Consuming, wake: socket.socket, rebind: float) -> None:
        self.outstanding = Outstanding()
        self.notes = consuming.notes
        self.depths: dict[str, int] = {}  # queue -> ready messages
        self.blocked: str | None = None  # why the broker takes no messages from anyone
        self._socket = consuming.socket
        self._reader = frames.DeliveryReader(CHANNEL, consuming.frame_max)
        self._heartbeat = consuming.heartbeat
        self._unsent = b""
        self._bindings = [frames.bind(CHANNEL, *each) for each in consuming.bindings]
        self._queues = list(dict.fromkeys(queue for queue, _, _ in consuming.bindings))
        self._rebind_every = rebind
        now = self.since = time.monotonic()
        self._received_at = self._sent_at = self._bound_at = now
        self._asked_at = now - DEPTH_EVERY
        self._poll = select.poll()
        self._poll.register(wake, select.POLLIN)
        self._poll.register(self._socket, select.POLLIN)

    @property
    def tag(self) -> int:
        """The highest delivery tag read."""
        return self._reader.tag

    def read(self) -> list[bytes]:
        """Return the bodies that have arrived, within bounds. Raises LinkError."""
        bodies: list[bytes] = []
        size = 0
        try:
            while len(bodies) < MESSAGES and size < BYTES:
                data = self._socket.recv(RECEIVE)
                if not data:
                    raise LinkError("the broker closed the connection")
                size += len(data)
                bodies += self._reader.feed(data)
        except _NOT_NOW:
            pass
        except (OSError, frames.FrameError) as error:
            raise LinkError(str(error)) from error
        if size:
            self._received_at = time.monotonic()
        if self._reader.methods:
            self._obey()
        return bodies

    def wait(self, until: float) -> None:
        """Return when there is something to read or to do, at `until` at the latest."""
        seconds = min(until, self._sent_at + self._heartbeat / 2) - time.monotonic()
        if seconds > 0:
            self._poll.poll(seconds * 1000)

    def acknowledge(self, tag: int) -> None:
        """Take the receipt `tag` as stored, and tell the broker what it may forget."""
        if self.outstanding.store(tag):
            self._send(frames.acknowledge(CHANNEL, self.outstanding.acknowledged))

    def tend(self) -> None:
        """Send what is due: heartbeats, questions, bindings. Raises LinkError of a dead peer."""
        now = time.monotonic()
        if self._unsent:
            self._send(b"")
        if now - self._received_at > 2 * self._heartbeat:
            raise LinkError(f"the broker was silent for {now - self._received_at:.0f} s")
        if now - self._asked_at >= DEPTH_EVERY:
            self._asked_at = now
            self._send(b"".join(frames.ask_depth(CHANNEL, queue) for queue in self._queues))
        if now - self._bound_at >= self._rebind_every:
            self._bound_at = now
            self._send(b"".join(self._bindings))
        if now - self._sent_at >= self._heartbeat / 2:
            self._send(frames.frame(frames.HEARTBEAT, 0, b""))

    def close(self) -> None:
        """Send what is pending, say good-bye and wait for the answer, but not for long."""
        deadline = time.monotonic() + CLOSE_SECONDS
        arrival = select.poll()
        arrival.register(self._socket, select.POLLIN)
        with contextlib.suppress(LinkError), self._socket:
            self._send(frames.close_connection())
            while time.monotonic() < deadline:
                self.read()  # not returned, so never acknowledged
                if self._unsent:
                    self._send(b"")
                arrival.poll(50)

    def drop(self) -> None:
        """Let go of a connection that is lost."""
        self._socket.close()

    def _send(self, data: bytes) -> None:
        self._unsent += data
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                self._sent_at = time.monotonic()
        except _NOT_NOW:
            pass
        except OSError as error:
            raise LinkError(str(error)) from error
        self._poll.modify(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))

    def _obey(self) -> None:
        methods, self._reader.methods = self._reader.methods, []
        for _, name, arguments in methods:
            try:
                self._obey_one(name, arguments)
            except (IndexError, struct.error) as error:
                raise LinkError(f"a method {name:#x} with broken arguments") from error

    def _obey_one(self, name: int, arguments: bytes) -> None:
        if name in (frames.CONNECTION_CLOSE, frames.CHANNEL_CLOSE):
            raise LinkError(f"the broker closed it: {frames.read_close(arguments)}")
        if name == frames.CONNECTION_CLOSE_OK:
            raise LinkError("closed")
        if name == frames.BASIC_CANCEL:
            raise LinkError(f"queue {frames.read_name(arguments)} was deleted or has moved")
        if name == frames.QUEUE_DECLARE_OK:
            queue, ready, _ = frames.read_depth(arguments)
            self.depths[queue] = ready
        elif name == frames.CONNECTION_BLOCKED:
            self.blocked = frames.read_name(arguments)
        elif name == frames.CONNECTION_UNBLOCKED:
            self.blocked = None
