"""What a spool's folder holds: its segments, how far they are read, and how far acknowledged.

State: segments (sources.segment), oldest first; `position`, the first record that is not
    acknowledged. Whoever holds a Journal guards it with one lock; only `write` needs none.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import xxhash

from sources.segment import (
    MAGIC,
    READ_RECORDS,
    Segment,
    cut,
    find_damaged,
    find_segments,
    read_records,
    segment_path,
    set_aside,
    sync_folder,
)

_POSITION: Final = "position"


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """Records `first` to `after` - 1, polled together."""

    first: int
    after: int
    arrived: int  # s, of the first
    end: int  # bytes; where they end in their segment


@dataclasses.dataclass(slots=True)
class _Place:
    """Where a segment is being read or written."""

    segment: Segment
    fd: int
    offset: int = 0


class Journal:
    """Records by number: appended at the end, read once each, forgotten when acknowledged."""

    def __init__(
        self, folder: Path, segment_bytes: int, pwrite: Callable[..., int] = os.pwrite
    ) -> None:
        """Find where to go on, cutting off what a crash left half written. Raises OSError."""
        self.folder = folder
        self.last_error: str | None = None
        self.position = 0  # the first record not acknowledged
        self.next = 0  # the number the next record gets
        self.read = 0  # the first record not read
        self._segment_bytes = segment_bytes
        self._pwrite = pwrite
        self._segments = find_segments(folder)
        self._reading: _Place | None = None
        self._writing: _Place | None = None  # the last segment, unless it was there before
        self._out: dict[int, Receipt] = {}  # read, not acknowledged
        self._acked: dict[int, Receipt] = {}  # acknowledged before something older was
        self._position_end = 0  # bytes; where `position` stands in its segment
        self._recover()

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self._segments)

    def write(self, blob: bytes) -> _Place:
        """Append packed records durably and return where; `commit` makes them count.

        Raises OSError: then nothing of them counts, and `abandon` has to be called.
        """
        place = self._writing
        if place is None or place.segment.size >= self._segment_bytes:
            place = self._begin()
        try:
            self._write_all(place.fd, blob, place.segment.size)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(place.fd, place.segment.size)
            if place is not self._writing:
                os.close(place.fd)
                place.segment.path.unlink(missing_ok=True)
            raise
        return place

    def commit(self, place: _Place, count: int, size: int) -> None:
        """Count `count` records of `size` bytes in all, just written at `place`."""
        if place is not self._writing:
            self.seal()
            self._writing = place
            self._segments.append(place.segment)
        place.segment.count += count
        place.segment.size += size
        self.next += count

    def seal(self) -> None:
        """Write no more to the last segment; the next records begin one of their own."""
        if self._writing is not None:
            os.close(self._writing.fd)
            self._writing = None

    def take(self) -> tuple[list[bytes], Receipt] | None:
        """Return the next records, of which there must be some; None where they are damaged."""
        place = self._enter()
        most = min(READ_RECORDS, place.segment.after - self.read)
        found = read_records(place.fd, place.offset, place.segment.size, most)
        place.offset = found.end
        if not found.bodies:
            return None
        receipt = Receipt(self.read, self.read + len(found.bodies), found.arrived, found.end)
        self.read = receipt.after
        self._out[receipt.first] = receipt
        return found.bodies, receipt

    def pass_damage(self) -> None:
        """Set the rest of the segment aside and go on behind it. Nothing may be writing."""
        place = self._enter()
        after = place.segment.after
        if place.segment is self._segments[-1]:
            self.seal()
        self._set_aside(place.segment, place.offset, self.read)
        self._skip_to(after)

    def ack(self, receipt: Receipt) -> None:
        """Forget these records, once; a segment goes when all of it and before it is forgotten."""
        if self._out.pop(receipt.first, None) is not None:
            self._acked[receipt.first] = receipt
            self._advance()

    def forget(self) -> None:
        """Delete the segments that are acknowledged, and write the position down.

        A fault here loses nothing, there is only more to read again after a restart: it is kept
        in `last_error`.
        """
        try:
            while self._segments and self._segments[0].after <= self.position:
                if self._writing is not None and self._writing.segment is self._segments[0]:
                    break
                self._segments[0].path.unlink(missing_ok=True)
                self._segments.pop(0)
            _write_position(self.folder, self.position)
        except OSError as error:
            self.last_error = f"spool folder {self.folder}: {error}"

    def depth(self) -> tuple[int, int, int | None]:
        """Return what is not acknowledged: records, bytes, and when the oldest came (s)."""
        held = [segment for segment in self._segments if segment.after > self.position]
        if not held:
            return 0, 0, None
        begun = self._position_end if held[0].first < self.position else 0
        records = sum(part.after - max(part.first, self.position) for part in held)
        oldest = self._out.get(self.position)
        arrived = oldest.arrived if oldest is not None else self._arrived(held[0], begun)
        return records, sum(part.size for part in held) - begun, arrived

    def close(self) -> None:
        """Let go of the files."""
        self.seal()
        self._stop_reading()

    def _begin(self) -> _Place:
        """Create a segment, which counts once something is committed to it."""
        path = segment_path(self.folder, self.next)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            self._write_all(fd, MAGIC, 0)
            sync_folder(self.folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return _Place(Segment(path, self.next, 0, len(MAGIC)), fd)

    def _write_all(self, fd: int, blob: bytes, offset: int) -> None:
        view = memoryview(blob)
        while view:
            written = self._pwrite(fd, view, offset)
            view, offset = view[written:], offset + written
        os.fsync(fd)

    def _recover(self) -> None:
        if self._segments:
            self._end_last(self._segments[-1])
        self._segments = [segment for segment in self._segments if segment.count]
        self.position = _read_position(self.folder)
        # Never a number that something in the folder already bears.
        self.next = max(self.next, self.position, *find_damaged(self.folder), 0)
        self.forget()
        if not self._segments:
            self.position = self.read = self.next
            return
        self.read = self._segments[0].first
        self.position = max(self.position, self.read)
        self._pass_acked()

    def _end_last(self, last: Segment) -> None:
        """Count the last segment's records; cut off what is torn, set aside what is damaged."""
        fd = os.open(last.path, os.O_RDONLY)
        try:
            found = read_records(fd, 0, last.size)
            last.count = len(found.bodies)
            while found.bodies and not found.fault:
                found = read_records(fd, found.end, last.size)
                last.count += len(found.bodies)
        finally:
            os.close(fd)
        if found.fault == "damaged":
            self._set_aside(last, found.end, last.after)
        else:
            cut(last, found.end, last.after)
        self.next = last.after

    def _pass_acked(self) -> None:
        """Read over the records of the first segment that are acknowledged."""
        while self.read < self.position:
            place = self._enter()
            most = min(READ_RECORDS, self.position - self.read)
            found = read_records(place.fd, place.offset, place.segment.size, most)
            if not found.bodies:  # damaged: what is behind it is met by `take`
                break
            place.offset = self._position_end = found.end
            self.read += len(found.bodies)
        self.position = self.read

    def _enter(self) -> _Place:
        """Return the place of the next record."""
        if self._reading is None or self.read >= self._reading.segment.after:
            self._stop_reading()
            segment = next(part for part in self._segments if part.after > self.read)
            if segment.first > self.read:
                self._skip_to(segment.first)
            self._reading = _Place(segment, os.open(segment.path, os.O_RDONLY))
        return self._reading

    def _skip_to(self, after: int) -> None:
        """Count records that are missing as acknowledged."""
        self._stop_reading()
        self._acked[self.read] = Receipt(self.read, after, 0, 0)
        self.read = after
        self._advance()

    def _advance(self) -> None:
        """Move the position over all that is acknowledged without a gap."""
        before = self.position
        while (receipt := self._acked.pop(self.position, None)) is not None:
            self.position, self._position_end = receipt.after, receipt.end
        if self.position > before:
            self.forget()

    def _set_aside(self, segment: Segment, offset: int, number: int) -> None:
        aside = set_aside(segment, offset, number)
        if not segment.count:
            self._segments.remove(segment)
        self.last_error = f"{segment.path.name} is damaged at byte {offset}: see {aside.name}"

    def _arrived(self, segment: Segment, offset: int) -> int | None:
        fd = os.open(segment.path, os.O_RDONLY)
        try:
            found = read_records(fd, offset, segment.size, 1)
        finally:
            os.close(fd)
        return found.arrived if found.bodies else None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            os.close(self._reading.fd)
            self._reading = None


def _read_position(folder: Path) -> int:
    """Return the position written last; 0, so that all is read again, where it is unreadable."""
    try:
        number, check = (folder / _POSITION).read_bytes().split()
    except (FileNotFoundError, ValueError):
        return 0
    return int(number) if check == xxhash.xxh64_hexdigest(number).encode() else 0


def _write_position(folder: Path, position: int) -> None:
    new = folder / f"{_POSITION}.new"
    check = xxhash.xxh64_hexdigest(str(position).encode())
    new.write_text(f"{position} {check}\n", "ascii")
    new.replace(folder / _POSITION)
