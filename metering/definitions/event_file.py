"""Reading a file of event definitions: every fault at once, with its line."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from metering.definitions.fields import Field, FieldError
from metering.definitions.patterns import event_pattern, texts
from metering.definitions.reading import Entry, Faults, read_yaml

TYPES: Final = ("text", "int", "float", "datetime")

# What every event has, unless its definition says otherwise.
_DEFAULTS: Final[dict[str, Any]] = {
    "service": "publisher_id",
    "request_id": "ctxt.request_id",
    "project_id": ["payload.tenant_id", "ctxt.project_id", "ctxt.tenant"],
    "user_id": ["payload.user_id", "ctxt.user_id"],
    "tenant_id": ["payload.tenant_id", "ctxt.project_id", "ctxt.tenant"],
}


@dataclasses.dataclass(slots=True)
class Trait:
    """One trait of a definition."""

    name: str
    type: str  # one of TYPES
    field: Field


@dataclasses.dataclass(slots=True)
class Definition:
    """One definition of an event: which types it is for, and its traits."""

    event_types: list[str]
    matches: Callable[[str], bool]
    traits: list[Trait]


def defaults() -> list[Trait]:
    """Return the traits that every event has."""
    return [Trait(name, "text", Field({"fields": path})) for name, path in _DEFAULTS.items()]


def read_events(path: Path) -> list[Definition]:
    """Return a file's definitions in its order. Raises DefinitionError."""
    content, faults = read_yaml(path), Faults(path)
    if content is not None and not isinstance(content, list):
        faults.add(1, "must be a list of definitions")
    listed = content if isinstance(content, list) else []
    definitions = [_definition(entry, at, faults) for at, entry in enumerate(listed)]
    faults.check()
    return [definition for definition in definitions if definition is not None]


def _definition(entry: Any, at: int, faults: Faults) -> Definition | None:
    if not isinstance(entry, Entry):
        faults.add(1, f"definition {at + 1} must be a mapping")
        return None
    missing = [name for name in ("event_type", "traits") if name not in entry]
    if missing:
        faults.add(entry.line, f"{', '.join(missing)} missing")
        return None
    patterns = texts(entry["event_type"])
    if patterns is None:
        faults.add(entry.line_of("event_type"), "event_type: must be a text or a list of texts")
        return None
    given = entry["traits"] if entry["traits"] is not None else Entry(entry.line)
    if not isinstance(given, Entry):
        faults.add(entry.line_of("traits"), "traits: must be a mapping of names to definitions")
        return None
    traits = {trait.name: trait for trait in defaults()}
    for name in given:
        trait = _trait(given, name, faults)
        if trait is not None:
            traits[trait.name] = trait
    return Definition(patterns, event_pattern(patterns), list(traits.values()))


def _trait(given: Entry, name: Any, faults: Faults) -> Trait | None:
    spec = given[name]
    line = spec.line_of("fields") if isinstance(spec, Entry) else given.line_of(name)
    try:
        kind = spec.get("type", "text") if isinstance(spec, dict) else "text"
        if kind not in TYPES:
            line = spec.line_of("type")
            raise FieldError(f"type {kind!r} is none of {', '.join(TYPES)}")
        return Trait(str(name), kind, Field(spec))
    except FieldError as error:
        faults.add(line, f"trait {name}: {error}")
        return None
