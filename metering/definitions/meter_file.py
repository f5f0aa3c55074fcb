"""Reading a file of meter definitions: every fault at once, with its line."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from metering.definitions.fields import Field, FieldError
from metering.definitions.identity import id_suffix
from metering.definitions.patterns import meter_pattern, texts
from metering.definitions.reading import Entry, Faults, read_yaml
from metering.definitions.subject import Subject
from metering.schema import SAMPLE_TYPES

Form = Literal["legacy", "versioned"]

_REQUIRED: Final = ("name", "event_type", "type", "unit", "volume", "resource_id")
_ABOUT: Final = ("resource_id", "project_id", "user_id", "timestamp")
_LABELS: Final = ("name", "type", "unit")  # text as it stands, unless it is a path
_LOOKUPS: Final = (*_LABELS, "volume", *_ABOUT)


@dataclasses.dataclass(slots=True)
class Meter:
    """One definition of a meter."""

    name: str  # as the file has it: a path where the notification names the meter
    type: str
    unit: str
    event_types: list[str]
    matches: Callable[[str], bool]
    volume: Field
    fields: dict[str, Field]  # of those in _LOOKUPS that are no constant label
    lookup: frozenset[str]
    computed: bool  # name, type or unit stand in the notification, or there are several samples
    subject: Subject
    subject_key: str  # equal for definitions that say the same of the subject
    form: str | None
    id_suffix: str


def read_meters(path: Path, form: Form) -> list[Meter]:
    """Return a file's definitions but those of another form. Raises DefinitionError.

    Of several with one name the last counts, as in Ceilometer.
    """
    content, faults = read_yaml(path), Faults(path)
    meters: dict[str, Meter] = {}
    for entry in _entries(content, faults):
        meter = _meter(entry, faults)
        if meter is not None and meter.form in (None, form):
            meters.pop(meter.name, None)
            meters[meter.name] = meter
    faults.check()
    return list(meters.values())


def _entries(content: Any, faults: Faults) -> list[Entry]:
    if not isinstance(content, Entry) or "metric" not in content:
        faults.add(1, "must be a mapping with a list `metric`")
        return []
    listed = content["metric"]
    if listed is None:
        return []
    if not isinstance(listed, list):
        faults.add(content.line_of("metric"), "`metric` must be a list of definitions")
        return []
    for at, entry in enumerate(listed):
        if not isinstance(entry, Entry):
            faults.add(content.line_of("metric"), f"definition {at + 1} must be a mapping")
    return [entry for entry in listed if isinstance(entry, Entry)]


def _meter(entry: Entry, faults: Faults) -> Meter | None:
    """Return a definition, None where it has faults."""
    if not _has_required(entry, faults):
        return None
    ok = _checked_labels(entry, faults)
    lookup = _lookup(entry, faults)
    fields = _fields(entry, lookup, faults)
    metadata = _metadata(entry, faults)
    user = _field(entry, "user_metadata", faults) if entry.get("user_metadata") else None
    patterns = texts(entry["event_type"])
    if patterns is None:
        faults.add(entry.line_of("event_type"), "event_type: must be a text or a list of texts")
    volume = fields.get("volume")
    if not ok or lookup is None or metadata is None or not patterns or volume is None:
        return None
    if "resource_id" not in fields:
        return None
    return Meter(
        name=entry["name"],
        type=entry["type"],
        unit=entry["unit"],
        event_types=patterns,
        matches=meter_pattern(patterns),
        volume=volume,
        fields=fields,
        lookup=lookup,
        computed=bool(lookup) or any(name in fields for name in _LABELS),
        subject=Subject(fields, metadata, user),
        subject_key=_subject_key(entry),
        form=entry.get("form"),
        id_suffix=id_suffix(entry["name"], entry["name"]),
    )


def _has_required(entry: Entry, faults: Faults) -> bool:
    missing = [name for name in _REQUIRED if entry.get(name) in (None, "", [], {})]
    if missing:
        faults.add(entry.line, f"{', '.join(missing)} missing")
    return not missing


def _checked_labels(entry: Entry, faults: Faults) -> bool:
    ok = True
    for name in _LABELS:
        if not isinstance(entry[name], str):
            faults.add(entry.line_of(name), f"{name}: must be text")
            ok = False
    lookup = entry.get("lookup") or entry.get("multi") or []
    if ok and "type" not in lookup and entry["type"] not in SAMPLE_TYPES:
        kinds = ", ".join(SAMPLE_TYPES)
        faults.add(entry.line_of("type"), f"type: {entry['type']!r} is none of {kinds}")
        ok = False
    if entry.get("form") not in (None, "legacy", "versioned"):
        faults.add(entry.line_of("form"), "form: must be legacy or versioned")
        ok = False
    return ok


def _lookup(entry: Entry, faults: Faults) -> frozenset[str] | None:
    key = "lookup" if entry.get("lookup") else "multi"
    names = entry.get(key)
    if not names:
        return frozenset()
    listed = texts(names)
    unknown = sorted(set(listed or ()) - set(_LOOKUPS))
    if listed is None or unknown:
        reason = f"no such field: {', '.join(unknown)}" if unknown else "must be a list of fields"
        faults.add(entry.line_of(key), f"{key}: {reason}")
        return None
    return frozenset(listed)


def _fields(entry: Entry, lookup: frozenset[str] | None, faults: Faults) -> dict[str, Field]:
    """Compile the fields that hold paths."""
    fields = {}
    for name in _LOOKUPS:
        spec = entry.get(name)
        if spec is None or spec == "" or (name in _LABELS and not _is_path(spec)):
            continue
        field = _field(entry, name, faults)
        if field is None:
            continue
        fields[name] = field
        if name in (lookup or ()):
            try:
                field.check_many()
            except FieldError as error:
                faults.add(entry.line_of(name), f"{name}: {error}")
    return fields


def _is_path(text: Any) -> bool:
    return isinstance(text, str) and ("$" in text or text.startswith(("payload.", "ctxt.")))


def _field(entry: Entry, name: str, faults: Faults, of: str = "") -> Field | None:
    try:
        return Field(entry[name])
    except FieldError as error:
        faults.add(entry.line_of(name), f"{of}{name}: {error}")
        return None


def _metadata(entry: Entry, faults: Faults) -> dict[str, Field] | None:
    picked = entry.get("metadata") or Entry(entry.line)
    if not isinstance(picked, Entry):
        faults.add(entry.line_of("metadata"), "metadata: must be a mapping of names to paths")
        return None
    fields = {str(name): _field(picked, name, faults, "metadata.") for name in picked}
    found = {name: field for name, field in fields.items() if field is not None}
    return found if len(found) == len(fields) else None


def _subject_key(entry: Entry) -> str:
    said = {name: entry.get(name) for name in (*_ABOUT, "metadata", "user_metadata")}
    return json.dumps(said, sort_keys=True, default=str)
