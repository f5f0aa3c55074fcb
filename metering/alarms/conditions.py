"""Conditions on a field, as Ceilometer and Aodh write them: {field, op, value, type}.

Source: Aodh's Query: a value without a type is what its text looks like in Python.
"""

import ast
import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from metering.alarms.faults import DefinitionError
from metering.alarms.reading import Reading
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
}
TYPES: Final = ("integer", "float", "string", "boolean", "datetime")
_FIELDS: Final = ("field", "op", "value", "type")
_MOST: Final = 100  # conditions of a query
_LONGEST: Final = 400  # characters of a value that is guessed at
_TRUE: Final = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "off", "n", "no"})

Value = str | int | float | bool


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One condition; all of a query's must hold."""

    field: str
    op: str
    value: str
    type: str = ""

    def typed(self, default: str = "") -> Value:
        """Return the value as its type, as `default`, or as it looks; a datetime in ms. Raises DefinitionError."""
        kind = self.type or default
        if not kind:
            return _guessed(self.value)
        if kind not in TYPES:
            raise DefinitionError(
                f"The data type {kind} is not supported. The supported data type list is: {list(TYPES)}"
            )
        try:
            return _READERS[kind](self.value)
        except (ValueError, OverflowError):
            raise DefinitionError(
                f"Unable to convert the value {self.value[:100]} to the expected data type {kind}."
            ) from None

    def to_json(self) -> dict[str, str]:
        """Return the condition as it is served."""
        typed = {"type": self.type} if self.type else {}
        return {"field": self.field, "op": self.op, "value": self.value, **typed}


def conditions_from(found: Sequence[Any]) -> tuple[Condition, ...]:
    """Return a query's conditions, each value of its type. Raises DefinitionError."""
    if len(found) > _MOST:
        raise DefinitionError(f"A query takes at most {_MOST} conditions, not {len(found)}")
    return tuple(_condition(one) for one in found)


def _condition(found: Any) -> Condition:
    reading = Reading("query", found)
    reading.only(_FIELDS)
    condition = Condition(
        reading.name_text("field"),
        reading.choice("op", tuple(COMPARISONS), "eq"),
        _value_text(reading),
        reading.text("type", ""),
    )
    condition.typed()
    return condition


def _value_text(reading: Reading) -> str:
    value = reading.value("value")
    return str(value) if isinstance(value, bool) else reading.text("value")


def _guessed(text: str) -> Value:
    try:
        found = ast.literal_eval(text) if len(text) <= _LONGEST else text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return found if isinstance(found, str | int | float) else text


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded not in _TRUE | _FALSE:
        raise ValueError("neither true nor false")
    return folded in _TRUE


def _moment(text: str) -> int:
    try:
        return parse_ms(text)
    except RefusedError as error:
        raise ValueError(str(error)) from error


_READERS: Final[dict[str, Callable[[str], Value]]] = {
    "integer": int,
    "float": float,
    "string": str,
    "boolean": _boolean,
    "datetime": _moment,
}
