"""The files feed: JSON lines of notifications or samples, for replays and back-fill.

Guarantee: each line is polled once a run. How far it has come is not kept over a restart: it
    begins again, which changes nothing, as everything behind it is idempotent.
"""

import contextlib
import dataclasses
import glob
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson
import pydantic

from sources.feed import Feed, FeedError, FeedSettings, Payloads, SplitSettings, dealt
from sources.lines import Lines
from sources.shift import message_time, shifted

_MOST: Final = 5000  # messages polled at once
_MOST_BYTES: Final = 4 * 1024**2


class FilesSettings(SplitSettings):
    """Which files are read, how fast, and whether as of now."""

    type: str = "files"
    paths: list[str] = pydantic.Field(
        min_length=1, description="files or patterns (*, ?, **), read one after the other"
    )
    speed: float | None = pydantic.Field(
        None, gt=0, description="times real time, by the messages' timestamps; null is at once"
    )
    shift_to_now: bool = pydantic.Field(
        False, description="move all timestamps by one offset: the newest is now when it is sent"
    )

    @pydantic.model_validator(mode="after")
    def _divisible(self) -> "FilesSettings":
        if self.parts > len(self.paths):
            raise ValueError("parts must not be more than paths: a path is one reader's")
        if self.parts > 1 and (self.speed or self.shift_to_now):
            raise ValueError("parts must be 1 with speed or shift_to_now: they are of all files")
        return self

    def part(self, number: int, of: int) -> dict[str, Any]:
        """Return the paths of a part."""
        return {"paths": dealt(self.paths, number, of)}


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """When a recording of `first` to `newest` (s) is played from `start` on, and moved where to.

    The offset is one for all messages, the largest with which none is sent before its own time:
    at real time the first is now, faster the last is now when it is sent.
    """

    first: float
    newest: float
    start: float
    speed: float = math.inf

    def due(self, moment: float) -> float:
        """Return when a message of `moment` is sent."""
        return self.start + max(0.0, moment - self.first) / self.speed

    def offset(self) -> int:
        """Return how many seconds timestamps are moved by."""
        span = self.newest - self.first
        return math.floor(self.start + min(span, span / self.speed) - self.newest)


class FilesFeed(Feed):
    """Each line of the files a payload: a bare or enveloped notification, or a sample.

    A recording's {"body": MESSAGE} is unwrapped; any other line goes on as it is.
    """

    Settings: ClassVar[type[FeedSettings]] = FilesSettings
    settings: FilesSettings

    def __init__(
        self,
        settings: FilesSettings,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        self._clock = clock
        self._sleep = sleep
        self._paths: list[Path] = []
        self._total = 0  # bytes
        self._lines: list[Lines] = []  # begun, the last may not be at its end
        self._messages: Iterator[tuple[float, bytes]] = iter(())
        self._waiting: tuple[float, bytes] | None = None  # read, not yet due
        self._error: FeedError | None = None
        self._ended = False
        self._receipts = 0
        self._out: set[int] = set()
        self._finished = threading.Event()

    def open(self) -> None:
        """Find the files; to move them in time, read them through once. Raises FeedError."""
        self._paths = [path for pattern in self.settings.paths for path in _found(pattern)]
        self._total = sum(path.stat().st_size for path in self._paths)
        self._messages = self._timed(self._bounds() if self.settings.shift_to_now else None)

    def poll(self, timeout: float) -> Payloads | None:
        """Return the next messages that are due. Raises FeedError at what is unreadable."""
        bodies = self._due(self._clock() + timeout)
        if not bodies:
            if self._error is not None:
                raise self._error
            if self._ended:
                self._finish()
                self._finished.wait(timeout)
            return None
        self._receipts += 1
        self._out.add(self._receipts)
        return Payloads(self.name, bodies, self._receipts)

    def ack(self, receipt: int) -> None:
        """Say that these messages are stored."""
        self._out.discard(receipt)
        self._finish()

    def close(self) -> None:
        """Stop reading."""
        self._messages, self._waiting = iter(()), None

    def finished(self) -> bool:
        """Return whether all is read and acknowledged."""
        return self._finished.is_set()

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes there are, as stored (gzip: compressed)."""
        return sum(lines.position for lines in self._lines), self._total

    def status(self) -> dict[str, Any]:
        """Return also how far it is: bytes_read, bytes_total."""
        read, total = self.progress()
        error = None if self._error is None else str(self._error)
        return {"connected": True, "last_error": error, "bytes_read": read, "bytes_total": total}

    def _finish(self) -> None:
        if self._ended and not self._out:
            self._finished.set()

    def _due(self, deadline: float) -> list[bytes]:
        """Return what is due, waiting for the first until the deadline."""
        bodies: list[bytes] = []
        size = 0
        while len(bodies) < _MOST and size < _MOST_BYTES and self._advance():
            assert self._waiting is not None
            due, body = self._waiting
            ahead = due - self._clock()
            if ahead > 0:
                if bodies:
                    break
                self._sleep(max(0.0, min(due, deadline) - self._clock()))
                if due > deadline:
                    break
            bodies.append(body)
            size += len(body)
            self._waiting = None
        return bodies

    def _advance(self) -> bool:
        """Have a message waiting; False at the end, or at an error, which is kept."""
        if self._waiting is None and self._error is None and not self._ended:
            try:
                self._waiting = next(self._messages, None)
            except FeedError as error:
                self._error = error
                return False
            self._ended = self._waiting is None
        return self._waiting is not None

    def _timed(self, bounds: tuple[float, float] | None) -> Iterator[tuple[float, bytes]]:
        """Yield each message and when to send it (s), moved in time where there are bounds."""
        start, speed = self._clock(), self.settings.speed
        timeline = Timeline(*bounds, start, speed or math.inf) if bounds else None
        offset = timeline.offset() if timeline else 0
        for body in self._read(self._lines):
            moment = message_time(body) if speed else None
            if moment is None or speed is None:
                yield start, shifted(body, offset)
                continue
            timeline = timeline or Timeline(moment, moment, start, speed)
            yield timeline.due(moment), shifted(body, offset)

    def _bounds(self) -> tuple[float, float] | None:
        """Return the first and the newest message's time; None where no message has one."""
        first, newest = math.inf, -math.inf
        with contextlib.suppress(FeedError):  # raised again once what is before it was polled
            for body in self._read([]):
                if (moment := message_time(body)) is not None:
                    first, newest = min(first, moment), max(newest, moment)
        return (first, newest) if first <= newest else None

    def _read(self, begun: list[Lines]) -> Iterator[bytes]:
        for path in self._paths:
            begun.append(Lines(path))
            for line in begun[-1]:
                if line.strip():
                    yield unwrapped(line.rstrip(b"\r"))


def unwrapped(line: bytes) -> bytes:
    """Return the message of a recording's line ({"body": MESSAGE, ...}); any other line as it is."""
    if b'"body"' not in line:
        return line
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    message = record.get("body") if isinstance(record, dict) else None
    if not isinstance(message, dict) or "event_type" in record or "oslo.message" in record:
        return line
    return orjson.dumps(message)


def _found(pattern: str) -> list[Path]:
    """Return the files that a pattern names. Raises FeedError where there is none."""
    named = Path(pattern).expanduser()
    if not named.exists() and glob.has_magic(pattern):
        names = sorted(glob.glob(str(named), recursive=True))  # noqa: PTH207, takes whole paths
        paths = [path for path in map(Path, names) if path.is_file()]
        if not paths:
            raise FeedError(f"no file matches {pattern}")
    else:
        paths = [named]
    for path in paths:
        if not path.exists():
            raise FeedError(f"there is no file {path}")
        if not path.is_file() or not os.access(path, os.R_OK):
            raise FeedError(f"{path} is no file that this user may read")
    return paths
