"""The pool that delivers, outside of the stream: a slow receiver slows nothing but its own deliveries.

Guarantee: at least once, in order per alarm and receiver (metering.alarms.backlog). A delivery is in the
    store before it is called; what a crash left, and what is too much for memory, is read from there.
State: a bounded number of deliveries a receiver; one thread with an event loop.
Errors: a call that fails is repeated, with backoff and jitter, until the delivery is dead. What is
    unforeseen ends the pool; `offer` raises it to the job then.
"""

import asyncio
import collections
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import prometheus_client

from metering.alarms.attempts import Outcome, attempted
from metering.alarms.backlog import Backlog
from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery
from sinks.ledger import Ledger
from sources.backoff import pause
from store.client import Store
from transforms.counters import count

_BREATH: Final = 0.25  # s between two writes of the ledger at the least
_LOOK: Final = 60_000  # ms between two looks into the store, where nothing is missing
_GRACE: Final = 5.0  # s that calls under way may still take when the pool is closed
_LOOKUPS: Final = 64  # names looked up at once
_NEVER: Final = 2**63
_waiting: Final = prometheus_client.Gauge(
    "streamgauge_deliveries_waiting", "deliveries in memory that wait or are under way"
)


class Sender(Protocol):
    """Calls actions, many at once, in the event loop it is opened in."""

    async def open(self) -> None:
        """Be ready to call."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Call a delivery's action once; a failure is told, never raised."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what is open."""


def _now() -> int:
    return time.time_ns() // 1_000_000


class DeliveryPool:
    """Delivers what it is offered, and what the store has pending.

    `clock` gives the time in ms; `wake` makes the pool look at it again.
    """

    def __init__(
        self, store: Store, settings: Actions, sender: Sender, clock: Callable[[], int] = _now
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._clock = clock
        self._backlog = Backlog(settings.at_once, settings.at_once_a_host, settings.kept_a_host)
        self._ledger = Ledger(store)
        self._inbox: collections.deque[Delivery] = collections.deque()
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._looked_at: int | None = None  # ms
        self._crash: BaseException | None = None  # of a task
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()  # guards _loop
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)
        self.failure: BaseException | None = None
        self.ended = threading.Event()

    def start(self) -> None:
        """Start delivering, the pending ones of the store first."""
        self._thread.start()

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Deliver these soon; they are in the store. Raises what the pool failed with."""
        if self.failure is not None:
            raise self.failure
        if self._thread.is_alive():  # else it finds them in the store once it is started
            self._inbox.extend(deliveries)
            self.wake()

    def wake(self) -> None:
        """See what is due now."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        """Let calls under way end, but not for long, and write what became of them."""
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._ledger.close()

    def status(self) -> dict[str, Any]:
        """Return how many deliveries in memory wait, and how many are under way."""
        under_way = self._backlog.under_way
        return {"waiting": len(self._backlog) - under_way, "under_way": under_way}

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - raised to the job by `offer`
            self.failure = error
        finally:
            self.ended.set()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_LOOKUPS, "lookup"))
        with self._lock:
            self._loop = loop
        try:
            await self._sender.open()
            await self._until_stopped()
        finally:
            with self._lock:
                self._loop = None
            await self._sender.close()

    async def _until_stopped(self) -> None:
        books = self._begin(self._keep_books())
        try:
            while not self._stopping:
                if self._crash is not None:
                    raise self._crash
                if self._looked_at is not None:  # what the store has goes first
                    self._take_in()
                    for delivery in self._backlog.start(self._clock()):
                        self._calls.add(self._begin(self._call(delivery)))
                await self._rest()
        finally:
            books.cancel()
            await self._settle_up()

    def _take_in(self) -> None:
        while self._inbox:
            delivery = self._inbox.popleft()
            if delivery.version:
                self._backlog.put(delivery)  # sent again by hand
            elif not self._ledger.has_settled(delivery):
                self._backlog.add([delivery])

    async def _rest(self) -> None:
        """Wait until something has changed or is due."""
        if self._is_look_due():
            self._ledger.noted.set()
        _waiting.set(len(self._backlog))
        until = min(self._backlog.next_at() or _NEVER, self._clock() + _LOOK)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max(0, until - self._clock()) / 1000)
        self._changed.clear()

    async def _call(self, delivery: Delivery) -> None:
        """Make one attempt."""
        began = time.monotonic()
        outcome = await self._sender.send(delivery)
        seconds = round(time.monotonic() - began, 3)
        wait = pause(delivery.attempts + 1, self._settings.backoff_min, self._settings.backoff_max)
        after, attempt = attempted(
            delivery, outcome, self._clock(), seconds, wait, self._settings.give_up_after
        )
        self._backlog.finish(after)
        self._ledger.note(after, attempt)
        count(f"deliveries_{after.state if after.state != 'pending' else 'failed'}")
        self._changed.set()

    async def _keep_books(self) -> None:
        while True:
            await self._ledger.write()
            if self._is_look_due():
                await self._look()
            await asyncio.sleep(_BREATH)
            await self._ledger.noted.wait()

    def _is_look_due(self) -> bool:
        return (
            self._looked_at is None
            or self._backlog.is_short
            or self._clock() - self._looked_at >= _LOOK
        )

    async def _look(self) -> None:
        """Take what the store has pending: at first all of it, later what is not dead by its age."""
        now = self._clock()
        since = 0 if self._looked_at is None else now - int(self._settings.give_up_after * 1000)
        found, whole = await self._ledger.pending(since, self._settings.kept_a_host)
        self._backlog.fill(found, whole, self._ledger.has_settled)
        self._looked_at = now
        self._changed.set()

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._calls.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._crash = task.exception()
            self._changed.set()

    async def _settle_up(self) -> None:
        """Let calls end and write what became of them; what is not written is delivered again."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_GRACE)
        left = list(self._calls)
        for call in left:
            call.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ledger.write(), _GRACE)
