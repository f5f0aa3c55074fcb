"""Whether a selection takes a sample, told by the sample's labels and metadata.

Values are equal where their texts are (5 and "5", true and "True"): metadata comes through many hands.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from metering.alarms.selection import AllOf, AnyOf, Compare, Filter, NoneOf, Selection

# What a selection may look at besides the meter and the resource, which every subject has.
LOOKED_AT: Final = ("project_id", "user_id", "source", "metadata", "message_id")
_TEXTS: Final = {"True": "true", "False": "false"}  # as Python writes them


class Subject:
    """What samples have in common that are taken or left together: their labels, by column."""

    __slots__ = ("_metadata", "columns")

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self._metadata: dict[str, Any] | None = None

    def value(self, compared: Compare) -> Any:
        """Return what a comparison looks at; None where there is no such metadata."""
        if compared.column is not None:
            return self.columns[compared.column]
        metadata = self._flat()
        found = (metadata.get(key) for key in compared.keys)
        return next((value for value in found if value is not None), None)

    def _flat(self) -> dict[str, Any]:
        if self._metadata is None:
            self._metadata = orjson.loads(self.columns["metadata"])
        return self._metadata


def takes(selection: Selection, subject: Subject) -> bool:
    """Return whether a selection takes the samples of a subject."""
    columns = subject.columns
    meter, resource = columns["meter"], columns["resource_id"]
    if meter not in selection.meters or selection.resource_id not in (None, resource):
        return False
    if selection.series is not None and (resource, meter) not in selection.series:
        return False
    if selection.project_id is not None and selection.project_id != columns["project_id"]:
        return False
    return holds(selection.where, subject)


def holds(where: Filter, subject: Subject) -> bool:
    """Return whether a filter holds of a subject."""
    if isinstance(where, AllOf):
        return all(holds(part, subject) for part in where.parts)
    if isinstance(where, AnyOf):
        return any(holds(part, subject) for part in where.parts)
    if isinstance(where, NoneOf):
        return not holds(where.part, subject)
    return _compared(subject.value(where), where.op, where.value)


def looked_at(selection: Selection) -> set[str]:
    """Return which of LOOKED_AT decide whether a selection takes a sample."""
    found = {one.column or "metadata" for one in _comparisons(selection.where)}
    if selection.project_id is not None:
        found.add("project_id")
    return found & set(LOOKED_AT)


def telling(selection: Selection) -> Compare | None:
    """Return a comparison by `eq` that must hold, by which a selection is found; None without any."""
    if selection.resource_id is not None:
        return Compare("resource_id", (), "eq", selection.resource_id)
    where = selection.where
    parts = where.parts if isinstance(where, AllOf) else (where,)
    for part in parts:
        if isinstance(part, Compare) and part.op == "eq" and part.value is not None:
            return part
    if selection.project_id is not None:
        return Compare("project_id", (), "eq", selection.project_id)
    return None


def text_of(value: Any) -> str | None:
    """Return what a value is compared as; None for null."""
    if value is None:
        return None
    if isinstance(value, str):
        return _TEXTS.get(value, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _comparisons(where: Filter) -> Iterator[Compare]:
    if isinstance(where, Compare):
        yield where
    elif isinstance(where, NoneOf):
        yield from _comparisons(where.part)
    else:
        for part in where.parts:
            yield from _comparisons(part)


def _compared(found: Any, op: str, value: Any) -> bool:
    if op == "in":
        return text_of(found) in {text_of(one) for one in value}
    if op in ("eq", "ne"):
        return (text_of(found) == text_of(value)) is (op == "eq")
    if found is None or value is None:
        return False
    if op == "like":
        return _pattern(str(value)).fullmatch(text_of(found) or "") is not None
    return ordered(found, op, value)


def ordered(found: Any, op: str, value: Any) -> bool:
    """Return whether two values are in this order (lt, le, ge, gt): numbers by size, else as texts."""
    ours, theirs = _number(found), _number(value)
    if ours is not None and theirs is not None:
        below, same = ours < theirs, ours == theirs
    else:
        left, right = text_of(found) or "", text_of(value) or ""
        below, same = left < right, left == right
    return {"lt": below, "le": below or same, "ge": not below, "gt": not (below or same)}[op]


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (ValueError, OverflowError):
        return None


def _pattern(like: str) -> re.Pattern[str]:
    """Return SQL's pattern (% is any text, _ any character) as an expression."""
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in like), re.DOTALL)
