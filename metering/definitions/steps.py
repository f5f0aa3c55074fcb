"""Steps of a JSONPath beyond plain fields: from the matches so far to those after the step."""

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from jsonpath_ng import Child, Fields, Index, JSONPath, Slice, This
from jsonpath_ng.ext.filter import Expression, Filter
from jsonpath_ng.ext.string import Split, Sub

Match = tuple[str, Any]  # path, value
Step = Callable[[list[Match]], list[Match]]


def native_step(tree: JSONPath) -> Step | None:
    """Return the step of one node of jsonpath-ng's tree, None where we have none for it."""
    if isinstance(tree, Slice) and tree.start is None and tree.end is None and tree.step is None:
        return _each
    if isinstance(tree, Split) and tree.segment != "*":
        return Cut(tree.chars, int(tree.segment), tree.max_split)
    if isinstance(tree, Filter):
        return _filtered(tree) or _of_library(tree, dict, list)
    if isinstance(tree, Split | Sub):
        return _of_library(tree, str)
    if isinstance(tree, Index | Slice):
        return _of_library(tree, list)
    return None


def _of_library(tree: JSONPath, *kinds: type) -> Step:
    return lambda matches: [
        (f"{path}.{found.full_path}", found.value)
        for path, value in matches
        if isinstance(value, kinds)
        for found in tree.find(value)
    ]


def _each(matches: list[Match]) -> list[Match]:
    found: list[Match] = []
    for path, value in matches:
        if isinstance(value, list):
            found += [(f"{path}.[{i}]", item) for i, item in enumerate(value)]
        else:
            found.append((path, value))  # one thing stands for a list of one
    return found


class Cut:
    """The step `split(separator, segment, max_split)`."""

    def __init__(self, separator: str, segment: int, max_split: int) -> None:
        self._separator, self._segment, self._max_split = separator, segment, max_split

    def __call__(self, matches: list[Match]) -> list[Match]:
        cut = [(path, self.cut(value)) for path, value in matches]
        return [match for match in cut if match[1] is not None]

    def cut(self, value: Any) -> str | None:
        """Return the segment of a text, None where there is none."""
        if not isinstance(value, str):
            return None
        parts = value.split(self._separator, self._max_split)
        return parts[self._segment] if -len(parts) <= self._segment < len(parts) else None


def _filtered(tree: Filter) -> Step | None:
    """Return the step of a filter of comparisons, `[?(@.a.b == 'x' && @.c > 1)]`; None of another.

    Source: RFC 9535, 2.3.5.2.2, as jsonpath-ng has it as of 1.16; older ones differ.
    """
    tests = [_test(expression) for expression in tree.expressions]
    wanted = [test for test in tests if test is not None]
    if len(wanted) < len(tests):
        return None

    def step(matches: list[Match]) -> list[Match]:
        found: list[Match] = []
        for path, value in matches:
            if isinstance(value, list):
                items = [(f"[{i}]", item) for i, item in enumerate(value)]
            else:
                items = list(value.items()) if isinstance(value, dict) else []
            found += [
                (f"{path}.{key}", item) for key, item in items if all(test(item) for test in wanted)
            ]
        return found

    return step


def _test(expression: JSONPath) -> Callable[[Any], bool] | None:
    """Return the test of a field that is there, or compared with a text, number or truth value."""
    if not isinstance(expression, Expression):
        return None
    if _intersects(expression.target):
        raise ValueError('a field alone before an "and" is not understood; put it last')
    keys, op, wanted = _relative(expression.target), expression.op, expression.value
    if not keys:
        return None
    if op is None:
        return lambda item: _at(item, keys) is not _MISSING
    if op == "=~":
        pattern = re.compile(str(wanted))
        return lambda item: isinstance(text := _at(item, keys), str) and bool(pattern.search(text))
    if op not in _COMPARE or not isinstance(wanted, str | int | float):
        return None
    return lambda item: _holds(op, _at(item, keys), wanted)


def _intersects(path: JSONPath | None) -> bool:
    """Return whether `&` was taken for an operator of paths, which jsonpath-ng cannot apply."""
    parts = (getattr(path, "left", None), getattr(path, "right", None))
    name = type(path).__name__  # the class is deprecated as of 1.16, which warns where it is named
    return name.lstrip("_") == "Intersect" or any(_intersects(part) for part in parts if part)


_MISSING: Final = object()
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _holds(op: str, value: Any, wanted: str | float) -> bool:
    """Compare: numbers and texts have an order among themselves; all else is equal or not."""
    if _kind(value) is _kind(wanted) and _kind(value) is not None:
        return _COMPARE[op](value, wanted)
    if value is _MISSING:
        return op == "!="
    return (value is wanted) == (op != "!=") if op not in ("<", ">") else False


def _kind(value: Any) -> type | None:
    if isinstance(value, bool):
        return None
    return str if isinstance(value, str) else float if isinstance(value, int | float) else None


def _relative(target: JSONPath) -> tuple[str, ...]:
    """Return the keys of a chain of fields from an item on; () where it is another path."""
    if isinstance(target, Child):
        before, last = _relative(target.left), _relative(target.right)
        return (*before, *last) if last and (before or type(target.left) is This) else ()
    if isinstance(target, Fields) and len(target.fields) == 1 and target.fields[0] != "*":
        return (str(target.fields[0]),)
    return ()


def _at(item: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(item, dict) or key not in item:
            return _MISSING
        item = item[key]
    return item
