"""What was read from the store before it came: where others write samples, it comes by the stream as well.

A series' samples come in order, each newer than all before, and are stored before they are passed on. So what
is not newer than the newest that was read of it has been read.
Shape: PARTIALS of one table that was written in one insert: each row was read as a whole, or not at all.
State: by part of an alarm and series the newest moment that was read: 24 bytes; kept for as long as anything
    that was stored may be under way, and up to twice that.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from metering.hashes import label_hashes, mixed
from metering.memory import U64, NumberMap

_UNDER_WAY: Final = 900_000  # ms of ticks


class Ahead:
    """Tells what has been read from what is new."""

    def __init__(self) -> None:
        self._newer, self._older = NumberMap(), NumberMap()
        self._since: int | None = None  # ms; when `_newer` began

    def read(self, partials: pa.Table) -> None:
        """Take what was read (PARTIALS)."""
        if not partials.num_rows:
            return
        keys, moments = _keys(partials), _moments(partials)
        order = np.argsort(moments, kind="stable")  # of equal keys the newest stays
        keys, moments = keys[order], moments[order]
        self._newer.put(keys, np.maximum(self._known(keys), moments))

    def fresh(self, partials: pa.Table) -> pa.Table:
        """Return the rows (PARTIALS) that were not read."""
        if not partials.num_rows or not (len(self._newer) or len(self._older)):
            return partials
        return partials.filter(pa.array(_moments(partials) > self._known(_keys(partials))))

    def tick(self, now: int) -> None:
        """Take the time (ms): forget what has come by then."""
        if self._since is None:
            self._since = now
        elif now - self._since >= _UNDER_WAY:
            self._newer, self._older, self._since = NumberMap(), self._newer, now

    def _known(self, keys: U64) -> U64:
        return np.maximum(self._newer.get(keys)[0], self._older.get(keys)[0])


def _keys(partials: pa.Table) -> U64:
    parts = partials["part"].to_numpy().astype(np.uint64)
    return mixed([label_hashes(partials["alarm_id"]), parts, partials["series"].to_numpy()])


def _moments(partials: pa.Table) -> U64:
    moments: U64 = np.maximum(partials["last_at"].to_numpy() + 1, 0).astype(np.uint64)
    return moments
