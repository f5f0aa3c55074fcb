"""The complex query: a filter expression and an order, as JSON text, checked and bounded.

Source: Ceilometer's v2 API. `!=` and `not` take what lacks a metadata key too.
"""

import re
from typing import Any, Final

import orjson

from store.queries.predicate import AllOf, AnyOf, Compare, CompareMetadata, NoneOf, Predicate, Value
from store.queries.statistics import metadata_key
from webapi.errors import RequestError
from webapi.fields import timestamp_of
from webapi.sample_id import id_predicate
from webapi.scope import Scope

_OPS: Final = {
    "=": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    "=<": "le",
    ">": "gt",
    ">=": "ge",
    "=>": "ge",
    "=~": "match",
}
_TEXTS: Final = {
    "meter": "meter",
    "counter_name": "meter",
    "type": "type",
    "counter_type": "type",
    "unit": "unit",
    "counter_unit": "unit",
    "user": "user_id",
    "user_id": "user_id",
    "project": "project_id",
    "project_id": "project_id",
    "resource": "resource_id",
    "resource_id": "resource_id",
    "source": "source",
    "message_id": "message_id",
}
_NUMBERS: Final = {"volume": "volume", "counter_volume": "volume"}
_TIMES: Final = {"timestamp": "timestamp", "recorded_at": "recorded_at"}
FIELDS: Final = _TEXTS | _NUMBERS | _TIMES
_DEEPEST: Final = 20  # of and, or, not in each other
_MOST: Final = 500  # comparisons in a filter, and values of an `in`
_LONGEST: Final = 1000  # characters of a regular expression
_WORST: Final = re.compile(r"\{\s*\d{3,}|\{\s*\d*\s*,\s*\d{3,}")  # repetitions by the hundred


def filter_from(text: Any, scope: Scope) -> Predicate:
    """Return the predicate of a filter, JSON text; all samples where it is absent. Raises RequestError."""
    if text is None or text == "":
        return AllOf([])
    return _Filter(scope).predicate(_decoded(text, "Filter"), 1)


def order_from(text: Any) -> list[tuple[str, str]]:
    """Return the order, JSON text of a list such as [{"timestamp": "desc"}]. Raises RequestError."""
    found = [] if text is None or text == "" else _decoded(text, "Order-by")
    if not isinstance(found, list) or len(found) > len(FIELDS):
        raise _bad("Order-by", "it must be a list of objects with one field each")
    return [_ordered(one) for one in found]


class _Filter:
    """A filter being read: who asks, and how many comparisons there were."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.comparisons = 0

    def predicate(self, tree: Any, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise _bad("Filter", f"it is nested deeper than {_DEEPEST}")
        op, operand = _single(tree, "Filter")
        op = op.lower()
        if op in ("and", "or"):
            if not isinstance(operand, list) or len(operand) < 2:
                raise _bad("Filter", f"'{op}' takes a list of at least two expressions")
            parts = [self.predicate(one, depth + 1) for one in operand]
            return AllOf(parts) if op == "and" else AnyOf(parts)
        if op == "not":
            return NoneOf(self.predicate(operand, depth + 1))
        field, value = _single(operand, "Filter")
        if op == "in":
            return self._membership(field, value)
        if op not in _OPS:
            raise _bad("Filter", f"'{op}' is no operator")
        return self._comparison(field, _OPS[op], value)

    def _membership(self, field: str, values: Any) -> Predicate:
        if not isinstance(values, list) or not values:
            raise _bad("Filter", f"'in' takes a list of values for {field}")
        return AnyOf([self._comparison(field, "eq", value) for value in values])

    def _comparison(self, field: str, op: str, value: Any) -> Predicate:
        self.comparisons += 1
        if self.comparisons > _MOST:
            raise _bad("Filter", f"it has more than {_MOST} comparisons")
        if not isinstance(value, str | int | float):
            raise _bad("Filter", f"the value for {field} must be text, a number or a truth value")
        if op == "match":
            _check_pattern(field, value)
        key = metadata_key(field)
        if key is not None:
            return CompareMetadata(key, op, _bounded(value))
        if field not in FIELDS:
            raise _bad("Filter", f"{field} is no field of samples; fields: {', '.join(FIELDS)}")
        if FIELDS[field] == "project_id":
            self.scope.check_project(str(value))
        if FIELDS[field] == "message_id" and op in ("eq", "ne"):
            found = id_predicate(str(value))
            return found if op == "eq" else NoneOf(found)
        return Compare(FIELDS[field], op, _field_value(field, value))


def _field_value(field: str, value: str | int | float) -> Value:
    """Return the value in the kind of its field. Raises RequestError."""
    if field in _TEXTS:
        return str(value)
    try:
        if field in _NUMBERS:
            return float(value)
        if isinstance(value, str):
            return timestamp_of(value)
    except (ValueError, OverflowError):
        pass
    if field in _TIMES:
        raise RequestError(f"Failed to parse the timestamp value {value}")
    raise _bad("Filter", f"{value} is no number, as {field} is")


def _bounded(value: str | int | float) -> Value:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_pattern(field: str, value: Any) -> None:
    if not isinstance(value, str) or field in _NUMBERS or field in _TIMES:
        raise _bad("Filter", f"=~ takes a regular expression, for a field of text, not {field}")
    if len(value) > _LONGEST or _WORST.search(value):
        raise _bad("Filter", f"the regular expression for {field} is too large")


def _ordered(one: Any) -> tuple[str, str]:
    field, direction = _single(one, "Order-by")
    if field not in FIELDS:
        raise _bad("Order-by", f"{field} is no field of samples; fields: {', '.join(FIELDS)}")
    if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
        raise _bad("Order-by", f"the direction of {field} must be asc or desc")
    return FIELDS[field], direction.lower()


def _single(tree: Any, what: str) -> tuple[str, Any]:
    if not isinstance(tree, dict) or len(tree) != 1:
        raise _bad(what, "each part must be an object with one member")
    return next(iter(tree.items()))


def _decoded(text: Any, what: str) -> Any:
    if not isinstance(text, str):
        raise _bad(what, "it must be JSON as text")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _bad(what, str(error)) from None


def _bad(what: str, why: str) -> RequestError:
    return RequestError(f"{what} expression not valid: {why}")
