"""When to poll next, and how long to wait after an answer that asks for patience. Units: s."""

import math
from email.utils import parsedate_to_datetime
from typing import Final

OVERLOADED: Final = frozenset({429, 503})  # every call to the service waits
PASSING: Final = OVERLOADED | {500, 502, 504}  # the same call may succeed a little later
_LONGEST: Final = 3600.0  # s; a service asks for no longer pause than that


def following(due: float, interval: float, now: float) -> tuple[float, int]:
    """Return when the next poll is due after one of `due` that ended `now`, and how many were missed.

    What became due while it ran is skipped: polls never queue.
    """
    missed = max(0, math.floor((now - due) / interval))
    return due + (missed + 1) * interval, missed


def pause(attempt: int, least: float, most: float, chance: float) -> float:
    """Return the pause before an attempt (from 1): doubling, with jitter (`chance` in [0, 1))."""
    return min(most, least * 2.0 ** min(attempt - 1, 30)) * (0.5 + chance / 2)


def asked_pause(retry_after: str | None, now: float) -> float | None:
    """Return what a Retry-After header asks for, in seconds or as a date; None where it is neither.

    `now` is s since the epoch.
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except ValueError:
            return None
    return min(max(seconds, 0.0), _LONGEST) if math.isfinite(seconds) else None
