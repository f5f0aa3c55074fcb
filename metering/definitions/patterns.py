"""Which event types a definition is for."""

import fnmatch
import re
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

CACHED: Final = 4096  # event types; a cloud sends hundreds

T = TypeVar("T")


class PlanCache(Generic[T]):
    """What applies to an event type, worked out once; emptied when event types have no end."""

    def __init__(self, work_out: Callable[[str], T]) -> None:
        self._work_out = work_out
        self._plans: dict[str, T] = {}
        self.known = self._plans.get

    def add(self, event_type: str) -> T:
        """Work out, remember and return the plan of an event type that is not known."""
        if len(self._plans) >= CACHED:
            self._plans.clear()
        plan = self._plans[event_type] = self._work_out(event_type)
        return plan


def texts(value: Any) -> list[str] | None:
    """Return a text or a list of texts as a list, None where it is neither or empty."""
    listed = [value] if isinstance(value, str) else value
    if isinstance(listed, list) and listed and all(isinstance(x, str) and x for x in listed):
        return listed
    return None


def meter_pattern(patterns: list[str]) -> Callable[[str], bool]:
    """Return whether an event type is a meter definition's.

    A pattern is a regular expression that the event type must begin with, as in Ceilometer, so
    `volume.create.*` and `compute.instance.(?!update).*` both work; one that is none is a glob.
    """
    compiled = [_regex(pattern) for pattern in patterns]
    return lambda event_type: any(p.match(event_type) for p in compiled)


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error:
        return re.compile(fnmatch.translate(pattern))


def event_pattern(patterns: list[str]) -> Callable[[str], bool]:
    """Return whether an event type is an event definition's: globs, and `!` for what is not."""
    excluded = [_glob(p[1:]) for p in patterns if p.startswith("!")]
    included = [_glob(p) for p in patterns if not p.startswith("!")] or [_glob("*")]
    return lambda event_type: (
        any(p.match(event_type) for p in included)
        and not any(p.match(event_type) for p in excluded)
    )


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
