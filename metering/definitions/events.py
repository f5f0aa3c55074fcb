"""Event definitions, in the form of Ceilometer's event_definitions.yaml: from notifications to events."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from metering.definitions.event_file import Definition, Trait, defaults, read_events
from metering.definitions.jsonpath import Body, PathError
from metering.definitions.patterns import PlanCache
from metering.metadata import clean_text, json_text
from metering.notification import Notification
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

SHIPPED: Final = Path(__file__).with_name("events.yaml")

_INT64: Final = 2**63
_NO_PAYLOAD: Final[dict[str, Any]] = {}
_TEXT: Final = 0  # position in the four dicts of traits; the converters stand in the same order


@dataclasses.dataclass(slots=True)
class Event:
    """One event: a notification's traits, by type."""

    event_type: str
    generated: int  # ms since the epoch, UTC
    message_id: str
    project_id: str  # "" where unknown; with user_id, whom the event concerns
    user_id: str
    text: dict[str, str]
    integer: dict[str, int]
    float: dict[str, float]
    datetime: dict[str, int]  # ms since the epoch, UTC


@dataclasses.dataclass(slots=True)
class _Plan:
    """What to do for one event type."""

    dropped: bool
    payload_texts: list[tuple[str, str]]  # trait, key of the payload
    rest: list[tuple[str, int, Callable[[Body], Any], Callable[[Any], Any]]]


class EventDefinitions:
    """The events that notifications become: one each."""

    def __init__(self, definitions: list[Definition], drop_unmatched: bool = False) -> None:
        self.definitions = definitions
        self._drop_unmatched = drop_unmatched
        self._defaults = defaults()
        self._plans: PlanCache[_Plan] = PlanCache(self._plan)

    @classmethod
    def load(cls, path: Path | None = None, drop_unmatched: bool = False) -> "EventDefinitions":
        """Read definitions, the shipped ones where no path is given. Raises DefinitionError."""
        return cls(read_events(path or SHIPPED), drop_unmatched)

    def event(self, n: Notification) -> Event | None:
        """Return a notification's event; None where none matches and such are to be dropped.

        A trait whose value is missing or doesn't fit its type is left out.
        """
        plan = self._plans.known(n.event_type)
        if plan is None:
            plan = self._plans.add(n.event_type)
        if plan.dropped:
            return None
        text: dict[str, str] = {}
        traits: tuple[dict[str, Any], ...] = (text, {}, {}, {})
        payload = n.payload if isinstance(n.payload, dict) else _NO_PAYLOAD
        for name, key in plan.payload_texts:
            value = payload.get(key)
            if value is not None:
                text[name] = value if type(value) is str and value.isascii() else _as_text(value)
        body = n.body
        for name, kind, first, convert in plan.rest:
            try:
                value = first(body)
                if value is not None and (value != "" or kind == _TEXT):
                    traits[kind][name] = convert(value)
            except (RefusedError, PathError, ValueError, TypeError, OverflowError):
                continue  # the trait is left out
        project = text.get("project_id") or text.get("tenant_id") or ""
        return Event(
            n.event_type, n.generated, n.message_id, project, text.get("user_id", ""), *traits
        )

    def _plan(self, event_type: str) -> _Plan:
        matching = (d.traits for d in reversed(self.definitions) if d.matches(event_type))
        traits = next(matching, None)
        dropped = traits is None and self._drop_unmatched
        return _planned(self._defaults if traits is None else traits, dropped)


def _planned(traits: list[Trait], dropped: bool) -> _Plan:
    plan = _Plan(dropped, [], [])
    for trait in traits:
        keys = trait.field.keys
        if trait.type == "text" and len(keys) == 2 and keys[0] == "payload":
            plan.payload_texts.append((trait.name, keys[1]))
        else:
            kind, convert = CONVERTERS[trait.type]
            plan.rest.append((trait.name, kind, trait.field.first, convert))
    return plan


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool):
        return str(value)  # True, as in Ceilometer
    return json_text(value)


def _as_integer(value: Any) -> int:
    number = value if type(value) is int else int(value)
    if not -_INT64 <= number < _INT64:
        raise OverflowError(number.bit_length())
    return number


def _as_float(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


CONVERTERS: Final[dict[str, tuple[int, Callable[[Any], Any]]]] = {
    "text": (_TEXT, _as_text),
    "int": (1, _as_integer),
    "float": (2, _as_float),
    "datetime": (3, parse_ms),
}
