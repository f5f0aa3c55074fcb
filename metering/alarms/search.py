"""The query of an aggregation over resources: a search as Gnocchi has it, over a resource's attributes.

Shape: JSON text, {"and": [{"=": {"server_group": "..."}}, {"=": {"ended_at": null}}]} -> a filter.
Source: Gnocchi's search, and which metadata Ceilometer makes an attribute of (gnocchi_resources.yaml).
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from metering.alarms.faults import DefinitionError, bad_value
from metering.alarms.selection import AllOf, AnyOf, Compare, Filter, NoneOf

_OPS: Final = {
    "=": "eq",
    "==": "eq",
    "eq": "eq",
    "!=": "ne",
    "≠": "ne",
    "ne": "ne",
    "<": "lt",
    "lt": "lt",
    "<=": "le",
    "≤": "le",
    "le": "le",
    ">": "gt",
    "gt": "gt",
    ">=": "ge",
    "≥": "ge",
    "ge": "ge",
    "like": "like",
    "in": "in",
}
_ALL: Final = ("and", "∧")
_ANY: Final = ("or", "∨")
_COLUMNS: Final = {
    "id": "resource_id",
    "original_resource_id": "resource_id",
    "project_id": "project_id",
    "created_by_project_id": "project_id",
    "user_id": "user_id",
    "created_by_user_id": "user_id",
}
_KEYS: Final = {
    "flavor_id": ("instance_flavor_id", "flavor.id", "flavor_id"),
    "flavor_name": ("instance_type", "flavor.name", "flavor_name"),
    "host": ("host", "instance_host"),
    "image_ref": ("image_ref", "image.id", "image_meta.base_image_ref"),
    "display_name": ("display_name", "name"),
    "server_group": ("user_metadata.server_group", "metering.server_group", "server_group"),
}
_DEEPEST: Final = 20
_MOST: Final = 200  # comparisons


def search_filter(text: str) -> Filter:
    """Return the filter of a search. Raises DefinitionError."""
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise bad_value("rule/query", text[:200], "It is no JSON.") from None
    if tree == {}:
        return AllOf()
    return _Search().filter(tree, 1)


class _Search:
    """A search being read, and how many comparisons there were."""

    def __init__(self) -> None:
        self.comparisons = 0

    def filter(self, tree: Any, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise _bad(tree, f"It is nested deeper than {_DEEPEST}.")
        op, operand = _single(tree)
        if op in (*_ALL, *_ANY):
            if not isinstance(operand, list):
                raise _bad(tree, f"{op} takes a list.")
            parts = tuple(self.filter(one, depth + 1) for one in operand)
            return AllOf(parts) if op in _ALL else AnyOf(parts)
        if op == "not":
            return NoneOf(self.filter(operand, depth + 1))
        if op not in _OPS:
            raise _bad(tree, f"{op} is no operator.")
        return self._compare(tree, _OPS[op], *_single(operand))

    def _compare(self, tree: Any, op: str, field: str, value: Any) -> Filter:
        self.comparisons += 1
        if self.comparisons > _MOST:
            raise _bad(tree, f"It has more than {_MOST} comparisons.")
        values = value if op == "in" else [value]
        if not isinstance(values, list) or not all(map(_plain, values)):
            raise _bad(tree, "It compares with text, numbers, truth values and null.")
        if op == "like" and not isinstance(value, str):
            raise _bad(tree, "like compares with text.")
        column = _COLUMNS.get(field)
        keys = () if column else _KEYS.get(field, (field, f"user_metadata.{field}"))
        return Compare(column, keys, op, tuple(values) if op == "in" else value)


def _single(tree: Any) -> tuple[str, Any]:
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise _bad(tree, "Every part of it is an object with one key.")
    ((key, value),) = tree.items()
    return key, value


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _bad(tree: Any, reason: str) -> DefinitionError:
    return bad_value("rule/query", str(tree)[:200], reason)
