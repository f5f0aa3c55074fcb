"""Answers that may be a moment old, kept by question: many who ask at once are one who asks.

State: an answer each question, until it is too old or there are too many.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from store.queries.run import Query

_MOST: Final = 1000  # questions


class Recent:
    """Rows that questions were answered with in the last `seconds`. Safe from any thread."""

    def __init__(
        self, seconds: float = 1.0, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, list[dict[str, Any]]]] = OrderedDict()

    def rows(
        self, query: Query, ask: Callable[[Query], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Return a question's rows as answered a moment ago, or ask. They are not to be changed."""
        question = repr(query.to_sql())
        now = self._clock()
        with self._lock:
            until, rows = self._kept.get(question, (now, []))
        if now < until:
            return rows
        rows = ask(query)
        with self._lock:
            self._kept[question] = (now + self._seconds, rows)
            self._kept.move_to_end(question)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return rows
