"""Values of expressions: numbers, columns of numbers, and what else metadata may hold."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


class NoNumberError(Exception):
    """A value that is needed as a number is none."""


def number(value: Any, text: bool = False) -> Any:
    """Return a number, or a column of them. Raises NoNumberError."""
    if isinstance(value, bool | int | float | np.bool_):
        return np.float64(value)
    if isinstance(value, np.ndarray):
        return value
    if text and isinstance(value, str):
        try:
            return np.float64(value)
        except ValueError as error:
            raise NoNumberError from error
    raise NoNumberError


def truth(value: Any) -> Any:
    """Return whether a value counts as true, row by row of a column; NaN stands for what is missing."""
    return (value != 0) & ~np.isnan(value) if isinstance(value, np.ndarray) else bool(value)


def same(value: Any) -> Any:
    """Return the value."""
    return value


def chosen(test: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """Return one of two values, row by row where the test is a column."""
    if isinstance(test, np.ndarray) and test.ndim:
        return np.where(test, _number_or_nan(yes), _number_or_nan(no))
    return yes() if test else no()


def _number_or_nan(side: Callable[[], Any]) -> Any:
    try:
        return number(side())
    except NoNumberError:
        return np.nan


def compared(sign: Any, left: Any, right: Any) -> Any:
    """Return a comparison; what are no two numbers or two texts is not equal. Raises NoNumberError."""
    if isinstance(left, str) and isinstance(right, str):
        return sign(left, right)
    try:
        return sign(number(left), number(right))
    except NoNumberError:
        if sign in (operator.eq, operator.ne):
            return sign(left is None, right is None) if None in (left, right) else sign(0, 1)
        raise
