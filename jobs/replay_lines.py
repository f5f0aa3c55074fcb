"""The lines of files, cut to what one request may carry: for a replay through a running service."""

import dataclasses
import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from metering.config import Config
from sources.files import FilesFeed, FilesSettings
from store import client

_MOST_BYTES: Final = 4 * 1024**2  # of a request; more only waits longer for its fsync
_WAIT: Final = 1.0  # s


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Some lines, and how far through the files they end, in bytes."""

    lines: list[bytes]
    done: int
    total: int


def in_use(config: Config) -> bool:
    """Return whether another process has the database folder: a running service."""
    return config.database.url is None and client.in_use(config.database.path)


def batches(
    paths: Sequence[Path], speed: float | None, shift_to_now: bool, max_body: int
) -> Iterator[Batch]:
    """Yield the lines when they are due. Raises FeedError for a file that cannot be read."""
    settings = FilesSettings(
        paths=[glob.escape(str(path)) for path in paths], speed=speed, shift_to_now=shift_to_now
    )
    feed = FilesFeed(settings)
    feed.open()
    while not feed.finished():
        payloads = feed.poll(_WAIT)
        if payloads is None:
            continue
        for lines in cut(payloads.bodies, min(max_body, _MOST_BYTES)):
            yield Batch(lines, *feed.progress())
        feed.ack(payloads.receipt)


def cut(lines: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield the lines in order in lists of at most so many bytes with their ends; a longer line is alone."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and size + len(line) + 1 > most:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield part
