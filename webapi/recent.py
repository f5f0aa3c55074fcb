"""Answers that may be a moment old, kept by question: many who ask at once are one who asks.

State: an answer each question, until it is too old or there are too many.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from cachetools import TLRUCache

from store.queries.run import Query

_MOST: Final = 1000  # questions


class Recent:
    """Rows that questions were answered with in the last `seconds`. Safe from any thread."""

    def __init__(
        self, seconds: float = 1.0, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When they were asked for, and the rows: how long an answer took makes it no younger.
        self._kept: TLRUCache[str, tuple[float, list[dict[str, Any]]]] = TLRUCache(
            most, lambda _, answer, now: answer[0] + seconds, clock
        )

    def rows(
        self, query: Query, ask: Callable[[Query], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return a question's rows as answered a moment ago, or ask. They are not to be changed."""
        question = repr(query.to_sql())
        with self._lock:
            answer = self._kept.get(question)
        if answer is None:
            answer = self._clock(), ask(query)
            with self._lock:
                self._kept[question] = answer
        return answer[1]
