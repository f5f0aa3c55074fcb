"""AMQP frames: any cutting of the stream gives the same deliveries."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import amqp_frames as frames
from sources.amqp_compression import INFLATED_MAX, inflated

FRAME_MAX = 4096
GZIP = b"application/x-gzip"


def delivery(tag: int, body: bytes, frame_max: int = FRAME_MAX, properties: bytes = b"") -> bytes:
    names = map(frames.short_string, ("nova", "notifications.info"))
    arguments = frames.short_string("tag") + struct.pack(">QB", tag, 0) + b"".join(names)
    header = struct.pack(">HHQH", 60, 0, len(body), 0) + properties
    step = frame_max - frames.OVERHEAD
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    return b"".join(
        [
            frames.method(1, frames.BASIC_DELIVER, arguments),
            frames.frame(frames.HEADER, 1, header),
            *(frames.frame(frames.BODY, 1, part) for part in parts),
        ]
    )


def read_all(reader: frames.DeliveryReader, pieces: list[bytes]) -> list[bytes]:
    return [body for piece in pieces for body in reader.feed(piece)]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


bodies = st.lists(st.binary(max_size=60) | st.binary(min_size=1, max_size=9).map(lambda b: b * 997))
sizes = st.lists(st.integers(0, 3000), max_size=60)


@given(bodies, sizes, st.integers(256, FRAME_MAX), st.data())
def test_any_cutting_of_the_stream_gives_the_same_deliveries(sent, cuts, frame_max, data):
    stream = b""
    for tag, body in enumerate(sent, 1):
        stream += delivery(tag, body, frame_max)
        stream += data.draw(st.sampled_from((b"", frames.frame(frames.HEARTBEAT, 0, b""))))
    reader = frames.DeliveryReader(1, FRAME_MAX)
    assert read_all(reader, cut(stream, cuts)) == sent
    assert reader.tag == len(sent)
    assert reader.methods == []


def test_a_stream_cut_between_all_octets_gives_the_same_deliveries():
    sent = [b"", b"x", b"y" * 700, b"", b"z" * 300]
    stream = b"".join(delivery(tag, body, 256) for tag, body in enumerate(sent, 7))
    reader = frames.DeliveryReader(1, FRAME_MAX)
    assert read_all(reader, [stream[at : at + 1] for at in range(len(stream))]) == sent
    assert reader.tag == 11


def test_other_methods_are_kept_in_order_and_may_stand_within_a_delivery():
    whole = delivery(1, b"x" * 500, 256)
    blocked = frames.method(0, frames.CONNECTION_BLOCKED, frames.short_string("low on disk"))
    cancel = frames.method(1, frames.BASIC_CANCEL, frames.short_string("tag") + b"\x01")
    first_frame = 8 + struct.unpack_from(">I", whole, 3)[0]
    reader = frames.DeliveryReader(1, FRAME_MAX)
    stream = whole[:first_frame] + blocked + whole[first_frame:] + cancel
    assert reader.feed(stream) == [b"x" * 500]
    assert [(on, name) for on, name, _ in reader.methods] == [
        (0, frames.CONNECTION_BLOCKED),
        (1, frames.BASIC_CANCEL),
    ]
    assert frames.read_name(reader.methods[0][2]) == "low on disk"


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (frames.frame(frames.BODY, 1, b"x"), "more body than its header told"),
        (frames.frame(frames.HEADER, 1, bytes(14)), "a content header without a delivery"),
        (frames.frame(frames.BODY, 2, b"x"), "unexpected frame of type 3 on channel 2"),
        (frames.frame(5, 1, b"x"), "unexpected frame of type 5"),
        (frames.frame(frames.HEARTBEAT, 0, b"")[:-1] + b"\0", "without its end octet"),
        (frames.frame(frames.METHOD, 1, bytes(FRAME_MAX)), "more than was agreed"),
        (frames.method(1, frames.BASIC_DELIVER, b"\x05a"), "a delivery without its tag"),
        (delivery(1, b"xy")[:-1] + b"\0", "without its end octet"),
        (delivery(1, b"xy")[:-10] + delivery(2, b""), "in the middle of another"),
    ],
)
def test_what_the_specification_forbids_is_an_error(stream, message):
    with pytest.raises(frames.FrameError, match=message):
        frames.DeliveryReader(1, FRAME_MAX).feed(stream + bytes(8))


@given(st.binary(max_size=400))
def test_any_octets_are_deliveries_or_an_error_and_nothing_else(data):
    reader = frames.DeliveryReader(1, FRAME_MAX)
    try:
        reader.feed(data)
    except frames.FrameError:
        return


@given(st.integers(0, 800), st.binary(min_size=1, max_size=8))
def test_a_damaged_stream_is_deliveries_or_an_error_and_nothing_else(at, damage):
    stream = delivery(1, b"abc") + delivery(2, b"x" * 600, 256) + delivery(3, b"")
    at = min(at, len(stream))
    reader = frames.DeliveryReader(1, FRAME_MAX)
    try:
        reader.feed(stream[:at] + damage + stream[at + len(damage) :])
    except frames.FrameError:
        return


def test_an_acknowledgement_is_the_frame_of_the_specification():
    expected = "01 0001 0000000d 003c 0050 0000000000000102 01 ce"
    assert frames.acknowledge(1, 258) == bytes.fromhex(expected)


def test_a_depth_and_a_close_are_read():
    depth = frames.short_string("streamgauge.notifications") + struct.pack(">II", 42, 3)
    assert frames.read_depth(depth) == ("streamgauge.notifications", 42, 3)
    close = struct.pack(">H", 404) + frames.short_string("NOT_FOUND - no queue") + bytes(4)
    assert frames.read_close(close) == "404 NOT_FOUND - no queue"


def headers(kind: bytes) -> bytes:
    entry = b"\x0bcompressionS" + struct.pack(">I", len(kind)) + kind
    return struct.pack(">I", len(entry)) + entry


def test_a_compressed_body_comes_out_plain_among_others():
    compressed = delivery(2, zlib.compress(b"plain" * 99), properties=headers(GZIP))
    reader = frames.DeliveryReader(1, FRAME_MAX)
    stream = delivery(1, b"a") + compressed + delivery(3, b"c")
    assert reader.feed(stream) == [b"a", b"plain" * 99, b"c"]
    assert reader.tag == 3


@pytest.mark.parametrize("kind", [GZIP, b"odd", b""])
@pytest.mark.parametrize("body", [b"not compressed", zlib.compress(b"x" * 999)[:-6], b""])
def test_a_body_that_is_not_what_its_header_says_stays_as_it_came(kind, body):
    assert inflated(headers(kind), body) == body


def test_a_body_that_would_grow_without_bound_stays_as_it_came():
    bomb = zlib.compress(bytes(INFLATED_MAX + 1))
    assert inflated(headers(GZIP), bomb) == bomb
