"""Restating: usage of final windows worked out again from stored samples, late ones among them."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from metering.config import Config
from metering.restatement import (
    NoJobError,
    RestateError,
    Restatement,
    RestateScope,
    SumChange,
)
from metering.schema import USAGE
from metering.usage.again import Past, work_out_again
from metering.usage.rules import UsageRules
from metering.usage.table import usage_table
from metering.usage.windows import UsageWindows
from store.client import Store
from store.history import history
from store.restate import count_late, late_since, scoped_series
from store.rows import insert_usage
from store.usage import stored_final_until, stored_usage

_SERIES: Final = 500  # worked out at a time; their samples since the scope's start are in memory
_ROW: Final = USAGE.names[:9]  # what a row is of
_SUM: Final = ["meter", "project_id", "period"]
_NO_JOB: Final = (
    "Restated usage is written beside the job, which is told of it, and it runs in no process with an"
    " API: stop it, restate by a `streamgauge run` on the same database, then start it again"
)


@dataclasses.dataclass(frozen=True)
class Restater:
    """Restates beside the job.

    Guarantee: only windows that are final are written, as newer versions; the job is told which series
        (TOUCHED) to work out again, as open windows go on from the late samples then. A restatement that
        is cut off changes nothing that doing it again does not change likewise.
    Errors: RestateError, StoreAwayError; NoJobError where there is no job to tell.
    """

    config: Config
    store: Store
    tell: Callable[[pa.Table], None] | None = None

    def __call__(self, scope: RestateScope, apply: bool) -> Restatement:
        """Return what differs of the scope's windows; write it where asked."""
        if apply and self.tell is None:
            raise NoJobError(_NO_JOB)
        store = self.store
        until = stored_final_until(store)
        if until is None or scope.start >= until:
            since = (
                "yet" if until is None else f"since {pl.Series([until]).cast(pl.Datetime('ms'))[0]}"
            )
            raise RestateError(
                f"no window of this time is final {since}: there is nothing to restate"
            )
        changes = []
        for series in self._series(scope):
            rows = self._differing(scope, series, until)
            if rows.num_rows:
                changes.append(self._changes(rows, series))
            if apply:
                insert_usage(store, rows)
        if self.tell is not None and apply:
            count_late(store, scope)
            for series in self._series(scope):
                self.tell(series)
        return _restatement(changes, apply)

    def _series(self, scope: RestateScope) -> Iterator[pa.Table]:
        """Yield the scope's series (TOUCHED), some at a time, since its first window."""
        rules = self._rules()
        start = scope.start // rules.shortest * rules.shortest
        found = scoped_series(self.store, scope, start)
        for first in range(0, found.num_rows, _SERIES):
            yield found.slice(first, _SERIES)

    def _differing(self, scope: RestateScope, series: pa.Table, until: int) -> pa.Table:
        """Return the rows (USAGE) of final windows that differ from the stored ones."""
        store, windows = self.store, UsageWindows(self._rules(), until)
        past = Past(
            functools.partial(history, store, late=(scope.start, scope.end)),
            functools.partial(stored_usage, store),
        )
        work_out_again(windows, series, past)
        now = int(time.time() * 1000)
        table = usage_table(windows, list(windows.tick(now, None)), now)
        final = pc.and_(pc.equal(table["restated"], 1), pc.equal(table["interim"], 0))
        if scope.project_id is not None:
            final = pc.and_(final, pc.equal(table["project_id"], scope.project_id))
        return table.filter(final)

    def _changes(self, rows: pa.Table, series: pa.Table) -> pl.DataFrame:
        """Return the sums of usage before and after, of the rows that differ."""
        oldest = pc.min(rows["start"]).cast(pa.timestamp("ms", "UTC"))
        since = pa.repeat(oldest, series.num_rows)
        stored = stored_usage(self.store, series.set_column(2, "timestamp", since))
        before = _plain(stored).select(*_ROW, before="usage")
        both = _plain(rows).join(before, on=_ROW, how="left")
        return both.select(
            *_SUM,
            before=pl.col("before").fill_null(0.0),
            after=pl.when(is_deleted=1).then(0.0).otherwise("usage"),
        )

    def _rules(self) -> UsageRules:
        return UsageRules.of(self.config.usage, self.config.job.lateness)


def _plain(usage: pa.Table) -> pl.DataFrame:
    """Return usage rows with labels as text, whatever numbers they have."""
    return pl.DataFrame(usage).with_columns(pl.col(pl.Categorical).cast(pl.String))


def restate_late(restate: Restater, since: int) -> None:
    """Restate the windows of late samples that came since then (s): a replay of the past ends so."""
    scope = late_since(restate.store, since)
    if scope is not None:
        restate(scope, True)


def _restatement(changes: list[pl.DataFrame], applied: bool) -> Restatement:
    if not changes:
        return Restatement(0, [], applied)
    every = pl.concat(changes)
    sums = (
        every.group_by(_SUM)
        .agg(rows=pl.len(), before=pl.col("before").sum(), after=pl.col("after").sum())
        .sort(_SUM)
    )
    told = [
        SumChange(
            row["meter"], row["project_id"], row["period"], row["rows"], row["before"], row["after"]
        )
        for row in sums.to_dicts()
    ]
    return Restatement(every.height, told, applied)
