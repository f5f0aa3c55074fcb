"""The plugins a definition can name: from what its fields matched to the value it wants.

Shape: [(path, value)], nulls left out -> values. Each is made of its parameters; a wrong one raises
ValueError or TypeError when the file is read.
"""

from collections.abc import Callable
from typing import Any, Final

from metering.definitions.steps import Match
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

Plugin = Callable[[list[Match]], list[Any]]


def split(separator: str = ".", segment: int = 0, max_split: int | None = None) -> Plugin:
    """Return one segment of a text cut at a separator; nothing where it has too few."""
    if not isinstance(separator, str) or not separator:
        raise ValueError("separator must be text")
    at, cuts = _whole("segment", segment), _whole("max_split", max_split, default=-1)

    def values(matches: list[Match]) -> list[Any]:
        cut = [str(value).split(separator, cuts) for _, value in matches]
        return [parts[at] for parts in cut if -len(parts) <= at < len(parts)]

    return values


def bitfield(initial_bitfield: int = 0, flags: list[dict[str, Any]] | None = None) -> Plugin:
    """Return a number whose bits say which flags' fields are there (and have the flag's value)."""
    start = _whole("initial_bitfield", initial_bitfield)
    wanted = [_flag(flag) for flag in flags or []]

    def values(matches: list[Match]) -> list[Any]:
        found = dict(matches)
        bits = start
        for path, bit, flag in wanted:
            if path in found and ("value" not in flag or found[path] == flag["value"]):
                bits |= bit
        return [bits]

    return values


def _flag(flag: Any) -> tuple[str, int, dict[str, Any]]:
    if not isinstance(flag, dict) or not {"path", "bit"} <= flag.keys():
        raise ValueError("a flag needs path and bit")
    bit = _whole("bit", flag["bit"])
    if not 0 <= bit < 63:
        raise ValueError("bit must be from 0 to 62")
    return str(flag["path"]).removeprefix("$."), 1 << bit, flag


def timedelta() -> Plugin:
    """Return the seconds between two times, never negative; nothing unless both are there."""

    def values(matches: list[Match]) -> list[Any]:
        if len(matches) != 2:
            return []
        try:
            start, end = (parse_ms(value) for _, value in matches)
        except RefusedError:
            return []  # services write "" or "N/A" for a time not known
        return [abs(end - start) / 1000]

    return values


def mapped(
    values: dict[Any, Any] | None = None, default: Any = None, case_sensitive: bool = True
) -> Plugin:
    """Return what a value stands for in a table, or the default."""
    if not isinstance(values, dict) or not values:
        raise ValueError("values must be a mapping")

    def folded(key: Any) -> Any:
        return key.casefold() if isinstance(key, str) and not case_sensitive else key

    table = {folded(key): value for key, value in values.items()}

    def look_up(matches: list[Match]) -> list[Any]:
        return [
            default if isinstance(value, list | dict) else table.get(folded(value), default)
            for _, value in matches
        ]

    return look_up


def slug() -> Plugin:
    """Return texts in lower case with underscores for spaces."""
    return lambda matches: [str(value).lower().replace(" ", "_") for _, value in matches]


PLUGINS: Final[dict[str, Callable[..., Plugin]]] = {
    "split": split,
    "bitfield": bitfield,
    "timedelta": timedelta,
    "map": mapped,
    "slug": slug,
}
MANY: Final = frozenset({"split", "map", "slug"})  # give a value for each match, so fit a look-up


def _whole(name: str, value: Any, default: int = 0) -> int:
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a whole number") from error
