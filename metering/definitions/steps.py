"""Steps of a JSONPath beyond plain fields: from the matches so far to those after the step."""

from collections.abc import Callable
from typing import Any

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
        return _equality(tree) or _of_library(tree, dict, list)
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


def _equality(tree: Filter) -> Step | None:
    """Return the step of a filter `[?(@.a.b == 'text')]`, None where it is another."""
    only = tree.expressions[0] if len(tree.expressions) == 1 else None
    if not isinstance(only, Expression) or only.op not in ("=", "=="):
        return None
    keys, wanted = _relative(only.target), only.value
    if not keys or not isinstance(wanted, str):
        return None

    def step(matches: list[Match]) -> list[Match]:
        found: list[Match] = []
        for path, value in matches:
            if isinstance(value, list):
                items = [(f"[{i}]", item) for i, item in enumerate(value)]
            else:
                items = list(value.items()) if isinstance(value, dict) else []
            found += [(f"{path}.{key}", item) for key, item in items if _at(item, keys) == wanted]
        return found

    return step


def _relative(target: JSONPath) -> tuple[str, ...]:
    if isinstance(target, Child) and isinstance(target.left, This | Child):
        before = () if type(target.left) is This else _relative(target.left)
        last = _relative(target.right)
        return (*before, *last) if last and (before or type(target.left) is This) else ()
    if isinstance(target, Fields) and len(target.fields) == 1 and target.fields[0] != "*":
        return (str(target.fields[0]),)
    return ()


def _at(item: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(item, dict):
            return None
        item = item.get(key)
    return item
