"""Which events alarms are about: by type, and by conditions on traits and on the event's own fields.

Shape: metering.schema.EVENTS -> (event, alarm, what the event is to it), in order.
Source: Aodh's event evaluator; a trait is compared as its own type, a value of another type is not equal.
"""

import dataclasses
import fnmatch
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from metering.alarms.buckets_verdicts import Reason
from metering.alarms.conditions import COMPARISONS, Condition
from metering.alarms.definition import Alarm
from metering.alarms.rules import AbsenceRule, EventRule
from metering.timestamps import iso

Role = Literal["fires", "first", "second"]

_TRAITS: Final = "traits."
_KINDS: Final = {"text": 1, "integer": 2, "float": 3, "datetime": 4}  # Ceilometer's numbers
_OWN: Final = ("event_type", "message_id", "project_id", "user_id")


class Event:
    """One row of EVENTS."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.generated: int = row["generated"]  # ms
        self._own = {name: row[name] for name in _OWN}
        self._traits = {kind: dict(row[f"{kind}_traits"]) for kind in _KINDS}

    @property
    def project_id(self) -> str:
        """The project that it concerns; "" where that is not known."""
        return str(self._own["project_id"])

    @property
    def event_type(self) -> str:
        """What happened."""
        return str(self._own["event_type"])

    def trait(self, name: str) -> Any:
        """Return a trait's value, a time in ms; None where there is no such trait."""
        return next((traits[name] for traits in self._traits.values() if name in traits), None)

    def meets(self, condition: Condition) -> bool:
        """Return whether a condition holds."""
        if condition.field.startswith(_TRAITS):
            return _compared(
                self.trait(condition.field.removeprefix(_TRAITS)),
                condition,
                condition.typed("string"),
            )
        if condition.field == "generated":
            is_time = condition.type == "datetime"
            found: Any = self.generated if is_time else iso(self.generated)
            return _compared(found, condition, condition.typed() if is_time else condition.value)
        return _compared(self._own.get(condition.field), condition, condition.typed("string"))

    def to_json(self) -> dict[str, Any]:
        """Return the event as Ceilometer publishes it."""
        traits = [
            [name, number, iso(value) if kind == "datetime" else value]
            for kind, number in _KINDS.items()
            for name, value in self._traits[kind].items()
        ]
        return {
            "message_id": self._own["message_id"],
            "event_type": self.event_type,
            "generated": iso(self.generated),
            "traits": sorted(traits),
        }


def fired(rule: EventRule, event: Event) -> Reason:
    """Return why an alarm was fired by an event."""
    own = event.to_json()
    query = json.dumps([one.to_json() for one in rule.query], sort_keys=True)
    text = (
        f"Event <id={own['message_id']},event_type={own['event_type']}> hits the query"
        f" <query={query}>."
    )
    return text, {"type": "event", "event": own}


@dataclasses.dataclass(frozen=True, slots=True)
class _Listener:
    alarm_id: str
    role: Role
    glob: str
    query: tuple[Condition, ...]
    scope: str | None

    def hears(self, event: Event) -> bool:
        if self.scope is not None and event.project_id != self.scope:
            return False
        return all(map(event.meets, self.query))


class EventMatcher:
    """The alarms that listen to events, found by the event's type."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[_Listener]] = {}  # by alarm
        self._of_type: dict[str, list[_Listener]] = {}

    def listen(self, alarm: Alarm) -> None:
        """Take an alarm whose rule is about events."""
        self._listeners[alarm.alarm_id] = list(_listeners(alarm))
        self._of_type.clear()

    def forget(self, alarm_id: str) -> None:
        """Forget an alarm."""
        if self._listeners.pop(alarm_id, None):
            self._of_type.clear()

    def heard(self, events: pa.Table) -> Iterator[tuple[Event, str, Role]]:
        """Yield each event that an alarm listens to, the alarm, and what the event is to it."""
        if not self._listeners:
            return
        types: list[str] = pc.unique(events["event_type"]).to_pylist()
        wanted = [one for one in types if self._on(one)]
        if not wanted:
            return
        some = events.filter(pc.is_in(events["event_type"], pa.array(wanted)))
        for event in events_of(some):
            for listener in self._on(event.event_type):
                if listener.hears(event):
                    yield event, listener.alarm_id, listener.role

    def _on(self, event_type: str) -> list[_Listener]:
        if event_type not in self._of_type:
            self._of_type[event_type] = [
                listener
                for listeners in self._listeners.values()
                for listener in listeners
                if fnmatch.fnmatchcase(event_type, listener.glob)
            ]
        return self._of_type[event_type]


def events_of(events: pa.Table) -> Iterator[Event]:
    """Yield the rows of a table (EVENTS). For few rows."""
    plain = events
    at = plain.schema.get_field_index("generated")
    plain = plain.set_column(at, "generated", plain["generated"].cast(pa.int64()))
    times = plain.schema.get_field_index("datetime_traits")
    stamps = plain["datetime_traits"].cast(pa.map_(pa.string(), pa.int64()))
    names = [*_OWN, "generated", *(f"{kind}_traits" for kind in _KINDS)]
    for row in plain.set_column(times, "datetime_traits", stamps).select(names).to_pylist():
        yield Event(row)


def traits_of(event: Event, names: Sequence[str]) -> tuple[str, ...]:
    """Return the values of traits, as texts."""
    return tuple(str(event.trait(name)) for name in names)


def _listeners(alarm: Alarm) -> Iterable[_Listener]:
    rule, scope, name = alarm.rule, alarm.scope, alarm.alarm_id
    if isinstance(rule, EventRule):
        yield _Listener(name, "fires", rule.event_type, rule.query, scope)
    if isinstance(rule, AbsenceRule) and rule.event_type is not None:
        second = rule.followed_by or EventRule()
        # An event that is both answers those before it first.
        yield _Listener(name, "second", second.event_type, second.query, scope)
        yield _Listener(name, "first", rule.event_type, rule.query, scope)


def _compared(found: Any, condition: Condition, value: Any) -> bool:
    if found is None:
        return condition.op == "ne"
    if isinstance(found, str) is not isinstance(value, str):
        return condition.op == "ne"
    return COMPARISONS[condition.op](found, value)
