"""Unions, arithmetic and concatenation of JSONPaths: `a|b`, `a * 100`, `a + "_" + b`.

Numbers follow the usual precedence; `+` also joins texts. A side that is a quoted text, a bare word
or a number is a constant; two paths are combined match by match and must have as many.
"""

import functools
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from metering.definitions.jsonpath import (
    Body,
    Path,
    PathError,
    compile_simple,
    of_matches,
)
from metering.definitions.steps import Match

_TEXT: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"|([A-Za-z_][\w-]*)")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_OPEN: Final = {"(": ")", "[": "]"}
_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@functools.lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """Compile a JSONPath with all it may hold. Raises PathError."""
    text = _bared(text.strip())
    if not text:
        raise PathError("an empty path")
    ways = _split(text, "|")
    if len(ways) > 1:
        return union([compile_path(way[1]) for way in ways])
    for operators in ("+-", "*/"):
        terms = _split(text, operators)
        if len(terms) > 1:
            return _arithmetic(terms)
    return compile_simple(text)


def union(ways: list[Path]) -> Path:
    """Return the matches of all paths, in their order; `first` tries one after the other."""
    if len(ways) == 1:
        return ways[0]
    firsts = [way.first for way in ways]

    def first(body: Body) -> Any:
        for get in firsts:
            value = get(body)
            if value is not None:
                return value
        return None

    return Path(lambda body: [match for way in ways for match in way.find(body)], first)


def _arithmetic(terms: list[tuple[str, str]]) -> Path:
    """Combine terms, each with the operator before it, from left to right."""
    sides = [(_OPERATORS.get(sign), _operand(text)) for sign, text in terms]

    def find(body: Body) -> list[Match]:
        result: Any = None
        for apply, side in sides:
            value = side.find(body) if isinstance(side, Path) else side
            result = value if apply is None else _combined(apply, result, value)
            if result == []:
                break
        return [("", value) for _, value in result] if isinstance(result, list) else [("", result)]

    return of_matches(find)


def _operand(text: str) -> Path | str | int | float:
    """Return a constant, or the path where it is none. Raises PathError."""
    text = text.strip()
    constant = _TEXT.fullmatch(text)
    if constant:
        return next(group for group in constant.groups() if group is not None)
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return compile_path(text)


def _combined(apply: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    lefts = left if isinstance(left, list) else None
    rights = right if isinstance(right, list) else None
    if lefts is None and rights is None:
        return _applied(apply, left, right)
    lefts = [("", left)] * len(rights or ()) if lefts is None else lefts
    rights = [("", right)] * len(lefts) if rights is None else rights
    if len(lefts) != len(rights):
        return []
    values = [_applied(apply, a, b) for (_, a), (_, b) in zip(lefts, rights, strict=True)]
    return [] if None in values else [("", value) for value in values]


def _applied(apply: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return the result, None where the two don't go together (a text times a number, say)."""
    if isinstance(left, str) and isinstance(right, str):
        return left + right if apply is operator.add else None
    if isinstance(left, int | float) and isinstance(right, int | float):
        return apply(left, right)
    return None


def _bared(text: str) -> str:
    """Return a path without the parentheses around the whole of it."""
    while text.startswith("(") and _end(text, 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _end(text: str, start: int) -> int:
    """Return where the quote or bracket that opens at `start` is closed. Raises PathError."""
    closer = _OPEN.get(text[start])
    if closer is None:  # a quote
        end = text.find(text[start], start + 1)
    else:
        end = start + 1
        while end < len(text) and text[end] != closer:
            end = _end(text, end) + 1 if text[end] in "([`'\"" else end + 1
    if not 0 <= end < len(text):
        raise PathError(f"{text[start]!r} is not closed")
    return end


def _split(text: str, separators: str) -> list[tuple[str, str]]:
    """Return the parts between separators outside quotes and brackets, with the one before each."""
    parts: list[tuple[str, str]] = []
    sign, start, at = "", 0, 0
    while at < len(text):
        if text[at] in "([`'\"":
            at = _end(text, at)
        elif text[at] in separators and _separates(text, at, start):
            parts.append((sign, text[start:at]))
            sign, start = text[at], at + 1
        at += 1
    parts.append((sign, text[start:]))
    if len(parts) > 1 and not all(part.strip() for _, part in parts):
        raise PathError(f"{separators!r} needs something on both sides")
    return parts


def _separates(text: str, at: int, start: int) -> bool:
    """Return whether an operator is one: `*` after a dot is a step, `-` within a word a letter."""
    before = text[start:at].rstrip()
    if text[at] == "|":
        return True
    if text[at] == "-":
        return bool(before) and before[-1] not in "*/+-" and text[at - 1].isspace()
    return bool(before) and not before.endswith(".")
