"""How alarms of each type are evaluated: from what came and the watermark to findings, from these to states.

An evaluator keeps what its alarm's rule needs; a finding says what state follows another, and why.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from metering.alarms.buckets import Buckets
from metering.alarms.buckets_sliding import SlidingBuckets
from metering.alarms.buckets_statistics import Partial
from metering.alarms.buckets_verdicts import Moment, Reason, Verdict
from metering.alarms.meter_rules import MeterRule, StatisticsRule
from metering.alarms.states import State

States = Mapping[str, State]  # of other alarms, by id


class Part(Protocol):
    """What one selection of a rule brought."""

    newest: int  # ms; BEFORE_ALL where nothing came

    def add(self, series: int, bucket: int, partial: Partial, now: int) -> None:
        """Add samples of a series in a period of the part's length."""

    def drop(self, series: int) -> None:
        """Forget the samples of a series."""

    def know_from(self, at: int) -> None:
        """Begin with what is stored since a time (ms)."""

    def look_from(self, at: int, told: int) -> None:
        """Take what is newer than a time (ms) for new, and all up to another for told."""

    def look_again(self) -> None:
        """Take what is known for changed."""

    def begin(self, moment: Moment) -> None:
        """Begin what follows a tick."""


class Finding(Protocol):
    """What an evaluation found."""

    @property
    def seen(self) -> int:
        """Up to when samples were looked at (ms)."""

    @property
    def fresh(self) -> bool:
        """Whether it was not found before."""

    @property
    def waits(self) -> bool:
        """Whether it cannot be said yet."""

    def after(self, before: State) -> State:
        """Return the state that follows."""

    def repeats(self, state: State) -> bool:
        """Return whether an alarm that stays in a state repeats its actions."""

    def reason(self, before: State, after: State) -> Reason:
        """Return why one state follows another, or remains."""


class Evaluator(Protocol):
    """Evaluates one alarm. `parts` are by the numbers that metering.alarms.matching_index.Watched has."""

    @property
    def parts(self) -> Mapping[int, Part]:
        """What the rule's selections brought."""

    def findings(self, moment: Moment, states: States) -> Iterator[Finding]:
        """Yield what is found, one after another."""

    def present(self, moment: Moment, states: States) -> Finding:
        """Return what is found now."""

    def due(self, state: State, moment: Moment) -> int:
        """Return the watermark (ms) at which something else may be found without more coming."""


class MeterEvaluator:
    """Evaluates a rule on meters."""

    def __init__(self, rule: MeterRule) -> None:
        self.periods = buckets_of(rule)
        self.parts: Mapping[int, Part] = {0: self.periods}

    def findings(self, moment: Moment, states: States) -> Iterator[Verdict]:
        return self.periods.verdicts(moment)

    def present(self, moment: Moment, states: States) -> Verdict:
        return self.periods.present(moment)

    def due(self, state: State, moment: Moment) -> int:
        return self.periods.due(state, moment)


def buckets_of(rule: MeterRule) -> Buckets:
    """Return the periods of a rule, empty."""
    return SlidingBuckets(rule) if isinstance(rule, StatisticsRule) else Buckets(rule)
