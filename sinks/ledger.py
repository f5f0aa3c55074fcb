"""What became of deliveries, written to the store behind the calls.

Guarantee: in the order in which calls ended; an attempt that a crash left unwritten is made again, with
    the same number. What is asked of the store tells everything written before.
Errors: a store that is away is tried again with backoff for ever.
"""

import asyncio
import collections
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import tenacity

from metering.alarms.transitions import Attempt, Delivery
from store.client import Store, StoreAwayError
from store.deliveries import pending_deliveries, write_attempts
from transforms.counters import count

_REMEMBERED: Final = 10_000  # settled deliveries

_T = TypeVar("_T")


class Ledger:
    """Attempts to be written. Of one event loop; the store is asked in a thread of its own.

    State: settled deliveries until they are written, and a while longer.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._unwritten: list[tuple[Delivery, Attempt]] = []
        self._settled: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.noted = asyncio.Event()

    def note(self, after: Delivery, attempt: Attempt) -> None:
        """Take an attempt, and the delivery as it is after it."""
        self._unwritten.append((after, attempt))
        if after.state != "pending":
            self._settled[after.id] = after.version
        self.noted.set()

    def has_settled(self, delivery: Delivery) -> bool:
        """Return whether a delivery as it is here was settled lately."""
        return self._settled.get(delivery.id, -1) >= delivery.version

    async def write(self) -> None:
        """Write all that was noted."""
        self.noted.clear()
        made = list(self._unwritten)
        if made:
            await self._insistently(lambda: write_attempts(self._store, made))
            del self._unwritten[: len(made)]
        while len(self._settled) > max(_REMEMBERED, len(self._unwritten)):
            self._settled.popitem(last=False)

    async def pending(self, since: int, each: int) -> tuple[list[Delivery], bool]:
        """Return what the store has pending (store.deliveries.pending_deliveries)."""
        return await self._insistently(lambda: pending_deliveries(self._store, since, each))

    def close(self) -> None:
        """Wait for the write under way."""
        self._thread.shutdown()

    async def _insistently(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(StoreAwayError),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            before_sleep=lambda _: count("write_retries"),
            reraise=True,
        ):
            with attempt:
                return await loop.run_in_executor(self._thread, work)
        raise AssertionError("tenacity ends with a result or an error")
