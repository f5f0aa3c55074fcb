"""The files feed delivers every line as it is, at the asked pace, and moves whole messages in time."""

import gzip
import json
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.feed import FeedError
from sources.files import FilesFeed, FilesSettings, Timeline
from sources.lines import Lines
from sources.shift import message_time, shifted

NOON = datetime(2026, 11, 22, 12)
NOTIFICATION = b'{"event_type": "a.b", "timestamp": "2026-11-22 12:00:00.500000", "payload": {}}'
ENVELOPE = b'{"oslo.version":"2.0","oslo.message":"{\\"timestamp\\":\\"2026-11-22 12:00:10\\"}"}'
SAMPLE = b'{"counter_name":"cpu","timestamp":"2026-11-22T12:00:20+00:00","counter_volume":1e400}'
FORMS = [NOTIFICATION, ENVELOPE, SAMPLE, b"no JSON", b"\xff\xfe", b'{"body": "text"}']


class Clock:
    """A clock that moves when someone sleeps."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now.timestamp()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def opened(*paths: Path | str, clock: Clock | None = None, **settings: Any) -> FilesFeed:
    clock = clock or Clock()
    named = [str(path) for path in paths]
    feed = FilesFeed(FilesSettings(paths=named, **settings), clock, clock.sleep)
    feed.open()
    return feed


def drained(feed: FilesFeed) -> list[bytes]:
    bodies: list[bytes] = []
    while not feed.finished():
        payloads = feed.poll(0)
        if payloads is not None:
            bodies += payloads.bodies
            feed.ack(payloads.receipt)
    return bodies


def written(path: Path, lines: list[bytes], newline: bytes = b"\n") -> Path:
    text = newline.join(lines) + newline
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\n\n  \n"])
def test_lines_go_on_as_they_are_and_blank_ones_are_skipped(tmp_path, name, newline):
    path = written(tmp_path / name, FORMS, newline)
    assert drained(opened(path)) == FORMS


def test_a_recording_is_unwrapped(tmp_path):
    message = {"oslo.version": "2.0", "oslo.message": '{"event_type": "ä"}'}
    line = json.dumps({"source": {"exchange": "nova"}, "body": message}).encode()
    bodies = drained(opened(written(tmp_path / "a", [line])))
    assert [json.loads(body) for body in bodies] == [message]


def test_a_notification_with_a_field_named_body_is_not_unwrapped(tmp_path):
    line = b'{"event_type": "a", "body": {"x": 1}}'
    assert drained(opened(written(tmp_path / "a", [line]))) == [line]


def test_patterns_are_read_in_the_order_of_their_names_after_what_stands_before(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "z"):
        written(tmp_path / name, [name.encode()])
    (tmp_path / "c.jsonl").mkdir()
    feed = opened(tmp_path / "z", tmp_path / "*.jsonl")
    assert drained(feed) == [b"z", b"a.jsonl", b"b.jsonl"]


def test_the_last_line_may_lack_its_end(tmp_path):
    (tmp_path / "a").write_bytes(b"one\ntwo")
    assert drained(opened(tmp_path / "a")) == [b"one", b"two"]


def test_the_feed_is_finished_when_all_is_acknowledged_and_tells_how_far_it_is(tmp_path):
    path = written(tmp_path / "a", [b"x" * 100] * 50_000)
    feed = opened(path)
    total = path.stat().st_size
    assert feed.progress() == (0, total)
    first = feed.poll(0)
    assert len(first.bodies) == 5000
    assert 0 < feed.progress()[0] < total
    receipts = []
    while (payloads := feed.poll(0)) is not None:
        receipts.append(payloads.receipt)
    assert feed.progress() == (total, total)
    for receipt in receipts:
        feed.ack(receipt)
    assert not feed.finished()
    feed.ack(first.receipt)
    assert feed.finished()


def test_empty_files_are_finished_at_once(tmp_path):
    for name in ("a", "b.gz"):
        (tmp_path / name).write_bytes(b"")
    assert drained(opened(tmp_path / "a", tmp_path / "b.gz")) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [("none", "there is no file"), ("*.gz", "no file matches"), (".", "is no file that")],
)
def test_what_is_not_there_is_refused(tmp_path, path, message):
    with pytest.raises(FeedError, match=message):
        opened(tmp_path / path)


def test_members_of_a_gzip_file_follow_each_other(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n") + bytes(512))
    assert drained(opened(path)) == [b"one", b"two", b"three"]


def until_error(feed: FilesFeed) -> tuple[list[bytes], str]:
    bodies: list[bytes] = []
    try:
        while (payloads := feed.poll(0)) is not None:
            bodies += payloads.bodies
    except FeedError as error:
        return bodies, str(error)
    raise AssertionError("the end came without an error")


LINES = [b"%d %d" % (number, number**7) for number in range(20_000)]


@pytest.mark.parametrize("shift_to_now", [False, True])
def test_a_gzip_file_that_ends_early_is_delivered_so_far(tmp_path, shift_to_now):
    path = written(tmp_path / "a.gz", LINES)
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:half])
    bodies, error = until_error(opened(path, shift_to_now=shift_to_now))
    assert len(bodies) > 5000
    assert bodies == LINES[: len(bodies)]
    assert error == f"{path}: the gzip data ends too early, at byte {half}"


def test_a_damaged_gzip_file_is_delivered_up_to_the_damage(tmp_path):
    first = gzip.compress(b"\n".join(LINES) + b"\n")
    path = tmp_path / "a.gz"
    path.write_bytes(first + b"rubbish")
    bodies, error = until_error(opened(path))
    assert bodies == LINES
    assert error.startswith(f"{path}: damaged at byte {len(first) + 1}: ")  # no gzip's second


def test_the_checksum_of_a_gzip_file_is_minded(tmp_path):
    whole = bytearray(gzip.compress(b"one\ntwo\n"))
    whole[-8] ^= 1
    (tmp_path / "a.gz").write_bytes(whole)
    bodies, error = until_error(opened(tmp_path / "a.gz"))
    assert bodies == [b"one", b"two"]
    assert "damaged at byte" in error


def test_a_file_is_never_held_whole(tmp_path):
    path = tmp_path / "a.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write((b"x" * 1023 + b"\n") * 1024)
    tracemalloc.start()
    assert sum(map(len, Lines(path))) == 64 * 1023 * 1024
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * 1024**2


def at(offset: float) -> bytes:
    stamp = NOON - timedelta(days=400) + timedelta(seconds=offset)
    return json.dumps({"event_type": "e", "timestamp": stamp.isoformat(" ")}).encode()


@pytest.mark.parametrize(("speed", "at_seconds"), [(1.0, [0, 10, 60]), (10.0, [0, 1, 6])])
def test_messages_are_sent_at_the_pace_of_their_timestamps(tmp_path, speed, at_seconds):
    clock = Clock()
    start = clock.now
    lines = [at(0), at(10), b"no time", at(9), at(60)]
    feed = opened(written(tmp_path / "a", lines), clock=clock, speed=speed)
    sent = []
    while not feed.finished():
        payloads = feed.poll(0.25)
        if payloads is not None:
            feed.ack(payloads.receipt)
            sent.append((round(clock.now - start, 3), payloads.bodies))
    first, second, third = at_seconds
    assert sent == [(first, lines[:1]), (second, lines[1:4]), (third, lines[4:])]


@pytest.mark.parametrize(("speed", "newest"), [(None, 0), (0.5, 100), (1.0, 100), (10.0, 10)])
def test_shifting_makes_the_newest_now_when_it_is_sent_and_none_ahead(tmp_path, speed, newest):
    clock = Clock()
    start = clock.now
    path = written(tmp_path / "a", [at(0), at(50), at(100)])
    feed = opened(path, clock=clock, speed=speed, shift_to_now=True)
    times = []
    while not feed.finished():
        if (payloads := feed.poll(1000)) is not None:
            feed.ack(payloads.receipt)
            times += [message_time(body) for body in payloads.bodies]
            assert max(times) <= clock.now
    assert [time - start for time in times] == [newest - 100, newest - 50, newest]


@given(
    first=st.floats(0, 2e9),
    span=st.floats(0, 1e7),
    part=st.floats(0, 1),
    speed=st.floats(0.01, 1000),
)
def test_no_message_is_ever_sent_ahead_of_its_moved_time(first, span, part, speed):
    line = Timeline(first, first + span, 1.8e9, speed)
    moment = first + part * span
    assert moment + line.offset() <= line.due(moment) + 1e-3


def test_every_timestamp_of_a_message_moves_by_the_same_and_the_rest_stays():
    inner = {
        "timestamp": "2026-11-22 19:47:32.071002",
        "payload": {
            "created_at": "2026-11-22T19:47:32Z",
            "eventTime": "2026-11-22T23:59:59.700965+0000",
            "at": "2026-11-22T19:47:32.1+05:30",
            "never": "9999-12-31T23:59:59",
            "no_such_day": "2026-02-30T00:00:00",
            "day": "2026-11-22",
            "name": "backup of 2026-11-22T19:47:32",
            "epoch": 1795376852.08603,
        },
    }
    moved = {
        "timestamp": "2026-11-23 19:47:33.071002",
        "payload": inner["payload"]
        | {
            "created_at": "2026-11-23T19:47:33Z",
            "eventTime": "2026-11-24T00:00:00.700965+0000",
            "at": "2026-11-23T19:47:33.1+05:30",
        },
    }
    enveloped = [json.dumps({"oslo.message": json.dumps(each)}).encode() for each in (inner, moved)]
    bare = [json.dumps(each).encode() for each in (inner, moved)]
    for before, after in (bare, enveloped):
        assert shifted(before, 86_401) == after
        assert shifted(after, -86_401) == before
        assert message_time(after) - message_time(before) == 86_401


@pytest.mark.parametrize("body", [*FORMS[3:], b"[]", b"1", b'{"timestamp": 5}', b"[" * 100_000])
def test_a_message_without_a_readable_time_has_none(body):
    assert message_time(body) is None
