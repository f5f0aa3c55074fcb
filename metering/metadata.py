"""Resource metadata, flattened to one canonical text.

Shape: nested mappings -> JSON text of one flat object: dotted keys, sorted, no spaces; values are
    numbers, booleans, null or text; a list is its own JSON text. "{}" where there is none.
Guarantee: equal by value gives equal text, whatever the order of keys (1 = 1.0).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_DEPTH: Final = 32  # nested deeper, the rest is kept as its JSON text
_LIST_DEPTH: Final = 100  # the JSON writer takes 254 levels
_INT64: Final = 2**63
_NOT_CANONICAL: Final = re.compile(r"\.0[,\]}]|\de[+\d]")  # a float in a list that may equal an int


def flatten(metadata: Mapping[Any, Any]) -> str:
    """Return the canonical text of a metadata mapping."""
    flat: dict[str, Any] = {}
    if _flatten_into(flat, "", metadata, 1) != len(flat):
        return _settle(metadata)
    try:
        return orjson.dumps(flat, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return _settle(metadata)


def _flatten_into(flat: dict[str, Any], prefix: str, values: Mapping[Any, Any], depth: int) -> int:
    """Add leaves to `flat`; return how many there were, more than were added where keys collide."""
    count = len(values)
    for key, value in values.items():
        name = prefix + key if type(key) is str else prefix + _key_text(key)
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            flat[name] = value
        elif isinstance(value, Mapping) and value and depth < _DEPTH:
            count += _flatten_into(flat, f"{name}.", value, depth + 1) - 1
        elif isinstance(value, Mapping) and not value:
            count -= 1  # an empty mapping has no leaves
        elif kind is float:
            flat[name] = _number(value)
        else:
            flat[name] = json_text(value)
    return count


def _settle(metadata: Mapping[Any, Any]) -> str:
    """Flatten what the fast way cannot: colliding keys, huge integers, lone surrogates."""
    leaves: list[tuple[str, bytes]] = []

    def collect(prefix: str, values: Mapping[Any, Any], depth: int) -> None:
        for key, value in values.items():
            flat: dict[str, Any] = {}
            name = clean_text(prefix + _key_text(key))
            if isinstance(value, Mapping) and depth < _DEPTH:
                collect(f"{name}.", value, depth + 1)
            elif _flatten_into(flat, "", {name: value}, _DEPTH):
                leaves.append((name, orjson.dumps(_plain(flat[name], 0))))

    collect("", metadata, 1)
    chosen = {name: orjson.Fragment(text) for name, text in sorted(leaves)}
    return orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS).decode()


def clean_text(text: str) -> str:
    """Return text that UTF-8 can carry: a lone surrogate becomes its escape (\\ud800)."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def json_text(value: Any) -> str:
    """Return the canonical JSON text of any JSON value, whatever is in it."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        text = ""
    if text and not _NOT_CANONICAL.search(text):
        return text
    return orjson.dumps(_plain(value, 0), option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: Any, depth: int) -> Any:
    """Return a value that the JSON writer takes, numbers in one form, cut where too deep."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if depth >= _LIST_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {clean_text(_key_text(k)): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, depth + 1) for v in value]
    return clean_text(str(value))


def _number(value: float) -> Any:
    """Return a number in its canonical form: whole ones as int where 64 bits hold them."""
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return value
        try:
            return float(value)
        except OverflowError:
            return hex(value)  # str() of it may be refused for its length
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return int(value) if value.is_integer() and abs(value) < _INT64 else value


def _key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    return json_text(key) if key is None or isinstance(key, bool | int | float) else str(key)
