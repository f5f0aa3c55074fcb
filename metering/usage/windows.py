"""The usage windows of a process: moved by samples in order and by ticks.

Guarantee: whatever the cut of the stream, and whatever came out of order meanwhile, the newest version
    of each row told is what docs/usage.md says of the samples in the store.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.hashes import hashed, series_keys
from metering.memory import U64, NumberMap, grown
from metering.schema import TOUCHED
from metering.usage.entries import Intervals, Mask, entries, held
from metering.usage.fold import added_up, by_series, in_longer
from metering.usage.labels import I64, NUMBERED, Labels
from metering.usage.rules import UsageRules
from metering.usage.series import EMPTY, STALE, SeriesTable, SomeSeries

_EVERY: Final = 10  # s between two rows of an open window
_FIRST: Final = 10_000  # rows of open windows that may be written whatever else is
_SHARE: Final = 0.25  # rows of open windows to others written: a fifth of all
_AGAIN: Final = 10_000  # series worked out again at a time
_SWEPT: Final = 50_000  # series looked at in a tick when windows become final
NEVER: Final = -(1 << 60)  # ms

Rows = npt.NDArray[Any]  # of metering.usage.entries.ROW


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """Rows (ROW) of a period to write: complete, or of windows that may still grow, or gone.

    Those of windows that end at `until` or before, which were final already, are restated.
    """

    period: int
    rows: Rows
    until: int
    interim: bool = False
    gone: bool = False


class UsageWindows:
    """What is counted so far, and what of it is to be told.

    State: metering.usage.series, the texts of the live series, and the keys of those in the store.
    """

    def __init__(self, rules: UsageRules, until: int | None = None) -> None:
        self.rules = rules
        self.until = NEVER if until is None else until  # ms; windows that end by then are final
        self.labels = Labels(rules)
        self.series = SeriesTable(rules.periods)
        self._stored = NumberMap()  # series of the store that are not in memory
        self._touched: list[pa.Table] = []
        self._complete: list[Told] = []
        self._dirty = np.zeros(0, np.bool_)  # has samples that are not told
        self._told = np.zeros(0, np.uint32)  # s; when open windows were told
        self._cursor = 0
        self._credit = float(_FIRST)  # rows of open windows
        self._final = self.until  # ms; up to when windows may become final
        self._sweep = 0  # the next series whose windows do
        self._forgot = self.until // rules.periods[-1]  # the longest period that began there

    @property
    def final_until(self) -> int | None:
        """Up to when (ms) windows are final; None where none is."""
        return None if self.until == NEVER else self.until

    def nbytes(self) -> int:
        """Return the bytes held for the live series, without their texts."""
        return self.series.nbytes() + self._dirty.nbytes + self._told.nbytes

    def know(self, meters: pa.Array, resources: pa.Array) -> None:
        """Take series that the store has; each is worked out again when a sample of it comes."""
        keys = series_keys(hashed(meters), hashed(resources))
        self._stored.put(keys, np.ones(len(keys), np.uint64))

    def touch(self, series: pa.Table) -> None:
        """Take series (TOUCHED) whose stored past changed: they are worked out again."""
        keys = series_keys(hashed(series["meter"]), hashed(series["resource_id"]))
        numbers, _ = self.numbers(np.unique(keys))
        self.series.mark(numbers, STALE)
        self._touched.append(series)

    def take(self, samples: pa.Table) -> None:
        """Add samples (SAMPLES), each newer than all of its series that came before.

        They may be in the store already: what was worked out again since has them, so it is as new as they.
        """
        rows = self.labels.numbered(samples)
        starts = np.flatnonzero(_starts(rows["key"]))
        numbers, stored = self.numbers(rows["key"][starts])
        known = self.series.some(numbers)
        counted = rows["at"] <= np.repeat(known.newest(), _lengths(starts, rows))
        if counted.any():
            some = ~np.logical_and.reduceat(counted, starts)
            known, stored, rows = known[some], stored[some], rows[~counted]
            starts = np.flatnonzero(_starts(rows["key"]))
        stale = known.has(STALE)
        postponed = (stored | _moved(rows, starts, known)) & ~stale
        if postponed.any():
            self.touch(self._touching(rows[starts[postponed]]))
        self._credit += len(rows) * _SHARE
        skipped = postponed | stale
        if skipped.any():
            rows = rows[~np.repeat(skipped, _lengths(starts, rows))]
            known = known[~skipped]
        if len(rows):
            self._add(rows, known)

    def numbers(self, keys: U64) -> tuple[I64, Mask]:
        """Return the number of each series, each once, and which were only in the store so far."""
        numbers = self.series.find(keys)
        fresh = numbers < 0
        stored = np.zeros(len(keys), np.bool_)
        if fresh.any():
            stored[fresh] = self._stored.get(keys[fresh])[1]
            numbers[fresh] = self.series.add(keys[fresh])
            self._dirty = grown(self._dirty, len(self.series))
            self._told = grown(self._told, len(self.series))
        return numbers, stored

    def tell(self, told: Told) -> None:
        """Take rows to tell at the next tick."""
        if len(told.rows):
            self._complete.append(told)
            self._credit += len(told.rows) * _SHARE

    def changed(self, numbers: I64) -> None:
        """Take series whose open windows are to be told again."""
        self._dirty[numbers] = True

    def touched(self) -> pa.Table | None:
        """Return series to work out again, each once with its oldest changed moment, and forget them."""
        if not self._touched:
            return None
        tables, self._touched = pa.concat_tables(self._touched), []
        oldest = tables.group_by(["meter", "resource_id"]).aggregate([("timestamp", "min")])
        series = oldest.rename_columns(["meter", "resource_id", "timestamp"]).cast(TOUCHED)
        if series.num_rows > _AGAIN:
            self._touched.append(series.slice(_AGAIN))
        return series.slice(0, _AGAIN)

    def withdraw(self, numbers: I64, since: Callable[[Rows, int], I64]) -> list[Told]:
        """Take back rows of series that are to be told, of windows since then; return the others of these."""
        kept, of_series = [], []
        for told in self._complete:
            mine = np.isin(told.rows["series"], numbers)
            again = mine.copy()
            again[mine] = told.rows["window"][mine] >= since(told.rows[mine], told.period)
            kept.append(dataclasses.replace(told, rows=told.rows[~again]))
            of_series.append(dataclasses.replace(told, rows=told.rows[mine & ~again]))
        self._complete = kept
        return of_series

    def tick(self, now: int, watermark: int | None) -> Iterator[Told]:
        """Yield the rows to write: those of windows passed, and some of open windows."""
        complete, self._complete = self._complete, []
        yield from complete
        self._final = max(self.rules.final_until(watermark) or NEVER, self._final)
        yield from self._interim(now, NEVER if watermark is None else watermark)

    def finals(self) -> Iterator[Told]:
        """Yield what the last tick made final, of some series; the last of them move `until`.

        To be asked before more samples are taken, and once nothing is to be worked out again.
        """
        if self._final <= self.until or self._touched:
            return
        numbers = np.arange(self._sweep, min(self._sweep + _SWEPT, len(self.series)))
        filled = self.series.column("flags")[numbers] & EMPTY == 0
        for told in self.standing(numbers[filled], self._final):
            end = told.rows["window"] + told.period
            rows = told.rows[(end > self.until) & (end <= self._final)]
            self._credit += len(rows) * _SHARE
            yield Told(told.period, rows, self.until)
        self._sweep += _SWEPT
        if self._sweep >= len(self.series):
            self.until, self._sweep = self._final, 0

    def forget(self) -> None:
        """Forget series all of whose windows are final: the store knows them if they come back.

        Between a tick, once what it told is written down, and the samples that follow.
        """
        longest = self.rules.periods[-1]
        if self.until // longest == self._forgot or self._complete:
            return
        self._forgot = self.until // longest
        reach = self.series.column("at") + self.rules.longest_gap
        ended = (reach // longest + 1) * longest <= self.until
        ended &= self.series.column("flags") & (EMPTY | STALE) == 0
        kept = np.flatnonzero(~ended)
        names = ("kind", "owner", "resource")
        moved = self.labels.keep(*(self.series.column(name)[kept] for name in names))
        keys = self.series.keep(kept, moved)
        self._stored.put(keys, np.ones(len(keys), np.uint64))
        self._dirty, self._told = self._dirty[kept], self._told[kept]
        self._cursor = self._sweep = 0

    def standing(self, numbers: I64, until: int) -> Iterator[Told]:
        """Yield what the last windows of series hold, values held up to a time (ms)."""
        known = self.series.some(numbers)
        lasts = known.lasts()
        types, gaps = self.labels.types(lasts["kind"]), self.labels.gaps(lasts["kind"])
        on = held(lasts, numbers, np.int64(until), types, gaps, self.rules.shortest)
        hours = added_up(by_series(known.held(0), on))
        yield Told(self.rules.shortest, hours, self.until)
        for nth, period in enumerate(self.rules.periods[1:], 1):
            before = _filled(known.held(nth))
            yield Told(period, in_longer(by_series(before, hours), period), self.until)

    def _add(self, rows: Rows, known: SomeSeries) -> None:
        """Add samples (NUMBERED) of these series."""
        starts = np.flatnonzero(_starts(rows["key"]))
        ends = np.append(starts[1:], len(rows))
        old = ~known.has(EMPTY)
        before = np.empty(len(rows), NUMBERED)
        before[1:] = rows[:-1]
        before[starts] = known.lasts()
        knows = np.ones(len(rows), np.bool_)
        knows[starts] = old
        leads = np.zeros(len(rows), np.bool_)
        leads[starts] = old
        types, gaps = self.labels.types(rows["kind"]), self.labels.gaps(rows["kind"])
        span = Intervals.between(before, rows, knows, types, gaps)
        lead = (known if old.all() else known[old]).held(0)
        every = np.repeat(known.numbers, ends - starts)
        hours = added_up(entries(rows, every, span, lead, leads, types, self.rules.shortest))
        newest = np.append(_starts(hours["series"])[1:], True)
        self._close(hours[~newest], known, rows["at"][ends - 1])
        self.series.set_lasts(known.numbers, rows[ends - 1])
        self.series.set_held(hours[newest], 0)
        self.changed(known.numbers)

    def _close(self, closed: Rows, known: SomeSeries, newest: I64) -> None:
        """Tell windows that samples have passed, and add them to those of the longer periods."""
        if not len(closed):
            return
        self.tell(Told(self.rules.shortest, closed, self.until))
        passed = np.isin(known.numbers, closed["series"])
        known, newest = known[passed], newest[passed]
        order = np.argsort(known.numbers)
        for nth, period in enumerate(self.rules.periods[1:], 1):
            merged = in_longer(by_series(_filled(known.held(nth)), closed), period)
            at = newest[order[np.searchsorted(known.numbers, merged["series"], sorter=order)]]
            still = merged["window"] == at // period * period
            self.tell(Told(period, merged[~still], self.until))
            self.series.clear_held(known.numbers, nth)
            self.series.set_held(merged[still], nth)

    def _interim(self, now: int, watermark: int) -> Iterator[Told]:
        """Yield rows of open windows that changed, as many as may be, in turn."""
        dirty = np.flatnonzero(self._dirty[: len(self.series)])
        fresh = (self.series.column("flags")[dirty] & (EMPTY | STALE)) == 0
        due = dirty[fresh & (self._told[dirty].astype(np.int64) + _EVERY <= now // 1000)]
        turn = np.concatenate([due[due >= self._cursor], due[due < self._cursor]])
        some = turn[: max(int(self._credit), 0) // len(self.rules.periods)]
        if not len(some):
            return
        self._cursor = int(some[-1]) + 1
        self._dirty[some], self._told[some] = False, now // 1000
        for told in self.standing(some, watermark):
            rows = told.rows[told.rows["window"] + told.period > self.until]
            self._credit -= len(rows)
            yield Told(told.period, rows, self.until, interim=True)

    def _touching(self, rows: Rows) -> pa.Table:
        """Return which series (TOUCHED) samples (NUMBERED) are of."""
        meters = [self.labels.kinds.labels[kind].meter for kind in rows["kind"]]
        resources = [self.labels.resources.labels[number] for number in rows["resource"]]
        stamps = pa.array(rows["at"]).cast(TOUCHED.field("timestamp").type)
        return pa.table([meters, resources, stamps], schema=TOUCHED)


def _moved(rows: Rows, starts: I64, known: SomeSeries) -> Mask:
    """Return which series can't go on as they did: another owner or kind, or an end."""
    lasts, empty, lengths = known.lasts(), known.has(EMPTY), _lengths(starts, rows)
    moved = rows["ended"] == 1  # what was told of the value held beyond it is gone
    for name in ("owner", "kind"):
        usual = np.where(empty, rows[name][starts], lasts[name])
        moved |= rows[name] != np.repeat(usual, lengths)
    any_moved: Mask = np.logical_or.reduceat(moved, starts) if len(starts) else moved
    return any_moved


def _lengths(starts: I64, rows: Rows) -> I64:
    """Return how many rows follow each start."""
    return np.diff(np.append(starts, len(rows)))


def _filled(rows: Rows) -> Rows:
    """Return the rows that hold something."""
    filled: Rows = rows[(rows["count"] > 0) | (rows["covered"] > 0) | (rows["amount"] != 0)]
    return filled


def _starts(values: npt.NDArray[Any]) -> Mask:
    starts = np.ones(len(values), np.bool_)
    starts[1:] = values[1:] != values[:-1]
    return starts
