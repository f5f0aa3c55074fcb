"""What samples a rule looks at: meters, resources, a project, and a filter over fields and metadata.

A filter is a tree of AllOf, AnyOf, NoneOf and Compare. What a Compare looks at is a column of
metering.schema.SAMPLES, or else the first of several metadata keys that a sample has; without any of
them it is null. Null is equal to None, unequal to everything else, and in no order with anything.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

from metering.alarms.conditions import Condition, Value
from metering.alarms.faults import DefinitionError

COLUMNS: Final = {
    "meter": "meter",
    "message_id": "message_id",
    "project": "project_id",
    "project_id": "project_id",
    "resource": "resource_id",
    "resource_id": "resource_id",
    "source": "source",
    "user": "user_id",
    "user_id": "user_id",
}
_METADATA: Final = ("metadata.", "resource_metadata.")
_OF_USER: Final = "metering."  # what the resource's owner set, kept as user_metadata


@dataclasses.dataclass(frozen=True, slots=True)
class Compare:
    """A column, or the first of several metadata keys that is there, against a value.

    `op` is eq, ne, lt, le, gt, ge, like (SQL's % and _) or in (then `value` is a tuple).
    """

    column: str | None  # of SAMPLES
    keys: tuple[str, ...]  # of the flattened metadata, where there is no column
    op: str
    value: Value | tuple[Value | None, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of these; with none, every sample."""

    parts: "tuple[Filter, ...]" = ()


@dataclasses.dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these; with none, no sample."""

    parts: "tuple[Filter, ...]" = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NoneOf:
    """Not this."""

    part: "Filter"


Filter = Compare | AllOf | AnyOf | NoneOf


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """The samples of a rule: of one of these meters, and of all else that is said.

    With `series` only those (resource_id, meter) count; they are of `meters` too.
    """

    meters: tuple[str, ...]
    resource_id: str | None = None
    project_id: str | None = None  # None is every project's: an admin's alarm
    series: tuple[tuple[str, str], ...] | None = None
    where: Filter = AllOf()


def filter_of(query: Sequence[Condition]) -> AllOf:
    """Return the filter of a threshold rule's query, where all is compared by eq. Raises DefinitionError."""
    return AllOf(tuple(_compare(one) for one in query))


def _compare(one: Condition) -> Compare:
    if one.field in ("timestamp", "search_offset"):
        raise DefinitionError(f'Unknown argument: "{one.field}": not valid for this resource')
    key = next(
        (one.field.removeprefix(start) for start in _METADATA if one.field.startswith(start)), None
    )
    if key is None and one.field not in COLUMNS:
        raise DefinitionError(
            f'Unknown argument: "{one.field}": unrecognized field in query, valid keys: {sorted(COLUMNS)}'
        )
    if one.op != "eq":
        raise DefinitionError(
            f"Invalid input for field/attribute op. Value: '{one.op}'."
            f" unimplemented operator for {one.field}"
        )
    if key is None:
        return Compare(COLUMNS[one.field], (), "eq", one.value)
    return Compare(None, metadata_keys(key), "eq", one.typed())


def metadata_keys(key: str) -> tuple[str, ...]:
    """Return where a metadata key is looked for: as it is, and where an owner's own tags are kept."""
    if key.startswith(_OF_USER):
        return key, f"user_metadata.{key.removeprefix(_OF_USER)}"
    return (key,)
