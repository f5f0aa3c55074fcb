"""What the service says of itself: counts, rates, lag, feeds, the last error."""

import time
from collections import deque
from typing import Any, Final

from jobs.embedded import EmbeddedJob
from jobs.resources import Resources
from transforms.counters import counted

_SPAN: Final = 5.0  # s; over which rates are taken
_COUNTED: Final = (
    "payloads", "samples", "events", "invalid", "repeats", "conflicts", "set_aside", "write_retries",
)  # fmt: skip


class Status:
    """Takes the counters' state whenever asked, and rates from it."""

    def __init__(self, held: Resources, job: EmbeddedJob, version: str) -> None:
        self._held = held
        self._job = job
        self._version = version
        self._started = time.time()
        self._seen: deque[tuple[float, int, int]] = deque([(time.monotonic(), 0, 0)])

    def __call__(self) -> dict[str, Any]:
        """Return the status, as `GET /v1/status` answers it."""
        totals = {name: counted(name) for name in _COUNTED}
        hub = self._held.hub.status()
        samples, payloads = self._rates(totals["samples"], totals["payloads"])
        return {
            "version": self._version,
            "uptime_seconds": round(time.time() - self._started, 1),
            "running": not self._job.ended.is_set(),
            "samples_per_second": round(samples, 1),
            "payloads_per_second": round(payloads, 1),
            "last_error": self._last_error(hub["feeds"]),
            **totals,
            "deliveries": self._held.delivering.status(),
            **hub,
        }

    def _rates(self, samples: int, payloads: int) -> tuple[float, float]:
        now = time.monotonic()
        while len(self._seen) > 1 and now - self._seen[1][0] >= _SPAN:
            self._seen.popleft()
        self._seen.append((now, samples, payloads))
        then, samples_then, payloads_then = self._seen[0]
        passed = max(now - then, 1e-3)
        return (samples - samples_then) / passed, (payloads - payloads_then) / passed

    def _last_error(self, feeds: dict[str, Any]) -> str | None:
        if self._job.failure is not None:
            return str(self._job.failure).strip().splitlines()[-1]
        if self._held.store.last_error:
            return self._held.store.last_error
        errors = [
            f"{name}: {feed['last_error']}" for name, feed in feeds.items() if feed["last_error"]
        ]
        return "; ".join(errors) or None
