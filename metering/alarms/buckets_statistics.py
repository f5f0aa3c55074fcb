"""What the samples of a period come to, by Ceilometer's and Gnocchi's statistics.

Source: Gnocchi aggregates each series' period first (`rate:` of the growth between its neighbours), then
    the series' values by the same method without `rate:`; the standard deviation of one sample is none.
    Ceilometer takes the samples of all series together.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

Point = tuple[int, float]  # ms, volume

_RATE: Final = "rate:"
_TAKES_SAMPLES: Final = ("median", "std")


@dataclasses.dataclass(slots=True)
class Partial:
    """What the samples of one series in one period come to; `points` where the statistic takes them."""

    count: int
    total: float
    least: float
    most: float
    first: float
    last: float
    first_at: int
    last_at: int
    counter: bool
    points: list[Point]

    def add(self, other: "Partial") -> None:
        """Add what more samples come to."""
        self.count += other.count
        self.total += other.total
        if other.least < self.least:
            self.least = other.least
        if other.most > self.most:
            self.most = other.most
        if (other.first_at, other.first) < (self.first_at, self.first):
            self.first_at, self.first = other.first_at, other.first
        if (other.last_at, other.last) >= (self.last_at, self.last):
            self.last_at, self.last = other.last_at, other.last
        if other.points:
            self.points += other.points


def takes_samples(statistic: str) -> bool:
    """Return whether a statistic of Gnocchi's needs the samples themselves."""
    return statistic.startswith(_RATE) or statistic in _TAKES_SAMPLES or statistic.endswith("pct")


def is_rate(statistic: str) -> bool:
    """Return whether a statistic is of growth between neighbours."""
    return statistic.startswith(_RATE)


def of_points(
    statistic: str, points: Sequence[Point], before: Point | None, counter: bool
) -> float | None:
    """Return a statistic of one series' samples; `before` is the sample before them, for growth."""
    ordered = sorted(points)
    if is_rate(statistic):
        ordered = _growth(ordered, before, counter)
    return _of_series(statistic.removeprefix(_RATE), [volume for _, volume in ordered])


def of_partial(statistic: str, partial: Partial) -> float:
    """Return a statistic that does not take the samples themselves."""
    return _SIMPLE[statistic](partial)


def over_series(statistic: str, values: Collection[tuple[int, int, float]]) -> float | None:
    """Return the aggregate over several series: of each the times of its first and last, and its value."""
    method = statistic.removeprefix(_RATE)
    if method == "first":
        return min(values)[2]
    if method == "last":
        return max(values, key=lambda value: value[1:])[2]
    numbers = [value for _, _, value in values]
    return float(np.std(numbers)) if method == "std" else _of_series(method, numbers)


def of_samples(statistic: str, volumes: Sequence[float]) -> float:
    """Return one of Ceilometer's statistics of the samples of a period, of all series."""
    return _CEILOMETER[statistic](volumes)


def _growth(ordered: list[Point], before: Point | None, counter: bool) -> list[Point]:
    """Return growth between neighbours; a counter that falls counts from zero."""
    known = [before, *ordered] if before else ordered
    grown = []
    for (_, earlier), (at, later) in itertools.pairwise(known):
        grown.append((at, later if counter and later < earlier else later - earlier))
    return grown


def _of_series(method: str, volumes: list[float]) -> float | None:
    if not volumes or (method == "std" and len(volumes) < 2):
        return None
    if method.endswith("pct"):
        return float(np.percentile(volumes, int(method.removesuffix("pct"))))
    return float(_GNOCCHI[method](volumes))


_SIMPLE: Final[dict[str, Callable[[Partial], float]]] = {
    "mean": lambda one: one.total / one.count,
    "sum": lambda one: one.total,
    "min": lambda one: one.least,
    "max": lambda one: one.most,
    "first": lambda one: one.first,
    "last": lambda one: one.last,
    "count": lambda one: float(one.count),
}
_GNOCCHI: Final[dict[str, Callable[[list[float]], float]]] = {
    "mean": lambda volumes: math.fsum(volumes) / len(volumes),
    "sum": math.fsum,
    "min": min,
    "max": max,
    "first": lambda volumes: volumes[0],
    "last": lambda volumes: volumes[-1],
    "count": len,
    "median": lambda volumes: float(np.median(volumes)),
    "std": lambda volumes: float(np.std(volumes, ddof=1)),
}
_CEILOMETER: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "avg": lambda volumes: math.fsum(volumes) / len(volumes),
    "sum": math.fsum,
    "min": min,
    "max": max,
    "count": len,
}
