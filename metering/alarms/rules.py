"""The rules of alarms, by type, read from JSON and written back.

Source: Aodh's types; `absence` is ours.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Final

from metering.alarms import meter_rules
from metering.alarms.composition import CompositeRule, composite_rule
from metering.alarms.conditions import Condition, conditions_from
from metering.alarms.faults import DefinitionError, bad_value
from metering.alarms.meter_rules import MeterRule
from metering.alarms.reading import Reading
from metering.alarms.selection import Selection, filter_of

_YEAR: Final = 31_536_000  # s
_MOST_IDS: Final = 100


@dataclasses.dataclass(frozen=True, slots=True)
class EventRule:
    """`event`: an event of this type (shell globs) for which all conditions hold.

    A condition's field is `traits.NAME`, or one of the event's own such as event_type or message_id.
    """

    type: ClassVar[str] = "event"

    event_type: str = "*"
    query: tuple[Condition, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        return {"event_type": self.event_type, "query": [one.to_json() for one in self.query]}


@dataclasses.dataclass(frozen=True, slots=True)
class CombinationRule:
    """`combination`: the states of other alarms."""

    type: ClassVar[str] = "combination"

    alarm_ids: tuple[str, ...]
    operator: str = "and"

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        return {"operator": self.operator, "alarm_ids": list(self.alarm_ids)}


@dataclasses.dataclass(frozen=True, slots=True)
class MemberHealthRule:
    """`loadbalancer_member_health`: members of an Octavia pool that belong to a Heat stack."""

    type: ClassVar[str] = "loadbalancer_member_health"

    pool_id: str
    stack_id: str
    autoscaling_group_id: str

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class AbsenceRule:
    """`absence`: no sample of a meter within so many seconds, or no second event after a first.

    With meter_name, `query` is over samples. With event_type, `query` is over the first event and
    `followed_by` over the second, which counts where the traits in `same` are equal to the first's.
    Units: `within` in s.
    """

    type: ClassVar[str] = "absence"

    within: int
    meter_name: str | None = None
    event_type: str | None = None
    query: tuple[Condition, ...] = ()
    followed_by: EventRule | None = None
    same: tuple[str, ...] = ()  # names of traits

    def selection(self, project_id: str | None) -> Selection:
        """Return the samples that the rule waits for; those of no meter where it waits for events."""
        if self.meter_name is None:
            return Selection(())
        return Selection((self.meter_name,), project_id=project_id, where=filter_of(self.query))

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        shared = {"within": self.within, "query": [one.to_json() for one in self.query]}
        if self.followed_by is None:
            return {"meter_name": self.meter_name, **shared}
        second = {"followed_by": self.followed_by.to_json(), "same": list(self.same)}
        return {"event_type": self.event_type, **shared, **second}


Rule = MeterRule | EventRule | CompositeRule | CombinationRule | MemberHealthRule | AbsenceRule


def rule_from(kind: str, found: Any) -> Rule:
    """Return the rule of an alarm of this type. Raises DefinitionError."""
    return _RULES[kind](found)


def _event_rule(found: Any, name: str = "event_rule") -> EventRule:
    reading = Reading(name, found)
    reading.only(("event_type", "query"))
    query = conditions_from(reading.entries("query"))
    for one in query:
        _check_event_condition(one)
    return EventRule(reading.text("event_type", "*") or "*", query)


def _check_event_condition(one: Condition) -> None:
    if not all(character.isalnum() or character in ".',_-" for character in one.field):
        raise DefinitionError(f"Query value or traits invalid: field {one.field[:100]}")
    one.typed("string" if one.field.startswith("traits.") else "")


def _combination_rule(found: Any) -> CombinationRule:
    reading = Reading("combination_rule", found)
    reading.only(("operator", "alarm_ids"))
    ids = tuple(dict.fromkeys(reading.texts("alarm_ids")))
    if len(ids) < 2:
        raise DefinitionError(
            "Alarm combination rule should contain at least two different alarm ids."
        )
    if len(ids) > _MOST_IDS:
        raise bad_value("alarm_ids", len(ids), f"It takes {_MOST_IDS} alarms at the most.")
    return CombinationRule(ids, reading.choice("operator", ("and", "or"), "and"))


def _member_health_rule(found: Any) -> MemberHealthRule:
    reading = Reading("loadbalancer_member_health_rule", found)
    names = ("pool_id", "stack_id", "autoscaling_group_id")
    reading.only(names)
    return MemberHealthRule(*(reading.name_text(name) for name in names))


def _absence_rule(found: Any) -> AbsenceRule:
    reading = Reading("absence_rule", found)
    reading.only(("within", "meter_name", "event_type", "query", "followed_by", "same"))
    within = reading.integer("within", 1, _YEAR)
    query = conditions_from(reading.entries("query"))
    if reading.has("meter_name") is reading.has("event_type"):
        raise bad_value("absence_rule", None, "It takes either meter_name or event_type.")
    if reading.has("meter_name"):
        if reading.has("followed_by") or reading.has("same"):
            raise bad_value("followed_by", None, "It goes with event_type.")
        filter_of(query)
        return AbsenceRule(within, reading.name_text("meter_name"), None, query)
    for one in query:
        _check_event_condition(one)
    second = _event_rule(reading.value("followed_by"), "followed_by")
    return AbsenceRule(
        within, None, reading.name_text("event_type"), query, second, reading.texts("same")
    )


def _refused(_: Any) -> Rule:
    raise DefinitionError(
        "Alarms of type prometheus are not evaluated here: there is no Prometheus behind this service."
        " Use a threshold or gnocchi_resources_threshold rule on the meter."
    )


_RULES: Final[dict[str, Callable[[Any], Rule]]] = {
    "threshold": meter_rules.statistics_rule,
    "gnocchi_resources_threshold": meter_rules.resource_rule,
    "gnocchi_aggregation_by_metrics_threshold": meter_rules.metrics_rule,
    "gnocchi_aggregation_by_resources_threshold": meter_rules.resources_rule,
    "event": _event_rule,
    "composite": composite_rule,
    "combination": _combination_rule,
    "loadbalancer_member_health": _member_health_rule,
    "absence": _absence_rule,
    "prometheus": _refused,
}
TYPES: Final = tuple(sorted(_RULES.keys() - {"prometheus"}))
KNOWN_TYPES: Final = tuple(sorted(_RULES))
