"""The Pub/Sub feed: messages of subscriptions, pulled as there is room for them.

Guarantee: at least once. A message is acknowledged only by `ack`, with an answer, so that exactly-once
    subscriptions are served alike; until then it is kept ours by extending its deadline, wherever in
    the job it waits. What comes again is a repeat. Messages are handed on in the order in which a
    request brings them, which is that of their ordering keys.
Errors: a service or subscription that is away or refuses us is tried again for ever, with backoff;
    `status` says what is wrong. FeedError: no credentials, no project.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from sources.backoff import pause
from sources.feed import Feed, FeedError, Payloads
from sources.pubsub_leases import Leases
from sources.pubsub_link import AwayError, Link, Pulled
from sources.pubsub_settings import PubSubSettings

_PROBE: Final = 1.0  # s that the first request, also after a failure, may wait for messages
_STEP: Final = 1.0  # s between two tries to acknowledge; leases are looked at twice as often
_EMPTY: Final = 0.05  # s between a request that brought nothing and the next


class PubSubFeed(Feed):
    """Payloads from Google Pub/Sub.

    State: no more than one answer a thread waits to be polled; a thread whose answer waits asks for
        nothing, so that a full queue of the job stops the pulling.
    """

    Settings = PubSubSettings
    settings: PubSubSettings

    def __init__(self, settings: PubSubSettings) -> None:
        super().__init__(settings)
        self._link: Link | None = None
        self._leases = Leases()
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[Payloads] = deque()
        self._stored: list[int] = []  # receipts to acknowledge
        self._errors: dict[str, str] = {}  # by subscription
        self._ack_error: str | None = None
        self._lost = 0  # messages whose acknowledgement came too late
        self._closing = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        self._work: list[Future[None]] = []

    def open(self) -> None:
        """Start pulling. Raises FeedError."""
        link = self._link = Link(self.settings)
        self._errors = {each: f"{each}: no answer yet" for each in link.subscriptions}
        count = len(link.subscriptions) * self.settings.pulls
        self._threads = ThreadPoolExecutor(count + 1, f"feed-{self.name}")
        self._work = [self._threads.submit(self._keep, link)]
        self._work += [
            self._threads.submit(self._pull, link, subscription)
            for subscription in link.subscriptions
            for _ in range(self.settings.pulls)
        ]

    def poll(self, timeout: float) -> Payloads | None:
        """Return the messages of one request, or wait for some for at most `timeout` s."""
        for thread in self._work:
            if thread.done():
                thread.result()  # raises what it ended with
                raise FeedError(f"feed {self.name} is closed")
        with self._changed:
            self._changed.wait_for(lambda: self._waiting, timeout)
            payloads = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
        return payloads

    def ack(self, receipt: int) -> None:
        """Say that everything under `receipt` is stored; a thread tells Pub/Sub."""
        with self._changed:
            self._stored.append(receipt)
            self._changed.notify_all()

    def close(self) -> None:
        """Send pending acknowledgements and give back the rest, which comes again."""
        link, self._link = self._link, None
        if link is None or self._threads is None:
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._work[0].result()  # the last acknowledgements
        for subscription, ack_ids in self._leases.ack_ids(self._leases.all()).items():
            link.extend(subscription, ack_ids, 0)
        link.close()
        self._threads.shutdown()

    def status(self) -> dict[str, Any]:
        """Return connection, trouble, and what awaits acknowledgement or was too late for it."""
        link = self._link
        with self._changed:
            errors = list(self._errors.values())
        if link is not None and not link.ready:
            errors.append("not connected")
        if self._ack_error is not None:
            errors.append(self._ack_error)
        return {
            "connected": link is not None and link.ready and not self._errors,
            "last_error": "; ".join(errors) or None if link is not None else "closed",
            "subscriptions": link.subscriptions if link else [],
            "unacknowledged": self._leases.messages(),
            "acknowledged_too_late": self._lost,
        }

    def _pull(self, link: Link, subscription: str) -> None:
        """Pull from a subscription, until the feed is closed."""
        failures, timeout = 0, _PROBE
        while not self._closing.is_set():
            try:
                pulled = link.pull(subscription, timeout)
            except AwayError as error:
                failures, timeout = failures + 1, _PROBE
                self._note(subscription, str(error))
                least, most = self.settings.backoff_min, self.settings.backoff_max
                self._closing.wait(pause(failures, least, most))
                continue
            failures, timeout = 0, self.settings.timeout
            self._note(subscription, None)
            if pulled.bodies:
                self._hand_over(subscription, pulled)
            else:
                self._closing.wait(_EMPTY)

    def _note(self, subscription: str, error: str | None) -> None:
        with self._changed:
            if error is None:
                self._errors.pop(subscription, None)
            else:
                self._errors[subscription] = error

    def _hand_over(self, subscription: str, pulled: Pulled) -> None:
        """Let `poll` have an answer, and wait until it does."""
        due = time.monotonic() + self.settings.extend_after
        receipt = self._leases.add(subscription, pulled.ack_ids, due)
        payloads = Payloads(self.name, pulled.bodies, receipt)
        with self._changed:
            self._waiting.append(payloads)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._closing.is_set() or all(one is not payloads for one in self._waiting)
            )

    def _keep(self, link: Link) -> None:
        """Acknowledge what is stored and keep the rest ours, until the feed is closed."""
        while not self._closing.is_set():
            left = self._acknowledge(link)
            self._extend(link)
            if left:
                self._closing.wait(_STEP)
                with self._changed:
                    self._stored += left
            else:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._stored or self._closing.is_set(), _STEP / 2
                    )
        self._acknowledge(link)

    def _acknowledge(self, link: Link) -> list[int]:
        """Acknowledge what is stored, and return the receipts that are to be tried again."""
        with self._changed:
            receipts, self._stored = list(dict.fromkeys(self._stored)), []
        left: set[str] = set()
        error = None
        for subscription, ack_ids in self._leases.ack_ids(receipts).items():
            refused = link.acknowledge(subscription, ack_ids)
            left |= refused.again
            self._lost += len(refused.lost)
            error = refused.error if refused.again else error
        if receipts:
            self._ack_error = error
        return self._leases.settle(receipts, left)

    def _extend(self, link: Link) -> None:
        now = time.monotonic()
        again = now + self.settings.ack_deadline / 2
        by_subscription: dict[str, list[str]] = {}
        for lease in self._leases.due(now, again):
            by_subscription.setdefault(lease.subscription, []).extend(lease.ack_ids)
        for subscription, ack_ids in by_subscription.items():
            link.extend(subscription, ack_ids, self.settings.ack_deadline)
