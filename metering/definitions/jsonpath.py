"""JSONPath over a notification's body, compiled to functions.

Plain chains of fields ($.payload.size) become direct look-ups; filters, slices and string functions
are walked natively or by jsonpath-ng; what else jsonpath-ng knows is left to it. Three things differ
from jsonpath-ng, for definitions written for Ceilometer's parser: `[*]` over an object is the object
itself, `a|b` and a bare word in a filter are no deprecated syntax, and `ctxt.x` and `metadata.x`
name the body's `_context_x` and its own fields.
Source: RFC 9535; jsonpath-ng's grammar.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from jsonpath_ng import Child, Fields, JSONPath, Root
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import ExtendedJsonPathLexer, parse
from jsonpath_ng.ext.string import DefintionInvalid

from metering.definitions.steps import Cut, Match, Step, native_step

Body = Mapping[str, Any]


class PathError(ValueError):
    """A text is no JSONPath, or a path cannot be applied to a body."""


@dataclasses.dataclass(frozen=True, slots=True)
class Path:
    """A compiled path: `find` gives every match, `first` the first value that is not null."""

    find: Callable[[Body], list[Match]]
    first: Callable[[Body], Any]
    keys: tuple[str, ...] = ()  # of a plain chain


_PLAIN: Final = re.compile(r"(?:\$\.)?([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_EACH: Final = re.compile(r"""('[^']*'|"[^"]*"|`[^`]*`)|\[\s*\*\s*\]""")
_BARE_WORD: Final = re.compile(
    r"(==?|!=)\s*(?!true\b|false\b|null\b)([A-Za-z_][\w-]*)\s*(?=[\])&|])"
)
_AND_OR_NULL: Final = re.compile(r"""('[^']*'|"[^"]*"|`[^`]*`)|&&|([=<>]\s*null\b)""")
# jsonpath-ng 1.8, the last for Python 3.10, writes "and" as one `&`; later that is deprecated.
_ONE_AND: Final = "AND" not in ExtendedJsonPathLexer.tokens
# What jsonpath-ng raises for a body that hasn't the form its path expects.
UNFIT: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def compile_simple(text: str) -> Path:
    """Compile a path without unions or arithmetic. Raises PathError."""
    plain = _PLAIN.fullmatch(text)
    if plain:
        return chain(tuple(plain[1].split(".")))
    text = re.sub(r"\[\?[^\]]*\]", lambda m: _BARE_WORD.sub(r"\1 '\2' ", m[0]), text)
    if _ONE_AND:
        text = _older(text)
    try:
        tree = parse(_EACH.sub(lambda m: m[1] or "[:]", text))
        steps = _steps(tree)
        if steps is None:
            return _library(parse(text), text)
    except (JSONPathError, DefintionInvalid, re.error, *UNFIT) as error:
        raise PathError(str(error).splitlines()[0] if str(error) else repr(error)) from error
    keys = [step for step in steps if isinstance(step, str)]
    return chain(tuple(keys)) if keys and len(keys) == len(steps) else _walk(steps)


def _older(text: str) -> str:
    """Return a path as jsonpath-ng 1.8 writes it. Raises PathError: it takes null for a text."""
    if any(found[2] for found in _AND_OR_NULL.finditer(text)):
        raise PathError("comparing with null needs Python 3.11 or newer")
    return _AND_OR_NULL.sub(lambda m: m[1] or "&", text)


def chain(keys: tuple[str, ...]) -> Path:
    """Return the path of a plain chain of fields."""
    real, text = _in_body(keys), ".".join(keys)
    getter = _getter(real)

    def find(body: Body) -> list[Match]:
        at: Any = body
        for key in real:
            if not isinstance(at, dict) or key not in at:
                return []
            at = at[key]
        return [(text, at)]

    return Path(find, getter, real)


def _in_body(keys: tuple[str, ...]) -> tuple[str, ...]:
    if len(keys) > 1 and keys[0] == "ctxt":
        return (f"_context_{keys[1]}", *keys[2:])
    if len(keys) > 1 and keys[0] == "metadata":
        return keys[1:]
    return keys


def _getter(keys: tuple[str, ...]) -> Callable[[Body], Any]:
    head, rest = keys[0], keys[1:]
    if not rest:
        return lambda body: body.get(head)
    if len(rest) == 1:
        (only,) = rest

        def second(body: Body) -> Any:
            at = body.get(head)
            return at.get(only) if isinstance(at, dict) else None

        return second

    def deep(body: Body) -> Any:
        at: Any = body.get(head)
        for key in rest:
            if not isinstance(at, dict):
                return None
            at = at.get(key)
        return at

    return deep


def _steps(tree: JSONPath) -> list[str | Step] | None:
    """Return a path as fields and native steps; None where only the library can walk it."""
    if isinstance(tree, Root):
        return []
    if isinstance(tree, Child):
        left, right = _steps(tree.left), _steps(tree.right)
        return None if left is None or right is None else left + right
    if isinstance(tree, Fields) and len(tree.fields) == 1 and tree.fields[0] != "*":
        return [str(tree.fields[0])]
    step = native_step(tree)
    return None if step is None else [step]


def _field(key: str) -> Step:
    return lambda matches: [
        (f"{path}.{key}", value[key])
        for path, value in matches
        if isinstance(value, dict) and key in value
    ]


def _walk(steps: list[str | Step]) -> Path:
    """Return the path of a chain with other steps than fields in it."""
    size = next((i for i, step in enumerate(steps) if not isinstance(step, str)), len(steps))
    head = chain(tuple(str(key) for key in steps[:size])) if size else None
    rest = [_field(step) if isinstance(step, str) else step for step in steps[size:]]

    def find(body: Body) -> list[Match]:
        matches = head.find(body) if head else [("$", body)]
        for step in rest:
            if not matches:
                break
            matches = step(matches)
        return matches

    path = of_matches(find)
    if head and len(rest) == 1 and isinstance(rest[0], Cut):
        start, cut = head.first, rest[0].cut
        return Path(path.find, lambda body: cut(start(body)))
    return path


def _library(tree: JSONPath, text: str) -> Path:
    """Leave a path to jsonpath-ng, over a body that has `ctxt` and `metadata` where it names them."""
    old_names = re.search(r"\b(ctxt|metadata)\b", text) is not None

    def find(body: Body) -> list[Match]:
        view = {**_old_form(body), **body} if old_names else body
        return [(str(found.full_path), found.value) for found in tree.find(view)]

    return of_matches(find)


def _old_form(body: Body) -> dict[str, Any]:
    mark = "_context_"
    context = {key[len(mark) :]: value for key, value in body.items() if key.startswith(mark)}
    about = {key: body[key] for key in ("message_id", "timestamp") if key in body}
    return {"ctxt": context, "metadata": about}


def of_matches(find: Callable[[Body], list[Match]]) -> Path:
    """Return the Path of a function that finds matches; what it raises becomes PathError."""

    def safe(body: Body) -> list[Match]:
        try:
            return find(body)
        except UNFIT as error:
            raise PathError(f"{type(error).__name__}: {error}") from error

    def first(body: Body) -> Any:
        return next((value for _, value in safe(body) if value is not None), None)

    return Path(safe, first)
