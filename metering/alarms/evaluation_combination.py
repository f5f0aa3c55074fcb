"""Combination alarms: the states of other alarms.

Source: Ceilometer's combination alarm, in Aodh until its fifth release.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Reason
from metering.alarms.evaluation import Part, States
from metering.alarms.rules import CombinationRule
from metering.alarms.states import ALARM, OK, UNKNOWN, State


class Combined:
    """What the states of several alarms come to."""

    fresh: Final = True
    waits: Final = False
    seen: Final = BEFORE_ALL  # no samples of its own

    def __init__(self, rule: CombinationRule, states: States) -> None:
        self._any = rule.operator == "or"
        self._states = {one: states.get(one, UNKNOWN) for one in rule.alarm_ids}

    def after(self, before: State) -> State:
        """Return the state that follows from the alarms' states alone."""
        alarmed = [state == ALARM for state in self._states.values()]
        if self._unknown() and not (self._any and any(alarmed)):
            return UNKNOWN
        return ALARM if (any if self._any else all)(alarmed) else OK

    def repeats(self, state: State) -> bool:
        """Return whether actions are repeated."""
        return state != UNKNOWN

    def reason(self, before: State, after: State) -> Reason:
        """Return why, with the alarms that are in that state."""
        if after == UNKNOWN:
            named = self._unknown()
            text = f"Alarms {','.join(named)} are in unknown state"
        else:
            named = [one for one, state in self._states.items() if state == after]
            way = "Remaining as" if before == after else "Transition to"
            text = f"{way} {after} due to alarms {','.join(named)} in state {after}"
        return text, {"type": "combination", "alarm_ids": named}

    def _unknown(self) -> list[str]:
        return [one for one, state in self._states.items() if state == UNKNOWN]


class CombinationEvaluator:
    """Evaluates a combination; nothing of it is due by itself."""

    def __init__(self, rule: CombinationRule) -> None:
        self._rule = rule
        self.parts: Mapping[int, Part] = {}

    def findings(self, moment: Moment, states: States) -> Iterator[Combined]:
        yield self.present(moment, states)

    def present(self, moment: Moment, states: States) -> Combined:
        return Combined(self._rule, states)

    def due(self, state: State, moment: Moment) -> int:
        return NEVER
