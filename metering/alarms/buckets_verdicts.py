"""What the periods of a rule say at a moment, and why a state follows from it.

Source: Aodh's rule of trends, its reasons and reason_data.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from metering.alarms.meter_rules import MeterRule
from metering.alarms.states import ALARM, OK, UNKNOWN, State

NEVER: Final = 1 << 61  # ms
BEFORE_ALL: Final = -(1 << 61)

Reason = tuple[str, dict[str, Any]]  # the text, and the same as data


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """When something is looked at: the clock and the watermark as the last tick told them. Units: ms."""

    now: int
    watermark: int | None = None

    @property
    def passed(self) -> int:
        """The watermark; before there is one, long ago."""
        return BEFORE_ALL if self.watermark is None else self.watermark


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """One of the periods that a rule looks at. Units: times in ms."""

    start: int
    end: int
    samples: int
    value: float | None  # None without samples
    counts: bool  # it is among the newest that are needed
    passed: bool  # the watermark has passed it: nothing more comes in time


class Verdict(NamedTuple):
    """What periods say: a state; None where they are mixed, or where what is missing may yet come.

    Of mixed periods `trend` is what the newest says. Units: `seen` in ms.
    """

    rule: MeterRule
    state: State | None
    trend: State | None
    values: Sequence[float]  # of the periods that count, the newest last
    outside: int  # how many of them breach
    seen: int  # up to when samples were looked at
    fresh: bool  # the periods are new, or changed

    @property
    def waits(self) -> bool:
        """Whether it cannot be said yet."""
        return self.state is None and self.trend is None

    def after(self, before: State) -> State:
        """Return the state that follows: mixed periods change only one that is unknown."""
        if self.state is not None:
            return self.state
        return self.trend if self.trend is not None and before == UNKNOWN else before

    def repeats(self, state: State) -> bool:
        """Return whether actions are repeated in a state: Aodh repeats them in any."""
        return True

    def reason(self, before: State, after: State) -> Reason:
        """Return why one state follows another, or remains."""
        if after == UNKNOWN and before != UNKNOWN:
            return self._unknown()
        inside = after == OK
        count = len(self.values) - self.outside if inside else self.outside
        data = self._data("inside" if inside else "outside", count)
        start = "Remaining as" if before == after else "Transition to"
        return (
            f"{start} {after} due to {count} samples {data['disposition']} threshold,"
            f" most recent: {data['most_recent']}"
        ), data

    def _unknown(self) -> Reason:
        needed = self.rule.evaluation_periods
        text = f"{needed} datapoints are unknown"
        if self.rule.aligned and not self.values:
            text = f"No datapoint for granularity {self.rule.period}"
        return text, self._data("unknown", needed)

    def _data(self, disposition: str, count: int) -> dict[str, Any]:
        most_recent = self.values[-1] if self.values else None
        return {
            "type": "threshold",
            "disposition": disposition,
            "count": count,
            "most_recent": most_recent,
        }


def verdict(
    rule: MeterRule, values: Sequence[float], may_come: int, seen: int, fresh: bool
) -> Verdict:
    """Return what the newest values say; `may_come` more may yet, before the watermark has passed.

    Source: Aodh's threshold evaluation.
    """
    needed = rule.evaluation_periods
    outside = sum(map(rule.outside, values))
    if len(values) < needed:
        if len(values) + may_come < needed:
            return Verdict(rule, UNKNOWN, None, values, 0, seen, fresh)
        return Verdict(rule, None, None, values, outside, seen, fresh)
    if outside == needed:
        return Verdict(rule, ALARM, None, values, outside, seen, fresh)
    if not outside:
        return Verdict(rule, OK, None, values, outside, seen, fresh)
    trend: State = ALARM if rule.outside(values[-1]) else OK
    return Verdict(rule, None, trend, values, outside, seen, fresh)
