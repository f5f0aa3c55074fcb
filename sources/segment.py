"""A segment of the spool: a file of records with lengths and checksums, and how it is read.

A segment is MAGIC, then records: HEADER and body. The header is little-endian: u32 length of the
body, u32 time of arrival (s since the epoch), u32 crc32 of these 8 bytes, u64 xxh64 of the body.
A segment's name is the sequence number of its first record; what is set aside because it cannot
be read is named after the first record that is missing.
"""

import dataclasses
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import xxhash

MAGIC: Final = b"SGSPOOL1"
HEADER: Final = struct.Struct("<IIIQ")
READ_BYTES: Final = 4 * 1024**2  # read at once; a longer record is read alone
READ_RECORDS: Final = 5000

_NUMBER: Final = "[0-9]" * 20  # in a name
_CHECKED: Final = struct.Struct("<II")


@dataclasses.dataclass(slots=True)
class Segment:
    """One file of records, `first` to `after` - 1 in the spool's sequence."""

    path: Path
    first: int
    count: int
    size: int  # bytes that count; what lies beyond was never answered for

    @property
    def after(self) -> int:
        return self.first + self.count


@dataclasses.dataclass(slots=True)
class Records:
    """What was read at one place of a segment.

    `end` is the offset behind the last whole record. `fault` says what stands there: nothing
    wrong (""), a record that goes on beyond the end ("torn"), or one that is not what was written
    ("damaged").
    """

    bodies: list[bytes]
    arrived: int  # s, of the first record
    end: int
    fault: str = ""


def pack(bodies: Sequence[bytes], arrived: int) -> bytes:
    """Return the records of `bodies`, ready to be appended to a segment."""
    parts = []
    for body in bodies:
        check = zlib.crc32(_CHECKED.pack(len(body), arrived))
        parts.append(HEADER.pack(len(body), arrived, check, xxhash.xxh64_intdigest(body)))
        parts.append(body)
    return b"".join(parts)


def segment_path(folder: Path, first: int) -> Path:
    """Return where the segment that begins with record `first` stands."""
    return folder / f"{first:020d}.segment"


def find_segments(folder: Path) -> list[Segment]:
    """Return the segments of a folder, oldest first; the count of the last is not known yet (0)."""
    paths = sorted(folder.glob(f"{_NUMBER}.segment"))
    firsts = [int(path.stem) for path in paths]
    breaks = sorted(firsts + find_damaged(folder))
    segments = []
    for path, first in zip(paths, firsts, strict=True):
        after = next((number for number in breaks if number > first), first)
        segments.append(Segment(path, first, after - first, path.stat().st_size))
    if segments:
        segments[-1].count = 0
    return segments


def find_damaged(folder: Path) -> list[int]:
    """Return the numbers of the records with which what was set aside begins."""
    return sorted(int(path.stem) for path in folder.glob(f"{_NUMBER}.damaged"))


def read_records(fd: int, offset: int, end: int, most: int = READ_RECORDS) -> Records:
    """Return up to `most` records from `offset` on, of a file that counts up to `end`."""
    if offset == 0:
        if os.pread(fd, len(MAGIC), 0) != MAGIC:
            return Records([], 0, 0, "torn" if end < len(MAGIC) else "damaged")
        offset = len(MAGIC)
    data = os.pread(fd, min(READ_BYTES, end - offset), offset)
    found = _parse(data, offset, most)
    if found.fault != "torn" or offset + len(data) >= end or len(data) < HEADER.size:
        return found
    if found.bodies:  # only what was read at once stops here
        return dataclasses.replace(found, fault="")
    length: int = HEADER.size + HEADER.unpack_from(data)[0]
    return _parse(os.pread(fd, min(length, end - offset), offset), offset, 1)


def _parse(data: bytes, offset: int, most: int) -> Records:
    bodies: list[bytes] = []
    at, arrived, fault = 0, 0, ""
    while at < len(data) and len(bodies) < most:
        start = at + HEADER.size
        if start > len(data):
            fault = "torn"
            break
        length, time, check, digest = HEADER.unpack_from(data, at)
        if zlib.crc32(data[at : at + _CHECKED.size]) != check:
            fault = "damaged" if any(data[at:]) else "torn"  # zeros: grown, then never written
            break
        body = data[start : start + length]
        if len(body) < length:
            fault = "torn"
            break
        if xxhash.xxh64_intdigest(body) != digest:
            fault = "damaged"
            break
        arrived = arrived or time
        bodies.append(body)
        at = start + length
    return Records(bodies, arrived, offset + at, fault)


def set_aside(segment: Segment, offset: int, sequence: int) -> Path:
    """Move what stands from `offset` on, which is record `sequence`, into a file of its own."""
    aside = segment.path.with_name(f"{sequence:020d}.damaged")
    with segment.path.open("rb") as file, aside.open("wb") as kept:
        file.seek(offset)
        while chunk := file.read(READ_BYTES):
            kept.write(chunk)
        kept.flush()
        os.fsync(kept.fileno())
    sync_folder(segment.path.parent)  # before the cut: a crash between leaves it twice, not gone
    cut(segment, offset, sequence)
    return aside


def cut(segment: Segment, offset: int, after: int) -> None:
    """End a segment at `offset`, before record `after`; delete it where nothing is left."""
    segment.count, segment.size = after - segment.first, offset
    if not segment.count:
        segment.path.unlink(missing_ok=True)
        return
    with segment.path.open("r+b") as file:
        file.truncate(offset)
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
