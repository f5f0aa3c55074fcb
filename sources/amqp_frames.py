"""AMQP 0-9-1 frames as bytes: deliveries cut out of a stream, and the few methods a consumer sends.

No socket and no clock: bytes in, bodies out. It stands here because a library spends 4 to 8 times
as much on a delivery (docs/decisions/0002-amqp-client.md).
Errors: FrameError when the bytes are not what the specification allows; the connection is lost.
Source: AMQP 0-9-1 specification, sections 2.3 and 4.2; RabbitMQ's extensions.
"""

import struct
from typing import Final

from sources.amqp_compression import MARK, inflated

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END: Final = 0xCE
OVERHEAD: Final = 8  # bytes of a frame besides its payload

# Class and method as one number, as they stand in a method frame.
CONNECTION_CLOSE: Final = 0x000A0032
CONNECTION_CLOSE_OK: Final = 0x000A0033
CONNECTION_BLOCKED: Final = 0x000A003C
CONNECTION_UNBLOCKED: Final = 0x000A003D
CHANNEL_CLOSE: Final = 0x00140028
QUEUE_DECLARE: Final = 0x0032000A
QUEUE_DECLARE_OK: Final = 0x0032000B
QUEUE_BIND: Final = 0x00320014
BASIC_CANCEL: Final = 0x003C001E
BASIC_DELIVER: Final = 0x003C003C
BASIC_ACK: Final = 0x003C0050

_frame = struct.Struct(">BHI").unpack_from  # type, channel, size
_method = struct.Struct(">BHII").unpack_from  # ... class and method
_header = struct.Struct(">BBHIIQ").unpack_from  # end before, type, channel, size, class, body size
_body = struct.Struct(">BBHI").unpack_from  # end before, type, channel, size
_long = struct.Struct(">I").unpack_from
_longlong = struct.Struct(">Q").unpack_from


class FrameError(Exception):
    """The stream of frames is broken; only a new connection helps."""


class DeliveryReader:
    """Bytes of one channel's stream -> bodies of complete deliveries, in order.

    `tag` is the delivery tag of the last body returned, `methods` the other methods met, as
    (channel, class and method, arguments), for the caller to take.
    """

    def __init__(self, channel: int, frame_max: int) -> None:
        self.tag = 0
        self.methods: list[tuple[int, int, bytes]] = []
        self._channel = channel
        self._payload_max = frame_max - OVERHEAD
        self._rest = b""  # the beginning of a frame
        self._next_tag: int | None = None  # of a delivery whose content is still coming
        self._missing = -1  # bytes of its body; -1 before its header
        self._parts: list[bytes] = []
        self._properties = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies completed by `data`. Raises FrameError."""
        buffer = self._rest + data if self._rest else data
        bodies: list[bytes] = []
        at = 0
        while True:
            if self._next_tag is None:
                at = self._whole_deliveries(buffer, at, bodies)
            after = self._any_frame(buffer, at, bodies)
            if after == at:
                break
            at = after
        self._rest = buffer[at:]
        return bodies

    def _whole_deliveries(self, buffer: bytes, at: int, bodies: list[bytes]) -> int:
        """Take deliveries of exactly three frames that are all there; return where they end.

        What is anything else is left to `_any_frame`.
        """
        channel, length, append, find = self._channel, len(buffer), bodies.append, buffer.find
        last = -1
        while at + 30 < length:
            kind, on, size, name = _method(buffer, at)
            header = at + 7 + size  # of the end octet before the header frame
            if name != BASIC_DELIVER or on != channel or kind != METHOD or header + 20 > length:
                break
            end, kind, on, size, _, body_size = _header(buffer, header)
            body = header + 8 + size
            start = body + 8
            stop = start + body_size
            if stop >= length or end != END or kind != HEADER or on != channel:
                break
            end, kind, on, size = _body(buffer, body)
            if size != body_size or kind != BODY or on != channel:
                break
            if end != END or buffer[stop] != END or find(MARK, header, body) >= 0:
                break
            append(buffer[start:stop])
            last = at
            at = stop + 1
        if last >= 0:
            self.tag = _delivery_tag(buffer, last + 11)
        return at

    def _any_frame(self, buffer: bytes, at: int, bodies: list[bytes]) -> int:
        """Take one frame of any kind, if it is all there; return where it ends."""
        if at + OVERHEAD > len(buffer):
            return at
        kind, channel, size = _frame(buffer, at)
        if size > self._payload_max:
            raise FrameError(f"a frame of {size} bytes, more than was agreed")
        stop: int = at + 7 + size
        if stop >= len(buffer):
            return at
        if buffer[stop] != END:
            raise FrameError("a frame without its end octet")
        self._take(kind, channel, buffer[at + 7 : stop], bodies)
        return stop + 1

    def _take(self, kind: int, channel: int, payload: bytes, bodies: list[bytes]) -> None:
        if kind == METHOD and len(payload) >= 4:
            self._take_method(channel, payload)
        elif kind == HEADER and channel == self._channel and len(payload) >= 12:
            self._take_header(payload)
            self._finish(bodies)
        elif kind == BODY and channel == self._channel:
            self._take_body(payload)
            self._finish(bodies)
        elif kind != HEARTBEAT:
            raise FrameError(f"an unexpected frame of type {kind} on channel {channel}")

    def _take_method(self, channel: int, payload: bytes) -> None:
        (name,) = _long(payload)
        if name != BASIC_DELIVER:
            self.methods.append((channel, name, payload[4:]))
        elif self._next_tag is not None or channel != self._channel:
            raise FrameError("a delivery in the middle of another, or on an unknown channel")
        else:
            self._next_tag, self._missing = _delivery_tag(payload, 4), -1

    def _take_header(self, payload: bytes) -> None:
        if self._next_tag is None or self._missing >= 0:
            raise FrameError("a content header without a delivery")
        (self._missing,) = _longlong(payload, 4)
        self._properties = payload[12:]

    def _take_body(self, payload: bytes) -> None:
        if self._missing < len(payload):
            raise FrameError("more body than its header told")
        self._parts.append(payload)
        self._missing -= len(payload)

    def _finish(self, bodies: list[bytes]) -> None:
        if self._missing == 0 and self._next_tag is not None:
            body = b"".join(self._parts)
            bodies.append(inflated(self._properties, body) if MARK in self._properties else body)
            self.tag, self._next_tag, self._missing = self._next_tag, None, -1
            self._parts.clear()


def _delivery_tag(buffer: bytes, at: int) -> int:
    """Return the delivery tag of basic.deliver's arguments at `at`: it follows the consumer tag."""
    try:
        (tag,) = _longlong(buffer, at + 1 + buffer[at])
    except (struct.error, IndexError) as error:
        raise FrameError("a delivery without its tag") from error
    return int(tag)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Return one frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes((END,))


def method(channel: int, name: int, arguments: bytes = b"") -> bytes:
    """Return the frame of a method; `name` is class and method as one number."""
    return frame(METHOD, channel, struct.pack(">I", name) + arguments)


def acknowledge(channel: int, tag: int) -> bytes:
    """Return basic.ack of `tag` and of every tag before it."""
    return method(channel, BASIC_ACK, struct.pack(">QB", tag, 1))


def ask_depth(channel: int, queue: str) -> bytes:
    """Return a passive queue.declare, which the broker answers with the queue's depth."""
    return method(channel, QUEUE_DECLARE, b"\0\0" + short_string(queue) + b"\x01" + bytes(4))


def bind(channel: int, queue: str, exchange: str, key: str) -> bytes:
    """Return queue.bind without an answer; binding again changes nothing."""
    names = b"".join(map(short_string, (queue, exchange, key)))
    return method(channel, QUEUE_BIND, b"\0\0" + names + b"\x01" + bytes(4))


def close_connection() -> bytes:
    """Return connection.close, in order; the broker acts on everything before it first."""
    return method(0, CONNECTION_CLOSE, struct.pack(">H", 200) + short_string("") + bytes(4))


def short_string(text: str) -> bytes:
    """Return a short string: its length in one octet and its UTF-8."""
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


def read_depth(arguments: bytes) -> tuple[str, int, int]:
    """Return queue, ready messages and consumers from queue.declare-ok."""
    queue, at = _read_short_string(arguments, 0)
    ready, consumers = struct.unpack_from(">II", arguments, at)
    return queue, ready, consumers


def read_close(arguments: bytes) -> str:
    """Return why a connection or channel is closed: the reply code and text."""
    text, _ = _read_short_string(arguments, 2)
    return f"{struct.unpack_from('>H', arguments)[0]} {text}"


def read_name(arguments: bytes) -> str:
    """Return the short string that the arguments begin with (a consumer tag, a reason)."""
    return _read_short_string(arguments, 0)[0]


def _read_short_string(buffer: bytes, at: int) -> tuple[str, int]:
    stop = at + 1 + buffer[at]
    return buffer[at + 1 : stop].decode(errors="replace"), stop
