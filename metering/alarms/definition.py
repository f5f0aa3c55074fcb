"""An alarm as it is defined: everything but its state.

Shape: what a request says (JSON) -> Alarm -> what is served and stored (JSON).
Source: Aodh's alarm; its fields, defaults and messages.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, Literal

from metering.alarms.composition import AlarmLeaf, CompositeRule
from metering.alarms.constraints import TimeConstraint, constraints_from
from metering.alarms.faults import DefinitionError
from metering.alarms.meter_rules import MeterRule
from metering.alarms.reading import Reading
from metering.alarms.rules import (
    KNOWN_TYPES,
    AbsenceRule,
    CombinationRule,
    EventRule,
    Rule,
    rule_from,
)
from metering.alarms.states import State

SEVERITIES: Final = ("low", "moderate", "critical")
ACTION_FIELDS: Final[dict[State, str]] = {
    "ok": "ok_actions",
    "alarm": "alarm_actions",
    "insufficient data": "insufficient_data_actions",
}
_RULES: Final = tuple(f"{kind}_rule" for kind in KNOWN_TYPES)
# What a request may repeat from an answer, without meaning anything by it.
_ANSWERED: Final = (
    "alarm_id",
    "timestamp",
    "state_timestamp",
    "state_reason",
    "evaluate_timestamp",
)
_OWNERS: Final = ("project_id", "user_id")
_OWN: Final = ("name", "description", "type", "enabled", "severity", "repeat_actions")
FIELDS: Final = (*_OWN, "state", "time_constraints", *ACTION_FIELDS.values(), *_OWNERS, *_ANSWERED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm's definition. Units: `timestamp` in ms, `version` in µs.

    `scope` is the one project whose samples and events it looks at; None is every project's.
    `version` grows with every change of the definition.
    """

    alarm_id: str
    name: str
    rule: Rule
    description: str = ""
    enabled: bool = True
    severity: str = "low"
    repeat_actions: bool = False
    time_constraints: tuple[TimeConstraint, ...] = ()
    ok_actions: tuple[str, ...] = ()
    alarm_actions: tuple[str, ...] = ()
    insufficient_data_actions: tuple[str, ...] = ()
    project_id: str = ""
    user_id: str = ""
    scope: str | None = None
    timestamp: int = 0
    version: int = 0

    @property
    def type(self) -> str:
        """The type, which is its rule's."""
        return self.rule.type

    def actions(self, state: State) -> tuple[str, ...]:
        """Return what is called on the way into a state."""
        return {
            "ok": self.ok_actions,
            "alarm": self.alarm_actions,
            "insufficient data": self.insufficient_data_actions,
        }[state]

    def alarm_ids(self) -> tuple[str, ...]:
        """Return the alarms whose states the rule looks at."""
        if isinstance(self.rule, CombinationRule):
            return self.rule.alarm_ids
        if isinstance(self.rule, CompositeRule):
            leaves = self.rule.leaves()
            return tuple(leaf.alarm_id for leaf in leaves if isinstance(leaf, AlarmLeaf))
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return the definition as it is served, without state and times."""
        return {
            "alarm_id": self.alarm_id,
            "name": self.name,
            "description": self.description or default_description(self.rule),
            "type": self.type,
            "enabled": self.enabled,
            "severity": self.severity,
            "repeat_actions": self.repeat_actions,
            "time_constraints": [one.to_json() for one in self.time_constraints],
            **{field: list(self.actions(state)) for state, field in ACTION_FIELDS.items()},
            "project_id": self.project_id or None,
            "user_id": self.user_id or None,
            f"{self.type}_rule": self.rule.to_json(),
        }


def alarm_from(found: Any, alarm_id: str) -> Alarm:
    """Return the alarm that a request or a stored definition describes. Raises DefinitionError."""
    reading = Reading("alarm", found)
    reading.only((*FIELDS, *_RULES))
    kind = reading.choice("type", KNOWN_TYPES)
    actions = {
        field: tuple(dict.fromkeys(reading.texts(field))) for field in ACTION_FIELDS.values()
    }
    return Alarm(
        alarm_id=alarm_id,
        name=reading.name_text("name"),
        rule=_rule(kind, reading),
        description=reading.text("description", ""),
        enabled=reading.boolean("enabled", True),
        severity=reading.choice("severity", SEVERITIES, "low"),
        repeat_actions=reading.boolean("repeat_actions", False),
        time_constraints=constraints_from(reading.entries("time_constraints")),
        ok_actions=actions["ok_actions"],
        alarm_actions=actions["alarm_actions"],
        insufficient_data_actions=actions["insufficient_data_actions"],
        project_id=reading.text("project_id", ""),
        user_id=reading.text("user_id", ""),
    )


def default_description(rule: Rule) -> str:
    """Return what describes an alarm whose owner did not."""
    if isinstance(rule, EventRule):
        return f"Alarm when {rule.event_type} event occurred."
    if isinstance(rule, CombinationRule):
        return f"Combined state of alarms {f' {rule.operator} '.join(rule.alarm_ids)}"
    if isinstance(rule, AbsenceRule):
        return f"Alarm when nothing came for {rule.within} seconds"
    if isinstance(rule, MeterRule) and rule.type == "threshold":
        return (
            f"Alarm when {rule.selection(None).meters[0]} is {rule.comparison_operator} a"
            f" {rule.statistic} of {rule.threshold} over {rule.period} seconds"
        )
    return f"{rule.type} alarm rule"


def _rule(kind: str, reading: Reading) -> Rule:
    name = f"{kind}_rule"
    given = [field for field in _RULES if reading.has(field) and reading.value(field) != {}]
    if not reading.has(name):
        raise DefinitionError(f"{name} must be set for {kind} type alarm")
    others = [field for field in given if field != name]
    if others:
        raise DefinitionError(f"{name} and {others[0]} cannot be set at the same time")
    return rule_from(kind, reading.value(name))


Change = Literal["creation", "rule change", "state transition", "deletion"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """One entry of an alarm's history. Units: `timestamp` in ms."""

    event_id: str
    alarm_id: str
    type: Change
    detail: Mapping[str, Any]
    timestamp: int
    project_id: str = ""  # who did it
    user_id: str = ""
    on_behalf_of: str = ""  # whose alarm it is
    severity: str = "low"
