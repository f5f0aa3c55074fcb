"""Arithmetic over volumes and metadata, compiled from a whitelist of Python's syntax tree.

`volume` and `resource_metadata.x` are the sample's; `$(meter)` and `$(meter).resource_metadata.x`
those of the operands of an `arithmetic` transformer. Nothing else can be named, and nothing is
ever given to `eval`.

Guarantee: what is missing is null, which `or` passes over; a number that can't be had (null or text
    in a sum, a division by zero) is NaN. Numbers are 64-bit floats.
"""

import ast
import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from metering.derived.values import (
    F64,
    NoNumberError,
    chosen,
    compared,
    number,
    same,
    truth,
)

Facts = tuple[Any, ...]  # values of metadata, in the order of the expression's paths

_LONGEST: Final = 1000  # characters
_METER: Final = re.compile(r"\$\(([\w.\-]+)\)")
_STANDS_FOR: Final = "meter_{}_of_the_expression"
_METADATA: Final = "resource_metadata"


class ExpressionError(ValueError):
    """An expression can't be compiled; says why."""


class _Scope:
    """What an expression names: operand by operand its volume, and which metadata."""

    def __init__(self, operands: Mapping[str, int]) -> None:
        self.operands = operands  # by the name that stands for them
        self.paths: list[list[str]] = [[] for _ in operands]
        self.uses_volume = False

    def path(self, operand: int, path: str) -> int:
        """Return the number of a metadata path among its operand's."""
        if path not in self.paths[operand]:
            self.paths[operand].append(path)
        return self.paths[operand].index(path)


class _Values:
    """What an expression is worked out of: a column of volumes and one tuple of facts an operand."""

    def __init__(self, volumes: Sequence[F64], facts: Sequence[Facts]) -> None:
        self.volumes = volumes
        self.facts = facts


_Node = Callable[[_Values], Any]


class Expression:
    """A compiled expression over the volumes of operands and some of their metadata."""

    def __init__(self, node: _Node, scope: _Scope, meters: list[str]) -> None:
        self._node = node
        self.meters = meters  # of `$(...)`, as they come; none in a `scale`
        self.paths = [tuple(paths) for paths in scope.paths]  # an operand
        self.uses_volume = scope.uses_volume

    def values(self, volumes: Sequence[F64], facts: Sequence[Facts]) -> F64:
        """Return a value a row: of columns of volumes, and facts that all rows share."""
        with np.errstate(all="ignore"):
            try:
                value = number(self._node(_Values(volumes, facts)))
            except NoNumberError:
                value = np.nan
        return np.broadcast_to(np.asarray(value, np.float64), volumes[0].shape)


def compile_scale(text: str) -> Expression:
    """Compile a `scale` over `volume` and `resource_metadata`. Raises ExpressionError."""
    scope = _Scope({"": 0})
    return Expression(_compiled(text, scope), scope, [])


def compile_arithmetic(text: str) -> Expression:
    """Compile an `expr` over `$(meter)`s. Raises ExpressionError."""
    meters = list(dict.fromkeys(_METER.findall(text)))
    if not meters:
        raise ExpressionError("names no meter as $(meter)")
    names = {meter: _STANDS_FOR.format(number) for number, meter in enumerate(meters)}
    scope = _Scope({name: number for number, name in enumerate(names.values())})
    plain = _METER.sub(lambda found: f" {names[found[1]]}", text)
    return Expression(_compiled(plain.strip(), scope), scope, meters)


def _compiled(text: str, scope: _Scope) -> _Node:
    if len(text) > _LONGEST:
        raise ExpressionError(f"is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _node(tree.body, scope)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"is no expression: {error}") from error


def _node(tree: ast.expr, scope: _Scope) -> _Node:
    compiler = _COMPILERS.get(type(tree))
    if compiler is None:
        raise ExpressionError(f"may not hold {type(tree).__name__}")
    return compiler(tree, scope)


def _constant(tree: ast.Constant, scope: _Scope) -> _Node:
    value = tree.value
    if isinstance(value, bool | str) or value is None:
        return lambda _: value
    if isinstance(value, int | float):
        try:
            number = np.float64(value)
        except OverflowError as error:
            raise ExpressionError("has a number that is too large") from error
        return lambda _: number
    raise ExpressionError(f"may not hold {ast.unparse(tree)}")


def _reference(tree: ast.expr, scope: _Scope) -> _Node:
    """Compile a volume or a path into metadata."""
    parts = _parts(tree)
    name = parts.pop(0)
    if name in scope.operands and name:
        operand = scope.operands[name]
    elif "" in scope.operands:
        operand, parts = scope.operands[""], [name, *parts]
    else:
        raise ExpressionError(f"knows no {name!r}; a meter is written $({name})")
    if parts in ([], ["volume"]):
        scope.uses_volume = True
        return lambda values: values.volumes[operand]
    if parts[0] == _METADATA and len(parts) > 1:
        at = scope.path(operand, ".".join(parts[1:]))
        return lambda values: values.facts[operand][at]
    raise ExpressionError(f"knows no {'.'.join(parts)!r}; there are volume and {_METADATA}.NAME")


def _parts(tree: ast.expr) -> list[str]:
    """Return the names of `a.b['c']`, in order."""
    if isinstance(tree, ast.Name):
        return [tree.id]
    if isinstance(tree, ast.Attribute):
        return [*_parts(tree.value), tree.attr]
    key = tree.slice if isinstance(tree, ast.Subscript) else None
    if isinstance(tree, ast.Subscript) and isinstance(key, ast.Constant):
        return [*_parts(tree.value), str(key.value)]
    raise ExpressionError(f"may not hold {ast.unparse(tree)}")


def _binary(tree: ast.BinOp, scope: _Scope) -> _Node:
    apply = _BINARY.get(type(tree.op))
    if apply is None:
        raise ExpressionError(f"may not hold the operator of {ast.unparse(tree)}")
    left, right = _node(tree.left, scope), _node(tree.right, scope)
    return lambda values: apply(number(left(values)), number(right(values)))


def _unary(tree: ast.UnaryOp, scope: _Scope) -> _Node:
    side = _node(tree.operand, scope)
    if isinstance(tree.op, ast.Not):
        return lambda values: np.logical_not(truth(side(values)))
    if isinstance(tree.op, ast.USub):
        return lambda values: -number(side(values))
    if isinstance(tree.op, ast.UAdd):
        return lambda values: number(side(values))
    raise ExpressionError(f"may not hold {ast.unparse(tree)}")


def _logical(tree: ast.BoolOp, scope: _Scope) -> _Node:
    sides = [_node(side, scope) for side in tree.values]
    is_or = isinstance(tree.op, ast.Or)

    def choose(values: _Values) -> Any:
        result = sides[0](values)
        for side in sides[1:]:
            keep = truth(result) if is_or else np.logical_not(truth(result))
            result = chosen(keep, functools.partial(same, result), functools.partial(side, values))
        return result

    return choose


def _condition(tree: ast.IfExp, scope: _Scope) -> _Node:
    test, yes, no = (_node(part, scope) for part in (tree.test, tree.body, tree.orelse))
    return lambda values: chosen(
        truth(test(values)), functools.partial(yes, values), functools.partial(no, values)
    )


def _comparison(tree: ast.Compare, scope: _Scope) -> _Node:
    sides = [_node(side, scope) for side in (tree.left, *tree.comparators)]
    signs = [_COMPARISONS.get(type(sign)) for sign in tree.ops]
    if None in signs:
        raise ExpressionError(f"may not hold the comparison {ast.unparse(tree)}")

    def compare(values: _Values) -> Any:
        found = [side(values) for side in sides]
        result: Any = True
        for sign, left, right in zip(signs, found, found[1:], strict=False):
            result = np.logical_and(result, compared(sign, left, right))
        return result

    return compare


def _call(tree: ast.Call, scope: _Scope) -> _Node:
    name = tree.func.id if isinstance(tree.func, ast.Name) else ast.unparse(tree.func)
    if name not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise ExpressionError(f"may not call {name}; there are {known}")
    least, apply = _FUNCTIONS[name]
    if tree.keywords or not least <= len(tree.args) <= (1 if least == 1 else 99):
        raise ExpressionError(f"calls {name} with other arguments than it has")
    sides = [_node(side, scope) for side in tree.args]
    return lambda values: apply(*(number(side(values), text=True) for side in sides))


_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.float_power,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# The least number of arguments; one that takes one takes no more.
_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "abs": (1, np.abs),
    "float": (1, np.float64),
    "int": (1, np.trunc),
    "max": (2, lambda *sides: functools.reduce(np.maximum, sides)),
    "min": (2, lambda *sides: functools.reduce(np.minimum, sides)),
    "round": (1, np.round),
}
_COMPILERS: Final[dict[type[ast.expr], Callable[[Any, _Scope], _Node]]] = {
    ast.Constant: _constant,
    ast.Name: _reference,
    ast.Attribute: _reference,
    ast.Subscript: _reference,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logical,
    ast.IfExp: _condition,
    ast.Compare: _comparison,
    ast.Call: _call,
}
