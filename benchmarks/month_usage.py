"""Usage rows of the stored month, counted by the job's own code as its samples come."""

from typing import Final

import pyarrow as pa

from metering.batches import together
from metering.config import Job, Usage
from metering.usage.rules import UsageRules
from metering.usage.table import usage_table
from metering.usage.windows import Told, UsageWindows
from store.client import Store
from store.rows import insert_final
from store.usage_since import keep_usage_since

_BATCH: Final = 100_000  # rows


class MonthUsage:
    """Counts samples into windows and writes their rows; the newest versions only, to save time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._windows = UsageWindows(UsageRules.of(Usage(), Job().lateness))
        self._waiting: list[pa.Table] = []
        keep_usage_since(store, Usage().periods)

    def take(self, samples: pa.Table, moment: int) -> None:
        """Take samples, each newer than its series before; the time is `moment` (s)."""
        self._tell(list(self._windows.finals()), moment * 1000 - 1)
        self._windows.take(samples)
        self._tell(list(self._windows.tick(moment * 1000, moment * 1000)), moment * 1000)

    def end(self, moment: int) -> None:
        """Make final what is by this time (s), say so, and write what waits."""
        now = moment * 1000
        self._tell(list(self._windows.tick(now - 1, now)), now - 1)
        while finals := list(self._windows.finals()):
            self._tell(finals, now)
        self._write()
        until, shards = self._windows.final_until, Job().shards
        assert until is not None
        insert_final(self._store, range(shards), shards, until, now)

    def _tell(self, told: list[Told], version: int) -> None:
        rows = usage_table(self._windows, told, version)
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= _BATCH:
            self._write()

    def _write(self) -> None:
        rows = together(self._waiting)
        if rows.num_rows:
            self._store.insert("usage", rows)
        self._waiting.clear()
