"""A delivery pool for tests: over a store, with a clock that is moved by hand."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery, Transition
from sinks.pool import DeliveryPool
from sinks.senders import Blocking, Senders
from sinks.webhook import Tokens, Webhooks
from store.alarm_states import write_transitions
from store.client import Store
from tests.servers.rabbitmq import wait_until

AT = 4_000_000_000_000  # ms; so late that nothing of it is too old to be kept
HERE = ["127.0.0.0/8", "::1/128"]


class Clock:
    """A time in ms that stands still."""

    def __init__(self, now: int = AT) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Bench:
    """A store, a pool over it, and its clock."""

    def __init__(
        self,
        store: Store,
        others: Mapping[str, Blocking] | None = None,
        tokens: Tokens | None = None,
        **settings: Any,
    ) -> None:
        self.store = store
        self.tokens = tokens
        self.clock = Clock()
        self.settings = Actions(**{"allow": HERE, "timeout": 20.0} | settings)
        self.others = others or {}
        self.pool = self._pool()

    def _pool(self) -> DeliveryPool:
        senders = Senders(Webhooks(self.settings, self.tokens), self.others, "streamgauge/test")
        return DeliveryPool(self.store, self.settings, senders, self.clock)

    def again(self) -> None:
        """Let another pool take over, as after a restart."""
        self.pool.close()
        self.pool = self._pool()
        self.pool.start()

    def pass_(self, seconds: float) -> None:
        """Move the clock, and have it looked at."""
        self.clock.now += int(seconds * 1000)
        self.pool.wake()

    def change(self, *transitions: Transition) -> list[Delivery]:
        """Write transitions, and offer their deliveries to the pool."""
        deliveries = write_transitions(self.store, transitions)
        self.pool.offer(deliveries)
        return deliveries

    def rows(self, columns: str, table: str = "deliveries") -> list[tuple[Any, ...]]:
        """Return what the store says, in the order of the columns."""
        sql = f"SELECT {columns} FROM {self.store.name}.{table} FINAL ORDER BY ALL"
        return [tuple(row) for row in self.store.query(sql).result_rows]

    def states(self) -> dict[str, int]:
        """Return how many deliveries are in each state."""
        return dict(Counter(state for (state,) in self.rows("state::String")))

    def await_rows(self, columns: str, wanted: list[tuple[Any, ...]]) -> None:
        """Wait until the store says that of deliveries."""
        wait_until(lambda: self.rows(columns) == wanted, f"{columns} to be {wanted}")

    def await_states(self, **counts: int) -> None:
        """Wait until so many deliveries are in each state."""
        wait_until(lambda: self.states() == counts, f"states to be {counts}")

    def await_attempts(self, count: int) -> None:
        """Wait until so many attempts are on record."""
        wait_until(lambda: len(self.rows("*", "delivery_attempts")) >= count, f"{count} attempts")


@contextlib.contextmanager
def delivering(
    store: Store,
    others: Mapping[str, Blocking] | None = None,
    tokens: Tokens | None = None,
    **settings: Any,
) -> Iterator[Bench]:
    """Give a bench whose pool runs."""
    bench = Bench(store, others, tokens, **settings)
    bench.pool.start()
    try:
        yield bench
    finally:
        bench.pool.close()
    assert bench.pool.failure is None


def transition(
    number: int, alarm: str = "a", *actions: str, at: int = AT, **fields: Any
) -> Transition:
    """Return an alarm's so manieth transition: to alarm, to ok, to alarm, ..."""
    states = ("ok", "alarm")
    plain: dict[str, Any] = {
        "alarm_id": alarm,
        "alarm_name": f"the alarm {alarm}",
        "project_id": "p",
        "severity": "low",
        "previous": states[(number + 1) % 2],
        "current": states[number % 2],
        "reason": f"transition {number}",
        "reason_data": {"type": "threshold", "count": 1, "most_recent": 2.5, "number": number},
        "at": at,
        "version": AT * 1000 + number,
        "actions": actions,
    }
    return Transition(**plain | fields)
