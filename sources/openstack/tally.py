"""What the pollers of a feed have done and what troubles them, for its status."""

import collections
import logging
import threading
from typing import Any

_log = logging.getLogger(__name__)
COUNTED = (
    *("polls", "polls_stored", "polls_skipped", "polls_failed", "samples"),
    *("calls", "retries", "calls_failed", "unreadable"),
)


class Tally:
    """Counts and troubles, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: collections.Counter[str] = collections.Counter()
        self._troubles: dict[str, str] = {}
        self._away: set[str] = set()
        self._absent: dict[str, str] = {}
        self.failure: str | None = None  # what nobody foresaw, and ended a poller

    def count(self, what: str, by: int = 1) -> None:
        """Add to one of COUNTED."""
        with self._lock:
            self._counts[what] += by

    def troubled(self, poller: str, region: str, reason: str, away: bool) -> None:
        """Note what ended a poller's last poll; `away`: the region let nobody in or did not answer."""
        with self._lock:
            self._troubles[poller] = reason
            (self._away.add if away else self._away.discard)(region)

    def well(self, poller: str, region: str) -> None:
        """Note that a poller's last poll went well."""
        with self._lock:
            self._troubles.pop(poller, None)
            self._away.discard(region)

    def absent(self, what: str, reason: str) -> None:
        """Note that something cannot be polled as it is not there; said once."""
        with self._lock:
            new = self._absent.get(what) != reason
            self._absent[what] = reason
        if new:
            _log.warning("%s is not polled: %s", what, reason)

    def present(self, what: str) -> None:
        """Note that it is there."""
        with self._lock:
            self._absent.pop(what, None)

    def status(self) -> dict[str, Any]:
        """Return all of it."""
        with self._lock:
            troubles = [f"{poller}: {why}" for poller, why in sorted(self._troubles.items())]
            more = f" (and {len(troubles) - 3} more)" if len(troubles) > 3 else ""
            return {
                "connected": not self._away,
                "last_error": "; ".join(troubles[:3]) + more or None,
                "absent": dict(sorted(self._absent.items())),
                **{name: self._counts[name] for name in COUNTED},
            }
