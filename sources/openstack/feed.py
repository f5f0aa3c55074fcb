"""The openstack feed: samples polled from the APIs of OpenStack clouds.

Guarantee: what was acknowledged is stored; what had been read and not yet stored when the process
    ended is lost, as only now can be read, and everything is polled anew at once. Each sample is a
    reading at its own time, with an id made of what it says: none is ever counted twice.
"""

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

from sources.feed import Feed, FeedError, FeedSettings, Payloads
from sources.openstack.outbox import Outbox
from sources.openstack.settings import OpenStackSettings
from sources.openstack.tally import Tally

if TYPE_CHECKING:
    from sources.openstack.plan import Plan

_PATIENCE = 5.0  # s; for pollers to notice that they are stopped


class OpenStackFeed(Feed):
    """Every kind of resource of every region, polled by a thread each."""

    Settings: ClassVar[type[FeedSettings]] = OpenStackSettings
    settings: OpenStackSettings

    def __init__(self, settings: OpenStackSettings) -> None:
        super().__init__(settings)
        self._tally = Tally()
        self._stopping = threading.Event()
        self._outbox = Outbox(self.name)
        self._plan: Plan | None = None
        self._threads: list[threading.Thread] = []

    def open(self) -> None:
        """Read the files, and start polling. Raises FeedError."""
        from sources.openstack.plan import Plan  # with openstacksdk, which takes a second

        self._plan = Plan(self.settings, self._tally, self._stopping)
        self._threads = [
            poller.start(self.settings, self._outbox, self._tally, self._stopping)
            for poller in self._plan.pollers
        ]

    def poll(self, timeout: float) -> Payloads | None:
        """Return what was polled meanwhile. Raises FeedError where a poller ended by itself."""
        if self._tally.failure is not None:
            raise FeedError(self._tally.failure)
        return self._outbox.take(timeout)

    def ack(self, receipt: int) -> None:
        """Say that these samples are stored."""
        self._outbox.ack(receipt)

    def close(self) -> None:
        """Stop polling; calls under way are left to their end."""
        self._stopping.set()
        self._outbox.stop()
        for region in self._plan.regions if self._plan else ():
            region.close()
        ends = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        self._threads.clear()

    def status(self) -> dict[str, Any]:
        """Return what has been polled, what is not there, and what went wrong."""
        return {
            **self._tally.status(),
            "polls_stored": self._outbox.stored,
            "waiting_bytes": self._outbox.waiting,
            "not_polled": self._plan.not_polled if self._plan else [],
        }
