"""Who calls which kind of action: webhooks in the event loop, all others in threads of their own."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol
from urllib.parse import urlsplit

from metering.alarms.attempts import Outcome
from metering.alarms.transitions import Delivery
from sinks.webhook import Webhooks

_THREADS: Final = 8  # a kind


class Blocking(Protocol):
    """Calls one kind of action; used by several threads."""

    def send(self, delivery: Delivery) -> Outcome:
        """Call a delivery's action once, and wait; a failure is told, never raised."""

    def close(self) -> None:
        """Let go of what is open."""


class Senders:
    """Calls every kind of action (sinks.pool.Sender). Of one event loop."""

    def __init__(self, webhooks: Webhooks, others: Mapping[str, Blocking], agent: str) -> None:
        self._webhooks = webhooks
        self._others = others  # by scheme
        self._agent = agent
        self._threads = {name: ThreadPoolExecutor(_THREADS, f"actions-{name}") for name in others}

    async def open(self) -> None:
        """Be ready to call."""
        await self._webhooks.open(self._agent)

    async def send(self, delivery: Delivery) -> Outcome:
        """Call a delivery's action once; a failure is told, never raised."""
        scheme = urlsplit(delivery.action).scheme
        if scheme not in self._others:
            return await self._webhooks.send(delivery)
        work = self._others[scheme].send
        return await asyncio.get_running_loop().run_in_executor(
            self._threads[scheme], work, delivery
        )

    async def close(self) -> None:
        """Let go of what is open, once the calls under way have ended."""
        await self._webhooks.close()
        for name, threads in self._threads.items():
            threads.shutdown()
            self._others[name].close()


class NotConfigured:
    """Stands in for what is not configured here: says so."""

    def __init__(self, field: str) -> None:
        self._told = Outcome(f"not configured here ({field})", hopeless=True)

    def send(self, delivery: Delivery) -> Outcome:
        """Return that it is not configured."""
        return self._told

    def close(self) -> None:
        """Nothing is open."""
