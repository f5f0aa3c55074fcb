"""The newest sample of every series, written seldom while much comes and at once while little does."""

import time
from typing import Final

import pyarrow as pa

from metering.batches import together
from store.client import Store
from store.newest import NEEDED, decisive
from store.rows import insert_latest

_SMALL: Final = 5000  # samples; so few are written at once
_MANY: Final = 40_000  # samples; of so many only those are kept that decide
_SELDOM: Final = 5.0  # s; more wait so long at the most, as a series' newest replaces the others


class LatestWriter:
    """Keeps `latest` up to date. Of one thread, the writer's.

    Guarantee: what waits when the process is killed is read from `samples` at the next start
        (store.latest).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[pa.Table] = []
        self._rows = 0  # taken since the last write
        self._held = 0  # rows that wait
        self._bound = _MANY
        self._written = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is something to write."""
        return bool(self._waiting)

    def take(self, samples: pa.Table) -> None:
        """Take samples (SAMPLES) that are stored."""
        self._waiting.append(samples.select(NEEDED))
        self._rows += samples.num_rows
        self._held += samples.num_rows
        if self._held > self._bound:
            self._waiting = [decisive(together(self._waiting))]
            self._held = self._waiting[0].num_rows
            self._bound = max(_MANY, 2 * self._held)  # of very many series all are decisive

    def write_if_due(self) -> None:
        """Write when little waits, or has waited long. Raises StoreAwayError."""
        if self._rows <= _SMALL or time.monotonic() - self._written >= _SELDOM:
            self.write()

    def write(self) -> None:
        """Write what waits. Raises StoreAwayError."""
        if self._waiting:
            insert_latest(self._store, together(self._waiting))
            self._written = time.monotonic()
            self._waiting.clear()
            self._rows = self._held = 0
            self._bound = _MANY
