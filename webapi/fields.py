"""The simple query of a request: repeated q.field, q.op, q.value and q.type, aligned by position.

Source: Ceilometer's v2 API; its client sends `q.type=` empty where it knows no type.
"""

import ast
import dataclasses
import datetime as dt
import math
from typing import Final

from werkzeug.datastructures import MultiDict

from metering.refusal import RefusedError
from metering.timestamps import parse_ms
from webapi.errors import RequestError, invalid_input, unknown_argument
from webapi.services import services

OPS: Final = ("lt", "le", "eq", "ne", "ge", "gt")
TYPES: Final = ("integer", "float", "string", "boolean", "datetime")
_PARTS: Final = ("field", "op", "value", "type")
QUERY: Final = frozenset(f"q.{part}" for part in _PARTS)  # the arguments of a simple query
_TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "off", "n", "no"})
_MOST_CONDITIONS: Final = 100
_MOST_DIGITS: Final = 400  # of a number; longer text is none
_REACH: Final = 2**63
_EPOCH: Final = dt.datetime(1970, 1, 1)

Args = MultiDict[str, str]
Value = str | int | float | bool | dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a simple query; all of them must hold."""

    field: str
    op: str
    value: str
    type: str  # "" where the request has none

    def typed(self, default: str = "") -> Value:
        """Return the value as its type, or as `default`, or as what its text looks like.

        Raises RequestError for a type that is not known or a text that is none of it.
        """
        kind = self.type or default
        if not kind:
            return _guessed(self.value)
        if kind not in TYPES:
            raise RequestError(
                f"The data type {kind} is not supported. The supported data type list is: {list(TYPES)}"
            )
        try:
            return _as_type(self.value, kind)
        except ValueError:
            raise RequestError(
                f"Unable to convert the value {self.value} to the expected data type {kind}."
            ) from None


def check_arguments(args: Args, known: frozenset[str]) -> None:
    """Let a request pass whose arguments are all known. Raises RequestError."""
    for name in args:
        if name not in known:
            raise unknown_argument(name)


def conditions_from(args: Args) -> list[Condition]:
    """Return the simple query's conditions. Raises RequestError."""
    lists = {part: args.getlist(f"q.{part}") for part in _PARTS}
    length = max(map(len, lists.values()))
    if length > _MOST_CONDITIONS:
        raise RequestError(f"A query takes at most {_MOST_CONDITIONS} conditions, not {length}")
    rows = (
        {part: values[i] for part, values in lists.items() if i < len(values)}
        for i in range(length)
    )
    return [_condition(row) for row in rows]


def limit_from(args: Args) -> int:
    """Return how many rows to answer with: as asked, or by default, within bounds. Raises RequestError."""
    api = services().config.api
    limit = integer_from(args, "limit")
    return bounded_limit(limit if limit is not None else api.default_limit)


def bounded_limit(limit: int) -> int:
    """Return the limit within the configured bound. Raises RequestError unless it is positive."""
    if limit <= 0:
        raise RequestError("Limit must be positive")
    return min(limit, services().config.api.max_limit)


def integer_from(args: Args, name: str) -> int | None:
    """Return a whole number among the arguments; None where it is absent. Raises RequestError."""
    text = args.get(name)
    if text is None or text == "":
        return None
    try:
        return _integer(text)
    except ValueError:
        raise invalid_input(name, text, "unable to convert to int") from None


def boolean_from(args: Args, name: str) -> bool:
    """Return a truth value among the arguments; false where it is absent. Raises RequestError."""
    text = args.get(name)
    if not text:
        return False
    try:
        return _boolean(text)
    except ValueError:
        raise invalid_input(name, text, "unable to convert to bool") from None


def timestamp_of(text: str) -> dt.datetime:
    """Return an ISO 8601 time as naive UTC, in whole milliseconds. Raises ValueError."""
    try:
        return _EPOCH + dt.timedelta(milliseconds=parse_ms(text))
    except RefusedError as error:
        raise ValueError(str(error)) from error


def _condition(row: dict[str, str]) -> Condition:
    op = row.get("op") or "eq"
    if op not in OPS:
        raise invalid_input("op", op, f"Value should be one of: {', '.join(OPS)}")
    if not row.get("field"):
        raise RequestError("Every condition of a query needs its q.field")
    if "value" not in row:
        raise RequestError(f"The condition on {row['field']} needs its q.value")
    return Condition(row["field"], op, row["value"], row.get("type", ""))


def _as_type(text: str, kind: str) -> Value:
    if kind == "integer":
        return _integer(text)
    if kind == "float":
        return _float(text)
    if kind == "datetime":
        return timestamp_of(text)
    if kind == "boolean":
        return _boolean(text)
    return text


def _guessed(text: str) -> Value:
    """Return a number or truth value where the text is written as Python writes one, else the text."""
    try:
        found = ast.literal_eval(text) if len(text) <= _MOST_DIGITS else text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found if abs(found) < _REACH else text
    return found if isinstance(found, str | bool) else text


def _integer(text: str) -> int:
    number = int(text) if len(text) <= _MOST_DIGITS else _REACH
    if not -_REACH <= number < _REACH:
        raise ValueError("it does not fit into 64 bits")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it is not finite")
    return number


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return folded in _TRUE
