"""The periods of a rule of Gnocchi's kind, filled by samples, and what the newest of them say.

Units: times in ms; a bucket is the number of a period since the epoch.
State: the periods that the rule may look back to, and what was known at the last tick.
Guarantee: between two ticks what is said follows from the samples alone, however they are cut or ordered.
Source: Aodh looks at the newest period and `evaluation_periods` + 1 before it, and takes the newest that
    hold samples. Here a period is empty once the watermark has passed it.
"""

import itertools
from collections.abc import Iterator
from typing import Final

from metering.alarms.buckets_guard import Guard, Span, span_of
from metering.alarms.buckets_statistics import (
    Partial,
    Point,
    is_rate,
    of_partial,
    of_points,
    over_series,
    takes_samples,
)
from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Period, Verdict, verdict
from metering.alarms.meter_rules import MeterRule
from metering.alarms.states import UNKNOWN, State

AHEAD: Final = 60_000  # ms; how far ahead of the clock a sample may be and still be looked at
# ms; how far behind the newest samples are kept where no watermark says so
SKEW: Final = 3_600_000
_GROWN: Final = 10  # periods before a sample's in which the one before may be, for its growth

Cell = dict[int, Partial]  # by series


class Buckets:
    """Periods that begin at multiples of their length."""

    def __init__(self, rule: MeterRule) -> None:
        self.rule = rule
        self.period = rule.period * 1000
        self.reach = rule.evaluation_periods + 1  # periods before the newest that are looked at
        self.newest = BEFORE_ALL  # time of the newest sample that is not ahead of the clock
        self.back = _GROWN if is_rate(rule.statistic) else 0  # periods in which growth may begin
        self.wakes = NEVER  # when the clock reaches the first sample that is
        self._cells: dict[int, Cell] = {}
        self._values: dict[int, float | None] = {}
        self._known = BEFORE_ALL  # the newest bucket at the last tick
        self._told = BEFORE_ALL  # up to when (ms) periods were looked at
        self._floor = BEFORE_ALL  # older buckets are not known
        self._revised = False  # what was known has changed since

    @property
    def kept(self) -> int:
        """How many periods before the newest are kept."""
        return 2 * self.reach + self.back + 1

    def add(self, series: int, bucket: int, partial: Partial, now: int) -> None:
        """Add samples of a period; those of one that is not known any more are left."""
        if bucket < self._floor:
            return
        cell = self._cells.get(bucket)
        if cell is None:
            self._cells[bucket] = {series: partial}
        elif series in cell:
            cell[series].add(partial)
        else:
            cell[series] = partial
        self._changed(bucket)
        if bucket <= self._known:
            self._revised = True
        if partial.last_at > now + AHEAD:
            self._look_ahead(now)
        elif partial.last_at > self.newest:
            self.newest = partial.last_at

    def drop(self, series: int) -> None:
        """Forget the samples of a series."""
        for bucket, cell in list(self._cells.items()):
            if cell.pop(series, None) is not None:
                self._changed(bucket)
            if not cell:
                del self._cells[bucket]
        self._revised = True

    def know_from(self, at: int) -> None:
        """Begin with what is stored since a time; nothing is known of what was before."""
        self._floor = -(-at // self.period)

    def look_from(self, at: int, told: int) -> None:
        """Take what is newer than a time for new, and all up to another for told (after a start)."""
        self.know(min(at, self.newest))
        self._told = told
        self._revised = True

    def look_again(self) -> None:
        """Take what is known for changed."""
        self._revised = True

    def begin(self, moment: Moment) -> None:
        """Begin what follows a tick: what is there now is known, what is too old is forgotten."""
        self.know(self.newest)
        self._told = max(self._told, self.newest)
        self._revised = False
        if self.wakes <= moment.now:
            self._look_ahead(moment.now)
        if self.newest > BEFORE_ALL:
            self._forget(moment)

    def know(self, at: int) -> None:
        """Take the periods up to a time for known at the last tick."""
        self._known = at // self.period if at > BEFORE_ALL else BEFORE_ALL

    def guard(self, state: State) -> Guard | None:
        """Return what leaves the state that was found; None where that cannot be told."""
        rule = self.rule
        span = span_of(rule.comparison_operator, rule.threshold, rule.statistic, state)
        if span is None or self.newest == BEFORE_ALL or self.wakes < NEVER:
            return None
        return self._guarded(span)

    def verdicts(self, moment: Moment) -> Iterator[Verdict]:
        """Yield what the periods say, one after another: the new ones, or else the newest.

        What came when the watermark had passed all that looks back to it says nothing any more.
        """
        newest, passed = self.newest // self.period, moment.passed // self.period
        new = self._filled(self._known + 1, newest)
        if (self._revised or not new) and self._known > BEFORE_ALL:
            new.insert(0, min(self._known, newest))
        for bucket, following in itertools.zip_longest(new, new[1:], fillvalue=NEVER):
            gone = list(self._gone(bucket, min(passed, following)))
            if not any(each.state == UNKNOWN for each in gone):
                yield self._at(bucket, moment)
            yield from gone
        yield from self._passed(moment)
        self._told = max(self._told, self.newest, moment.passed)

    def present(self, moment: Moment) -> Verdict:
        """Return what the newest periods say."""
        bucket = max(self.newest, moment.passed) // self.period
        return self._at(bucket, moment)

    def looked_at(self, moment: Moment) -> list[Period]:
        """Return the periods that are looked at now, the newest last."""
        newest = max(self.newest, moment.passed)
        if newest == BEFORE_ALL:
            return []
        bucket = newest // self.period
        taken = self._taken(bucket)
        return [
            Period(
                start=each * self.period,
                end=(each + 1) * self.period,
                samples=sum(one.count for one in self._cells.get(each, {}).values()),
                value=self._value(each) if each in self._cells else None,
                counts=each in taken,
                passed=(each + 1) * self.period <= moment.passed,
            )
            for each in range(bucket - self.reach, bucket + 1)
        ]

    def due(self, state: State, moment: Moment) -> int:
        """Return the watermark at which the periods may say something else without more samples."""
        if state == UNKNOWN:
            return NEVER
        newest, passed = self.newest // self.period, moment.passed // self.period
        taken = self._taken(newest)
        if len(taken) < self.rule.evaluation_periods:
            return (passed + 1) * self.period
        return (max(taken[0] + self.reach, passed) + 1) * self.period

    def _at(self, bucket: int, moment: Moment) -> Verdict:
        """Return what the periods up to a bucket say."""
        taken = self._taken(bucket)
        values = [value for value in map(self._value, taken) if value is not None]
        may_come = 0
        if len(values) < self.rule.evaluation_periods:
            may_come = self._may_come(bucket, moment)
        seen = min(self.newest, (bucket + 1) * self.period - 1)
        return verdict(self.rule, values, may_come, seen, (bucket + 1) * self.period > self._told)

    def _guarded(self, span: Span) -> Guard | None:
        bucket, needed = self.newest // self.period, self.rule.evaluation_periods
        cell = self._cells.get(bucket)
        if not cell or not all(span.holds(one.least, one.most) for one in cell.values()):
            return None
        if needed > 1 and self._taken(bucket) != list(range(bucket - needed + 1, bucket + 1)):
            return None
        ahead = NEVER if needed == 1 else 1
        return Guard(span, self.newest, self.period, ahead, BEFORE_ALL, sliding=False)

    def _gone(self, bucket: int, reached: int) -> Iterator[Verdict]:
        """Yield what the watermark said after a bucket, once it had reached another."""
        if reached > bucket + 1 and reached - self.reach >= self._floor:
            yield from self._emptied(reached)

    def _passed(self, moment: Moment) -> Iterator[Verdict]:
        """Yield what follows where the watermark has passed the newest sample."""
        passed = moment.passed // self.period
        if passed > self.newest // self.period and passed - self.reach >= self._floor:
            yield self._before(passed, fresh=True)

    def _emptied(self, bucket: int) -> Iterator[Verdict]:
        """Yield that too little came, where the periods before a bucket that the watermark reached say so."""
        found = self._before(bucket, bucket * self.period > self._told)
        if len(found.values) < self.rule.evaluation_periods:
            yield found

    def _before(self, bucket: int, fresh: bool) -> Verdict:
        """Return what the periods before a bucket say to which the watermark has come."""
        taken = [each for each in self._taken(bucket - 1) if each >= bucket - self.reach]
        values = [value for value in map(self._value, taken) if value is not None]
        return verdict(self.rule, values, 0, bucket * self.period, fresh)

    def _taken(self, bucket: int) -> list[int]:
        """Return the newest buckets with a value, as many as are needed, the newest last."""
        found: list[int] = []
        for each in range(bucket, bucket - self.reach - 1, -1):
            if each in self._cells and self._value(each) is not None:
                found.append(each)
                if len(found) == self.rule.evaluation_periods:
                    break
        found.reverse()
        return found

    def _may_come(self, bucket: int, moment: Moment) -> int:
        """Return how many of the empty periods before a bucket the watermark has not passed."""
        open_from = moment.passed // self.period
        empty = range(max(bucket - self.reach, open_from), bucket)
        return sum(each not in self._cells for each in empty)

    def _value(self, bucket: int) -> float | None:
        if bucket not in self._values:
            self._values[bucket] = self._statistic(bucket, self._cells[bucket])
        return self._values[bucket]

    def _statistic(self, bucket: int, cell: Cell) -> float | None:
        statistic = self.rule.statistic
        if not takes_samples(statistic):
            if len(cell) == 1:
                return of_partial(statistic, next(iter(cell.values())))
            return over_series(
                statistic,
                [(one.first_at, one.last_at, of_partial(statistic, one)) for one in cell.values()],
            )
        found = []
        for series, one in cell.items():
            before = self._point_before(series, bucket) if is_rate(statistic) else None
            value = of_points(statistic, one.points, before, one.counter)
            if value is not None:
                found.append((one.first_at, one.last_at, value))
        if len(found) < 2:
            return found[0][2] if found else None
        return over_series(statistic, found)

    def _point_before(self, series: int, bucket: int) -> Point | None:
        """Return the last sample of a series in the periods before a bucket."""
        first = bucket - self.back
        earlier = (
            each for each, cell in self._cells.items() if first <= each < bucket and series in cell
        )
        found = max(earlier, default=None)
        return None if found is None else max(self._cells[found][series].points)

    def _filled(self, first: int, last: int) -> list[int]:
        """Return the buckets with samples from one to another."""
        if last - first < len(self._cells):
            return [each for each in range(first, last + 1) if each in self._cells]
        return sorted(each for each in self._cells if first <= each <= last)

    def _changed(self, bucket: int) -> None:
        if is_rate(self.rule.statistic):
            self._values.clear()  # what follows it grew from it
        else:
            self._values.pop(bucket, None)

    def _forget(self, moment: Moment) -> None:
        oldest = min(self.newest, max(moment.passed, self.newest - SKEW))
        floor = oldest // self.period - self.kept
        if floor > self._floor:
            self._floor = floor
            for each in [each for each in self._cells if each < floor]:
                del self._cells[each]
                self._values.pop(each, None)

    def _look_ahead(self, now: int) -> None:
        """Tell samples that are too far ahead of the clock from those that are not."""
        times = [
            at
            for cell in self._cells.values()
            for one in cell.values()
            for at in (one.first_at, one.last_at)
        ]
        self.newest = max((at for at in times if at <= now + AHEAD), default=BEFORE_ALL)
        self.wakes = min((at - AHEAD for at in times if at > now + AHEAD), default=NEVER)
