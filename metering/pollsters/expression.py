"""Expressions of Python inside a definition, checked before they are run: values in, a value out.

No import, no attribute but a few methods of texts, lists and mappings, no name but the given ones and
a few functions. Whoever writes a definition file can say what to do with an answer, and no more.
"""

import ast
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

_FUNCTIONS: Final[dict[str, Any]] = {
    function.__name__: function
    for function in (
        *(abs, all, any, bool, dict, enumerate, float, int, len, list, max, min, range, reversed),
        *(round, set, sorted, str, sum, tuple, zip),
    )
}
_METHODS: Final = frozenset(
    (
        *("capitalize", "count", "endswith", "find", "get", "index", "isdigit", "items", "join"),
        *("keys", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace"),
        *("rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title"),
        *("upper", "values"),
    )
)
_NODES: Final = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call),
    *(ast.Constant, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Subscript, ast.Slice),
    *(ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp),
    *(ast.GeneratorExp, ast.comprehension, ast.keyword, ast.Starred, ast.JoinedStr),
    *(ast.FormattedValue, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_LONGEST: Final = 2000  # letters


class ExpressionError(ValueError):
    """An expression is none, or asks for more than it may."""


def compile_expression(text: str, names: frozenset[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what evaluates an expression over values of these names. Raises ExpressionError."""
    if len(text) > _LONGEST:
        raise ExpressionError(f"longer than {_LONGEST} letters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError(f"no expression: {text!r}") from error
    _check(tree, names)
    code: types.CodeType = compile(tree, "<definition>", "eval")
    return lambda values: eval(code, {"__builtins__": _FUNCTIONS}, dict(values))


def _check(tree: ast.Expression, names: frozenset[str]) -> None:
    nodes = list(ast.walk(tree))
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in nodes:
        if not isinstance(node, _NODES):
            raise ExpressionError(f"{type(node).__name__} is not allowed")
        if isinstance(node, ast.Name) and node.id not in {*names, *bound, *_FUNCTIONS}:
            raise ExpressionError(f"unknown name {node.id!r}")
        if isinstance(node, ast.Attribute) and node.attr not in _METHODS:
            raise ExpressionError(f".{node.attr} is not allowed")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
            raise ExpressionError("** and << are not allowed")  # a short text, a huge number
