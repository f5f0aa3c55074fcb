"""The spool keeps what it answered for: over crashes, torn ends, damage, full disks, many threads."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sources.feed import FeedError
from sources.segment import HEADER, MAGIC, find_segments, pack
from sources.spool import SpoolError, SpoolFeed, SpoolFullError, SpoolSettings

NOW = 1_795_000_000


def opened(folder: Path, **settings: int) -> SpoolFeed:
    spool = SpoolFeed(SpoolSettings(path=folder, **settings), clock=lambda: NOW)
    spool.open()
    return spool


def drained(spool: SpoolFeed) -> list[bytes]:
    """Poll and acknowledge until there is nothing more."""
    bodies = []
    while (payloads := spool.poll(0)) is not None:
        bodies += payloads.bodies
        spool.ack(payloads.receipt)
    return bodies


def last_segment(folder: Path) -> Path:
    return find_segments(folder)[-1].path


class SpoolAgainstList(RuleBasedStateMachine):
    """Whatever is done to it, a spool behaves as a list, an index read and an index acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "0"
        self.spool = opened(self.folder, segment_bytes=4096)
        self.bodies: list[bytes] = []  # the model
        self.read = 0
        self.acked: set[int] = set()
        self.out: list[tuple[int, int, object]] = []
        self.crashes = 0

    def position(self) -> int:
        return next((i for i in range(len(self.bodies)) if i not in self.acked), len(self.bodies))

    @rule(sizes=st.lists(st.integers(0, 2000), max_size=8))
    def append(self, sizes: list[int]) -> None:
        bodies = [str(len(self.bodies) + i).encode() + b"x" * s for i, s in enumerate(sizes)]
        self.spool.append(bodies)
        self.bodies += bodies

    @rule()
    def poll(self) -> None:
        payloads = self.spool.poll(0)
        if payloads is None:
            assert self.read == len(self.bodies)
            return
        after = self.read + len(payloads.bodies)
        assert payloads.bodies == self.bodies[self.read : after]
        self.out.append((self.read, after, payloads.receipt))
        self.read = after

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.out) - 1))
        first, after, receipt = self.out.pop(index)
        self.spool.ack(receipt)
        self.spool.ack(receipt)
        self.acked |= set(range(first, after))

    @rule(torn=st.binary(max_size=60), cut=st.integers(0, 80))
    def crash(self, torn: bytes, cut: int) -> None:
        """Go on in a copy of the folder as it is now, with a record half written at the end."""
        self.crashes += 1
        copy = self.root / str(self.crashes)
        shutil.copytree(self.folder, copy)
        self.spool.close()
        if find_segments(copy):
            with last_segment(copy).open("ab") as file:
                file.write(pack([torn], NOW)[: min(cut, HEADER.size + len(torn) - 1)])
        self.folder, self.spool = copy, opened(copy, segment_bytes=4096)
        self.read = self.position()
        self.acked = set(range(self.read))
        self.out = []

    @invariant()
    def depth_is_what_is_not_acknowledged(self) -> None:
        status = self.spool.status()
        position = self.position()
        assert status["records"] == len(self.bodies) - position
        if status["records"]:
            waiting = sum(HEADER.size + len(body) for body in self.bodies[position:])
            assert waiting <= status["bytes"] <= waiting + len(MAGIC) * len(self.bodies)
        assert (status["last_error"], status["damaged"]) == (None, 0)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.root)


TestSpoolAgainstList = SpoolAgainstList.TestCase
TestSpoolAgainstList.settings = hypothesis_settings(max_examples=60, deadline=None)


def test_acknowledged_segments_are_deleted_oldest_first(tmp_path):
    spool = opened(tmp_path, segment_bytes=4096)
    for number in range(6):
        spool.append([b"%d" % number + b"x" * 4096])
    first, second, third = (spool.poll(0) for _ in range(3))
    spool.ack(second.receipt)
    assert [segment.first for segment in find_segments(tmp_path)] == [0, 1, 2, 3, 4, 5]
    spool.ack(first.receipt)
    assert [segment.first for segment in find_segments(tmp_path)] == [2, 3, 4, 5]
    spool.ack(third.receipt)
    assert [segment.first for segment in find_segments(tmp_path)] == [3, 4, 5]
    spool.close()


def test_an_append_wakes_a_waiting_poll(tmp_path):
    spool = opened(tmp_path)
    found = []
    reader = threading.Thread(target=lambda: found.append(spool.poll(60).bodies))
    reader.start()
    spool.append([b"a", b"b"])
    reader.join(30)
    assert found == [[b"a", b"b"]]
    spool.close()


def test_closing_refuses_appends_and_ends_polls(tmp_path):
    spool = opened(tmp_path)
    spool.append([b"a"])
    spool.close()
    spool.close()
    assert spool.poll(60) is None
    with pytest.raises(SpoolError, match="is not open"):
        spool.append([b"b"])
    assert drained(opened(tmp_path)) == [b"a"]


def test_a_record_larger_than_a_segment_and_a_read_is_kept_whole(tmp_path):
    large = os.urandom(6 * 1024**2)
    spool = opened(tmp_path, segment_bytes=4096)
    spool.append([b"before", large, b"after"])
    spool.close()
    assert drained(opened(tmp_path)) == [b"before", large, b"after"]


def test_everything_from_many_threads_is_there_once_and_in_each_thread_s_order(tmp_path):
    spool = opened(tmp_path, segment_bytes=4096)
    found: list[bytes] = []

    def push(thread: int) -> None:
        for number in range(50):
            spool.append([b"%d %d %d" % (thread, number, part) for part in range(3)])

    def read() -> None:
        while len(found) < 8 * 150 and (payloads := spool.poll(30)) is not None:
            found.extend(payloads.bodies)
            spool.ack(payloads.receipt)

    threads = [threading.Thread(target=push, args=(n,)) for n in range(8)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for n in range(8):
        mine = [body for body in found if body.startswith(b"%d " % n)]
        assert mine == [b"%d %d %d" % (n, i, part) for i in range(50) for part in range(3)]
    assert len(found) == 8 * 150
    assert spool.status()["records"] == 0
    spool.close()


_PUSHER = """
import sys, threading
from pathlib import Path
from sources.spool import SpoolFeed, SpoolSettings
spool = SpoolFeed(SpoolSettings(path=Path(sys.argv[1]), segment_bytes=4096))
spool.open()
def push(thread):
    for number in range(1_000_000):
        body = b"%d-%d-" % (thread, number) + b"x" * (number % 300)
        spool.append([body])
        sys.stdout.buffer.write(body.split(b"x")[0] + b"\\n")
        sys.stdout.buffer.flush()
for thread in range(4):
    threading.Thread(target=push, args=(thread,)).start()
"""


def test_a_kill_during_appends_loses_nothing_that_was_answered(tmp_path):
    root = Path(__file__).parents[1]
    answered: list[bytes] = []
    for stop_after in (1, 40, 400):
        process = subprocess.Popen(
            [sys.executable, "-c", _PUSHER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
        )
        assert process.stdout is not None
        run = [process.stdout.readline() for _ in range(stop_after)]
        process.send_signal(signal.SIGKILL)
        run += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        answered += [line.strip() for line in run if line.endswith(b"\n")]
    spool = opened(tmp_path)
    found = Counter(body.split(b"x")[0] for body in drained(spool))
    missing = Counter(answered) - found
    unanswered = found - Counter(answered)
    assert missing == Counter()
    assert unanswered.total() <= 3 * 4  # in flight in each thread, each time
    assert spool.status()["last_error"] is None
    spool.close()


def test_a_full_spool_refuses_whole_requests_until_it_is_emptied(tmp_path):
    spool = opened(tmp_path, max_bytes=8192)
    spool.append([b"a" * 5000])
    with pytest.raises(SpoolFullError, match=r"holds its 8192 bytes \(spool.max_bytes\)"):
        spool.append([b"small", b"b" * 5000])
    spool.append([b"c" * 2000])
    assert drained(spool) == [b"a" * 5000, b"c" * 2000]
    spool.append([b"b" * 8000])
    assert drained(spool) == [b"b" * 8000]
    spool.close()


class _FullDisk:
    """A disk that takes some bytes of a write and then has no room."""

    room: int | None = None  # bytes

    def pwrite(self, fd: int, data: memoryview, offset: int) -> int:
        if self.room is None:
            return os.pwrite(fd, data, offset)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.pwrite(fd, data[: self.room], offset)
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 5, 8, 30, 90])
def test_a_full_disk_refuses_and_keeps_nothing_half(tmp_path, room):
    disk = _FullDisk()
    spool = SpoolFeed(SpoolSettings(path=tmp_path), pwrite=disk.pwrite)
    spool.open()
    for kept in (b"first", b"second"):
        disk.room = room
        with pytest.raises(SpoolFullError, match="is full"):
            spool.append([b"refused" * 20])
        disk.room = None
        spool.append([kept])
    assert "is full" in spool.status()["last_error"]
    spool.close()
    assert drained(opened(tmp_path)) == [b"first", b"second"]


def test_a_second_opening_of_the_folder_is_refused(tmp_path):
    spool = opened(tmp_path)
    program = (
        "import sys; from pathlib import Path; from sources.spool import *\n"
        "try: SpoolFeed(SpoolSettings(path=Path(sys.argv[1]))).open()\n"
        "except FeedError as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=True,
    )
    assert answer.stdout == (
        f"the spool folder {tmp_path} is in use by another process; stop that one, or set"
        " spool.path to another folder\n"
    )
    spool.close()
    opened(tmp_path).close()


def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeedError, match=r"cannot be used.*set spool\.path to another folder"):
        opened(tmp_path / "file" / "spool")


def _damage(path: Path, body: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(body, bytes(len(body)), 1))


def test_damage_in_a_sealed_segment_sets_its_rest_aside_and_goes_on_behind(tmp_path):
    spool = opened(tmp_path)
    spool.append([b"one", b"two", b"three"])
    spool.close()
    spool = opened(tmp_path)
    spool.append([b"four"])
    _damage(tmp_path / f"{0:020d}.segment", b"two")
    assert drained(spool) == [b"one", b"four"]
    status = spool.status()
    assert status["records"] == 0
    assert status["damaged"] == 1
    assert status["last_error"] == (f"{0:020d}.segment is damaged at byte 31: see {1:020d}.damaged")
    aside = (tmp_path / f"{1:020d}.damaged").read_bytes()
    assert aside.endswith(pack([b"three"], NOW))
    spool.close()


def test_damage_in_the_segment_being_written_loses_nothing_that_comes_after(tmp_path):
    spool = opened(tmp_path)
    spool.append([b"one", b"two"])
    _damage(last_segment(tmp_path), b"one")
    assert spool.poll(0) is None
    spool.append([b"three"])
    assert drained(spool) == [b"three"]
    assert (tmp_path / f"{0:020d}.damaged").exists()
    spool.close()
    spool = opened(tmp_path)
    spool.append([b"four"])
    assert drained(spool) == [b"four"]


def test_damage_before_the_end_of_the_last_segment_is_set_aside_when_opened(tmp_path):
    spool = opened(tmp_path)
    spool.append([b"one", b"two", b"three"])
    spool.close()
    _damage(last_segment(tmp_path), b"two")
    spool = opened(tmp_path)
    spool.append([b"four"])
    assert (spool.status()["records"], spool.status()["damaged"]) == (2, 1)
    assert drained(spool) == [b"one", b"four"]
    spool.close()


def test_the_depth_after_a_restart_leaves_out_what_was_set_aside(tmp_path):
    spool = opened(tmp_path, segment_bytes=4096)
    spool.append([b"one", b"two" * 1500, b"three"])
    spool.append([b"four"])
    _damage(tmp_path / f"{0:020d}.segment", b"two" * 1500)
    assert spool.poll(0).bodies == [b"one"]
    assert spool.poll(0).bodies == [b"four"]
    spool.close()
    spool = opened(tmp_path)
    assert spool.status()["records"] == 2
    assert drained(spool) == [b"one", b"four"]
    spool.close()


def test_a_lost_position_repeats_and_loses_nothing(tmp_path):
    spool = opened(tmp_path)
    spool.append([b"one", b"two"])
    spool.ack(spool.poll(0).receipt)
    spool.append([b"three"])
    spool.close()
    (tmp_path / "position").write_bytes(b"\xff")
    assert drained(opened(tmp_path)) == [b"one", b"two", b"three"]


def test_status_tells_the_depth_and_the_age_of_the_oldest(tmp_path):
    now = NOW
    spool = SpoolFeed(SpoolSettings(path=tmp_path), clock=lambda: now)
    spool.open()
    spool.append([b"12345"])
    now = NOW + 10
    spool.append([b"12345"])
    now = NOW + 15
    whole = {"connected": True, "last_error": None, "damaged": 0}
    size = 2 * (HEADER.size + 5) + len(MAGIC)
    assert spool.status() == whole | {"records": 2, "bytes": size, "oldest_age": 15.0}
    payloads = spool.poll(0)
    assert payloads.bodies == [b"12345", b"12345"]
    assert spool.status() == whole | {"records": 2, "bytes": size, "oldest_age": 15.0}
    spool.ack(payloads.receipt)
    assert spool.status() == whole | {"records": 0, "bytes": 0, "oldest_age": None}
    spool.close()
