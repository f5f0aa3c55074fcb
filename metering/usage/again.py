"""Series worked out again from stored samples: what came out of order, and what a start finds.

The samples go through the same sums as those in order, so the same history gives the same rows.
"""

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from metering.hashes import hashed, series_keys
from metering.memory import U64
from metering.schema import TOUCHED
from metering.usage.entries import ROW, Intervals, Mask, entries
from metering.usage.fold import added_up, in_longer
from metering.usage.labels import I64, NUMBERED
from metering.usage.series import EMPTY
from metering.usage.table import usage_rows
from metering.usage.windows import Rows, Told, UsageWindows

_SAME_COLUMNS: Final = list(ROW.names or ())
_NAMED: Final = ["series", "kind", "owner", "window"]  # what a row is of
_FOREVER: Final = 1 << 60  # ms
_WORKED_OUT: Final = 1000  # series at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What the store knows of series; each is asked with a table (TOUCHED): which, and since when.

    `samples` returns those that count (SAMPLES) since then, and the last moment's before; `usage` the
    newest rows (USAGE) of windows that start then or later.
    """

    samples: Callable[[pa.Table], pa.Table]
    usage: Callable[[pa.Table], pa.Table]


def work_out_again(windows: UsageWindows, touched: pa.Table, past: Past) -> None:
    """Work series (TOUCHED, each once) out again from their oldest changed moment.

    Rows that differ from the stored ones are told at the next tick.
    """
    for start in range(0, touched.num_rows, _WORKED_OUT):
        _some(windows, touched.slice(start, _WORKED_OUT), past)


def _some(windows: UsageWindows, touched: pa.Table, past: Past) -> None:
    period = windows.rules.shortest
    keys = _keys(touched)
    moments = touched["timestamp"].cast(pa.int64()).to_numpy()
    samples = past.samples(_since(touched, moments // period * period))
    rows = windows.labels.numbered(samples)
    floors = _floors(rows, keys, moments, period)
    early = floors < moments // period * period
    if early.any():  # the interval that is split begins in an earlier window: all of that is needed
        older = past.samples(_since(touched.filter(pa.array(early)), floors[early]))
        others = rows[~np.isin(rows["key"], keys[early])]
        rows = np.concatenate([others, windows.labels.numbered(older)])
    longest = windows.rules.periods[-1]
    stored = past.usage(_since(touched, floors // longest * longest))
    numbers, _ = windows.numbers(keys)
    _Again(windows, numbers, keys, floors).work_out(rows, stored)


def _floors(rows: Rows, keys: U64, moments: I64, period: int) -> I64:
    """Return the start of the first window of each series that may differ: that of the sample before."""
    order = np.argsort(keys)
    which = order[np.searchsorted(keys, rows["key"], sorter=order)]
    earlier = rows["at"] < moments[which]
    floors = moments // period * period
    before = np.full(len(keys), np.iinfo(np.int64).min)
    np.maximum.at(before, which[earlier], rows["at"][earlier])
    some = before > np.iinfo(np.int64).min
    floors[some] = before[some] // period * period
    return floors


class _Again:
    """Some series, worked out from the start of a window (`floors`, ms) of each on."""

    def __init__(self, windows: UsageWindows, numbers: I64, keys: U64, floors: I64) -> None:
        self._windows = windows
        self._rules = windows.rules
        self._numbers, self._keys, self._floors = numbers, keys, floors
        self._order = np.argsort(numbers)

    def work_out(self, samples: Rows, stored: pa.Table) -> None:
        """Set what is remembered of the series, and tell which of their rows differ."""
        hours, lasts = self._hours(samples)
        known, periods = usage_rows(self._windows, stored)
        earlier = known[(periods == self._rules.shortest) & (known["window"] < self._floor(known))]
        passed = self._remember(hours, self._with_untold(earlier), lasts)
        self._tell(passed, known, periods, stored)

    def _with_untold(self, earlier: Rows) -> Rows:
        """Return the rows before the floors as they are to be told; what follows is told anew."""
        shortest = self._rules.shortest
        waiting = self._windows.withdraw(
            self._numbers, lambda rows, of: self._floor(rows) // of * of
        )
        newer = [told.rows for told in waiting if told.period == shortest and not told.gone]
        if not newer:
            return earlier
        rows = np.concatenate([earlier, *newer])
        last = _frame(rows).unique(_NAMED, keep="last", maintain_order=True)
        found: Rows = rows[last["row"].to_numpy()]
        return found

    def _floor(self, rows: Rows) -> I64:
        place = np.searchsorted(self._numbers, rows["series"], sorter=self._order)
        floors: I64 = self._floors[self._order[place]]
        return floors

    def _hours(self, samples: Rows) -> tuple[Rows, Rows]:
        """Return the rows of the shortest period since the floors, and each series' last sample."""
        labels, period = self._windows.labels, self._rules.shortest
        order = np.argsort(self._keys)
        every = self._numbers[order[np.searchsorted(self._keys, samples["key"], sorter=order)]]
        knows = np.zeros(len(samples), np.bool_)
        knows[1:] = samples["key"][1:] == samples["key"][:-1]
        before = np.zeros(len(samples), NUMBERED)
        before[1:] = samples[:-1]
        types, gaps = labels.types(samples["kind"]), labels.gaps(samples["kind"])
        span = Intervals.between(before, samples, knows, types, gaps)
        none = np.zeros(len(samples), np.bool_)
        added = entries(samples, every, span, np.zeros(0, ROW), none, types, period)
        hours = added_up(added)
        return hours[hours["window"] >= self._floor(hours)], samples[~np.append(knows[1:], False)]

    def _remember(self, hours: Rows, earlier: Rows, lasts: Rows) -> list[tuple[int, Rows]]:
        """Set what is remembered of the series; return the rows of windows that they have passed."""
        series, shortest = self._windows.series, self._rules.shortest
        who = series.find(lasts["key"])
        series.empty(self._numbers)
        series.set_lasts(who, lasts)
        current = _current(hours, who, lasts, shortest)
        series.set_held(hours[current], 0)
        passed = [(shortest, hours[~current])]
        both = np.concatenate([earlier, hours[~current]])
        both = both[np.lexsort((both["window"], both["series"]))]
        for nth, period in enumerate(self._rules.periods[1:], 1):
            merged = in_longer(both, period)
            current = _current(merged, who, lasts, period)
            series.set_held(merged[current], nth)
            since = self._floor(merged) // period * period
            passed.append((period, merged[~current & (merged["window"] >= since)]))
        self._windows.changed(who)
        return passed

    def _tell(
        self, passed: list[tuple[int, Rows]], known: Rows, periods: I64, stored: pa.Table
    ) -> None:
        """Tell what is not stored so, and what is stored and is no more."""
        windows = self._windows
        filled = self._numbers[windows.series.column("flags")[self._numbers] & EMPTY == 0]
        final = [
            (told.period, told.rows[told.rows["window"] + told.period <= windows.until])
            for told in windows.standing(filled, windows.until)
        ]
        open_ = [(told.period, told.rows) for told in windows.standing(filled, _FOREVER)]
        interim = stored["interim"].to_numpy() == 1
        since = self._floor(known) // periods * periods
        for period in self._rules.periods:
            of = (periods == period) & (known["window"] >= since)
            there, whole = _frame(known[of]), _frame(known[of & ~interim])
            found = _together(passed, period, final)
            differs = _frame(found).join(whole, on=_SAME_COLUMNS, how="anti")
            windows.tell(Told(period, found[differs["row"].to_numpy()], windows.until))
            some = _frame(np.concatenate([found, _together(open_, period)]))
            gone = there.join(some, on=_NAMED, how="anti")["row"].to_numpy()
            windows.tell(Told(period, known[of][gone], windows.until, gone=True))


def _current(rows: Rows, who: I64, lasts: Rows, period: int) -> Mask:
    """Return which rows are of the window, owner and kind of their series' last sample."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    order = np.argsort(who)
    last = lasts[order[np.searchsorted(who, rows["series"], sorter=order)]]
    current: Mask = rows["window"] == last["at"] // period * period
    for name in ("owner", "kind"):
        current &= rows[name] == last[name]
    return current


def _together(parts: list[tuple[int, Rows]], period: int, *more: list[tuple[int, Rows]]) -> Rows:
    return np.concatenate([rows for some in (parts, *more) for of, rows in some if of == period])


def _frame(rows: Rows) -> pl.DataFrame:
    columns = {name: np.ascontiguousarray(rows[name]) for name in _SAME_COLUMNS}
    return pl.DataFrame(columns).with_row_index("row")


def _keys(touched: pa.Table) -> U64:
    return series_keys(hashed(touched["meter"]), hashed(touched["resource_id"]))


def _since(touched: pa.Table, moments: I64) -> pa.Table:
    stamps = pa.array(moments).cast(TOUCHED.field("timestamp").type)
    return touched.set_column(2, TOUCHED.field("timestamp"), stamps)
