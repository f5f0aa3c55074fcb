"""Samples and events as Ceilometer's http publisher posts them, in the agent's own words.

Shape: a sample {name, type, unit, volume, resource_id, timestamp, id, ...}; an event {event_type,
    generated, message_id, traits: [[name, type, value], ...], raw}.
Source: Ceilometer 27: publisher/http, Sample.as_dict, Event.serialize. The notifier publisher sends
    events in the same form, and samples in that of the polling agents.
"""

from collections.abc import Mapping
from typing import Any, Final

from metering.definitions.events import CONVERTERS, Event
from metering.envelope import text_field
from metering.metadata import clean_text, json_text
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

_SAMPLE: Final = frozenset({"name", "type", "volume", "resource_id"})
_EVENT: Final = frozenset({"event_type", "generated", "traits"})
_OWNER: Final = ("project_id", "tenant_id")


def is_published_event(message: object) -> bool:
    """Return whether a message is an event as Ceilometer's publishers send it."""
    return isinstance(message, dict) and message.keys() >= _EVENT


def is_published(message: object) -> bool:
    """Return whether a message is a sample or an event as the http publisher posts it."""
    return is_published_event(message) or (isinstance(message, dict) and message.keys() >= _SAMPLE)


def is_publication(payload: object) -> bool:
    """Return whether a notification's payload is what the notifier publisher sends."""
    if not isinstance(payload, list) or not payload:
        return False
    return is_published_event(payload[0]) or (
        isinstance(payload[0], dict) and "counter_name" in payload[0]
    )


def plain_sample(sample: Any) -> Any:
    """Return a published sample in the form that polling agents send; anything else as it is."""
    if not isinstance(sample, dict) or "counter_name" in sample or not sample.keys() >= _SAMPLE:
        return sample
    return {
        "counter_name": sample["name"],
        "counter_type": sample["type"],
        "counter_unit": sample.get("unit"),
        "counter_volume": sample["volume"],
        "resource_id": sample["resource_id"],
        "project_id": sample.get("project_id"),
        "user_id": sample.get("user_id"),
        "timestamp": sample.get("timestamp"),
        "source": sample.get("source"),
        "message_id": sample.get("id"),
        "resource_metadata": sample.get("resource_metadata"),
    }


def published_event(event: dict[str, Any]) -> Event:
    """Return an event with its traits as the agent's definitions made them. Raises RefusedError.

    A trait that is null, or whose value does not fit its type, is left out.
    """
    traits: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
    for name, kind, value in _traits(event):
        place, convert = CONVERTERS[kind]
        try:
            traits[place][name] = convert(value)
        except (RefusedError, ValueError, TypeError, OverflowError):
            continue  # the trait is left out
    text = traits[0]
    return Event(
        text_field(event, "event_type"),
        parse_ms(event["generated"]),
        text_field(event, "message_id"),
        next((text[name] for name in _OWNER if text.get(name)), ""),
        text.get("user_id", ""),
        *traits,
    )


def raw_text(event: Mapping[str, Any]) -> str:
    """Return the notification that an event was made of, where the agent keeps it; else nothing."""
    raw = event.get("raw")
    return json_text(raw) if raw else ""


def _traits(event: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Return name, type and value of each of an event's traits. Raises RefusedError."""
    listed = event["traits"]
    if not isinstance(listed, list):
        raise RefusedError("bad_field", "traits are no list")
    found = []
    for trait in listed:
        if not (isinstance(trait, list) and len(trait) == 3 and isinstance(trait[0], str)):
            raise RefusedError("bad_field", "a trait is [name, type, value]")
        name, kind, value = trait
        if isinstance(kind, int) and kind in _KINDS and value is not None:
            found.append((clean_text(name), _KINDS[kind], value))
    return found


# The agent's numbers of types; 0 is a trait of none, which has no value.
_KINDS: Final = {1: "text", 2: "int", 3: "float", 4: "datetime"}
