"""Which samples leave an alarm in its state, whatever else its periods hold.

An alarm is ok until all of its newest periods breach, and in alarm until none does: while the newest has
samples of one side only, it stays. Told so without a look at the periods, for thousands of alarms at once
(metering.alarms.book_held).
Guarantee: what a guard lets pass changes no state; most of what changes none passes.
"""

import functools
import math
from typing import Final, NamedTuple

from metering.alarms.buckets_statistics import is_rate
from metering.alarms.states import ALARM, OK, State

# Statistics that lie between the least and the most of what they are of, and of which samples they are one.
_ONE_OF: Final = ("min", "max", "first", "last")
_BETWEEN: Final = (*_ONE_OF, "mean", "avg", "median")
_ROUNDED: Final = 1e-9  # what a mean of equal values may be off by, and more


class Span(NamedTuple):
    """Volumes from the least to the most, both included."""

    least: float
    most: float

    def holds(self, least: float, most: float) -> bool:
        """Return whether volumes from one to another are inside; NaN is not."""
        return least >= self.least and most <= self.most


class Guard(NamedTuple):
    """What leaves an alarm in its state. Units: times in ms.

    Samples within `span`, not before `after` nor in a period before that of `newest`, and at most `ahead`
    periods after it. Of a `sliding` one none before the watermark, of others none in a period that it has passed.
    """

    span: Span
    newest: int
    period: int
    ahead: int
    after: int
    sliding: bool


@functools.lru_cache(maxsize=100_000)
def span_of(op: str, threshold: float, statistic: str, state: State) -> Span | None:
    """Return between which volumes samples leave a state; None where only the statistic can tell."""
    between = statistic in _BETWEEN or statistic.endswith("pct")
    if is_rate(statistic) or not between:
        return None
    found = _sides(op, threshold).get(state)
    if found is None or statistic in _ONE_OF or not threshold:
        return found
    margin = _ROUNDED * abs(threshold)
    return Span(found.least + margin, found.most - margin)


def _sides(op: str, threshold: float) -> dict[State, Span]:
    """Return the volumes that do not breach, for ok, and those that do, for alarm."""
    above, below = math.nextafter(threshold, math.inf), math.nextafter(threshold, -math.inf)
    up_to, beyond = Span(-math.inf, threshold), Span(above, math.inf)
    under, from_it = Span(-math.inf, below), Span(threshold, math.inf)
    sides: dict[str, dict[State, Span]] = {
        "gt": {OK: up_to, ALARM: beyond},
        "ge": {OK: under, ALARM: from_it},
        "lt": {OK: from_it, ALARM: under},
        "le": {OK: beyond, ALARM: up_to},
        "eq": {ALARM: Span(threshold, threshold)},
        "ne": {OK: Span(threshold, threshold)},
    }
    return sides[op]
