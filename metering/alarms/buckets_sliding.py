"""The periods of a `threshold` rule: they end with the newest sample, or with the watermark once it passed it.

Units: times in ms. Samples are kept by the period of the clock they fall in; every such period that is new
    is looked at once, as of its last sample.
Source: Ceilometer's statistics over Aodh's window, which ends now; excluded outliers are periods whose
    number of samples is more than two standard deviations from the mean.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from metering.alarms.buckets import Buckets
from metering.alarms.buckets_guard import Guard, Span
from metering.alarms.buckets_statistics import Point, of_samples
from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Period, Verdict, verdict
from metering.alarms.meter_rules import StatisticsRule
from metering.alarms.states import UNKNOWN, State

_OUTLYING: Final = 2  # standard deviations


class SlidingBuckets(Buckets):
    """Periods that end where the newest sample is."""

    def __init__(self, rule: StatisticsRule) -> None:
        super().__init__(rule)
        look_back = rule.evaluation_periods if rule.exclude_outliers else 1
        self.reach = rule.evaluation_periods + look_back

    def present(self, moment: Moment) -> Verdict:
        """Return what the periods say that end now."""
        return self._until(max(self.newest, moment.passed), moment, True)

    def looked_at(self, moment: Moment) -> list[Period]:
        """Return the periods that end now, the newest last."""
        end = max(self.newest, moment.passed)
        if end == BEFORE_ALL:
            return []
        periods = self._periods(end)
        taken = self._counted(periods)
        found = []
        for nth in range(self.reach - 1, -1, -1):
            volumes, until = periods[nth], end - nth * self.period
            value = of_samples(self.rule.statistic, volumes) if volumes else None
            counts = any(volumes is one for one in taken)
            found.append(
                Period(
                    until - self.period, until, len(volumes), value, counts, until <= moment.passed
                )
            )
        return found

    def due(self, state: State, moment: Moment) -> int:
        """Return the watermark at which a sample goes from one period to another."""
        end = max(self.newest, moment.passed)
        times = [at for at, _ in self._points(end)]
        if not times:
            return NEVER if state == UNKNOWN else moment.passed + self.period
        slides = min(at + ((end - at) // self.period + 1) * self.period for at in times)
        last = self._until(end, moment, True)
        if state != UNKNOWN and last.waits:
            return min(slides, moment.passed + self.period)
        return slides

    def _at(self, bucket: int, moment: Moment) -> Verdict:
        points = self._cell_points(bucket)
        last = min(self.newest, (bucket + 1) * self.period - 1)
        end = max((at for at, _ in points if at <= last), default=last)
        return self._until(end, moment, end >= self._told)

    def _passed(self, moment: Moment) -> Iterator[Verdict]:
        if moment.passed > self.newest:
            yield self._until(moment.passed, moment, True)

    def _emptied(self, bucket: int) -> Iterator[Verdict]:
        """Yield what the periods say that end where a bucket begins: the watermark has reached it."""
        end = bucket * self.period
        yield self._until(end, Moment(end, end), end > self._told)

    def _guarded(self, span: Span) -> Guard | None:
        """Return what leaves the state, once no sample beyond is in the newest period."""
        if self.rule.evaluation_periods > 1 or self.rule.exclude_outliers:
            return None
        points = self._points(self.newest)
        beyond = max((at for at, one in points if not span.holds(one, one)), default=BEFORE_ALL)
        return Guard(span, self.newest, self.period, NEVER, beyond + self.period, sliding=True)

    def _until(self, end: int, moment: Moment, fresh: bool) -> Verdict:
        periods = self._periods(end)
        empty = (nth for nth, volumes in enumerate(periods) if not volumes)
        may_come = sum(end - nth * self.period > moment.passed for nth in empty)
        values = [of_samples(self.rule.statistic, one) for one in self._counted(periods)]
        return verdict(self.rule, values, may_come, end, fresh)

    def _periods(self, end: int) -> list[list[float]]:
        """Return the samples of the periods that end at a time, the newest first."""
        periods: list[list[float]] = [[] for _ in range(self.reach)]
        for at, volume in self._points(end):
            periods[(end - at) // self.period].append(volume)
        return periods

    def _counted(self, periods: list[list[float]]) -> list[list[float]]:
        """Return the periods that count, the newest last."""
        filled = [volumes for volumes in reversed(periods) if volumes]
        taken = _inlying(filled) if self.rule.exclude_outliers else filled
        return taken[-self.rule.evaluation_periods :]

    def _points(self, end: int) -> list[Point]:
        """Return the samples of the periods that end at a time."""
        begin = end - self.reach * self.period
        buckets = range(begin // self.period, end // self.period + 1)
        points = itertools.chain.from_iterable(map(self._cell_points, buckets))
        return [point for point in points if begin < point[0] <= end]

    def _cell_points(self, bucket: int) -> list[Point]:
        cell = self._cells.get(bucket, {})
        return [point for one in cell.values() for point in one.points]


def _inlying(periods: Sequence[list[float]]) -> list[list[float]]:
    """Return the periods without those that have strangely few or many samples."""
    counts = [len(volumes) for volumes in periods]
    if not counts:
        return []
    mean, spread = float(np.mean(counts)), _OUTLYING * float(np.std(counts))
    return [volumes for volumes in periods if mean - spread <= len(volumes) <= mean + spread]
