"""The lines of files, cut to what one request may carry: for a replay through a running service."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.feeds import feed_class
from metering.config import Config
from store import client

_MOST_BYTES = 4 * 1024**2  # of a request's body; a bigger one only waits longer for its fsync


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Some lines, and how far through the files they end."""

    lines: list[bytes]
    done: int
    total: int


def in_use(config: Config) -> bool:
    """Return whether a running service has the database folder."""
    return config.database.url is None and client.in_use(config.database.path)
