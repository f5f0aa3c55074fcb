"""The complex query: a filter expression and an order, as JSON text, checked and bounded.

Source: Ceilometer's v2 API and Aodh's. `!=` and `not` take what lacks a metadata key too.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from flask import request

from store.queries.predicate import AllOf, AnyOf, Compare, CompareMetadata, NoneOf, Predicate, Value
from store.queries.statistics import metadata_key
from webapi.errors import RequestError, invalid_input
from webapi.fields import bounded_limit, timestamp_of
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
_ATTRIBUTES: Final = frozenset({"filter", "orderby", "limit"})
_DEEPEST: Final = 20  # of and, or, not in each other
_MOST: Final = 500  # comparisons in a filter, and values of an `in`
_LONGEST: Final = 1000  # characters of a regular expression
_WORST: Final = re.compile(r"\{\s*\d{3,}|\{\s*\d*\s*,\s*\d{3,}")  # repetitions by the hundred


@dataclasses.dataclass(frozen=True, slots=True)
class Vocabulary:
    """The fields of one kind of thing, by what a request calls them, with their columns."""

    what: str
    owner: str  # the column of the project that the caller must see
    texts: Mapping[str, str]
    numbers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    times: Mapping[str, str] = dataclasses.field(default_factory=dict)
    truths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metadata: bool = False  # metadata.KEY is a field too
    messages: bool = False  # message_id is looked for by id_predicate

    def column(self, field: str) -> str | None:
        """Return a field's column; None where there is no such field."""
        kinds = (self.texts, self.numbers, self.times, self.truths)
        return next((kind[field] for kind in kinds if field in kind), None)

    @property
    def fields(self) -> list[str]:
        """The names of the fields."""
        return [*self.texts, *self.numbers, *self.times, *self.truths]


@dataclasses.dataclass(frozen=True, slots=True)
class ComplexQuery:
    """A complex query that has been checked, within what the caller may see."""

    where: Predicate
    order: list[tuple[str, str]]
    limit: int


def complex_query(scope: Scope, vocabulary: Vocabulary, default_limit: int) -> ComplexQuery:
    """Return the query of this request's body. Raises RequestError."""
    body = _body()
    own = [] if scope.admin else [Compare(vocabulary.owner, "eq", scope.only_project or "")]
    return ComplexQuery(
        AllOf([*own, filter_from(body.get("filter"), scope, vocabulary)]),
        order_from(body.get("orderby"), vocabulary),
        _limit(body.get("limit"), default_limit),
    )


def filter_from(text: Any, scope: Scope, vocabulary: Vocabulary) -> Predicate:
    """Return the predicate of a filter, JSON text; all where it is absent. Raises RequestError."""
    if text is None or text == "":
        return AllOf([])
    return _Filter(scope, vocabulary).predicate(_decoded(text, "Filter"), 1)


def order_from(text: Any, vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Return the order, JSON text of a list such as [{"timestamp": "desc"}]. Raises RequestError."""
    found = [] if text is None or text == "" else _decoded(text, "Order-by")
    if not isinstance(found, list) or len(found) > len(vocabulary.fields):
        raise _bad("Order-by", "it must be a list of objects with one field each")
    return [_ordered(one, vocabulary) for one in found]


class _Filter:
    """A filter being read: who asks for what, and how many comparisons there were."""

    def __init__(self, scope: Scope, vocabulary: Vocabulary) -> None:
        self.scope = scope
        self.vocabulary = vocabulary
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
        key = metadata_key(field) if self.vocabulary.metadata else None
        if op == "match":
            _check_pattern(field, value, key is not None or field in self.vocabulary.texts)
        if key is not None:
            return CompareMetadata(key, op, _bounded(value))
        column = self.vocabulary.column(field)
        if column is None:
            raise _unknown("Filter", field, self.vocabulary)
        if column == self.vocabulary.owner:
            self.scope.check_project(str(value))
        if self.vocabulary.messages and column == "message_id" and op in ("eq", "ne"):
            found = id_predicate(str(value))
            return found if op == "eq" else NoneOf(found)
        return Compare(column, op, _field_value(field, value, self.vocabulary))


def _field_value(field: str, value: str | int | float, vocabulary: Vocabulary) -> Value:
    """Return the value in the kind of its field. Raises RequestError."""
    if field in vocabulary.texts:
        return str(value)
    if field in vocabulary.truths:
        if isinstance(value, bool):
            return value
        raise _bad("Filter", f"{value} is no truth value, as {field} is")
    try:
        if field in vocabulary.numbers:
            return float(value)
        if isinstance(value, str):
            return timestamp_of(value)
    except (ValueError, OverflowError):
        pass
    if field in vocabulary.times:
        raise RequestError(f"Failed to parse the timestamp value {value}")
    raise _bad("Filter", f"{value} is no number, as {field} is")


def _bounded(value: str | int | float) -> Value:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_pattern(field: str, value: Any, text: bool) -> None:
    if not isinstance(value, str) or not text:
        raise _bad("Filter", f"=~ takes a regular expression, for a field of text, not {field}")
    if len(value) > _LONGEST or _WORST.search(value):
        raise _bad("Filter", f"the regular expression for {field} is too large")


def _ordered(one: Any, vocabulary: Vocabulary) -> tuple[str, str]:
    field, direction = _single(one, "Order-by")
    column = vocabulary.column(field)
    if column is None:
        raise _unknown("Order-by", field, vocabulary)
    if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
        raise _bad("Order-by", f"the direction of {field} must be asc or desc")
    return column, direction.lower()


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


def _body() -> dict[str, Any]:
    try:
        body = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError("The body must be an object with filter, orderby and limit")
    for name in body:
        if name not in _ATTRIBUTES:
            raise RequestError(f"Unknown attribute: {name}")
    return body


def _limit(value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, str) and len(value) <= 20 and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_input("limit", value, "unable to convert to int")
    return bounded_limit(value)


def _unknown(what: str, field: str, vocabulary: Vocabulary) -> RequestError:
    named = ", ".join(vocabulary.fields)
    return _bad(what, f"{field} is no field of {vocabulary.what}; fields: {named}")


def _bad(what: str, why: str) -> RequestError:
    return RequestError(f"{what} expression not valid: {why}")
