"""What delivers actions in this process, as the configuration has it."""

import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jobs.keystone import keystone_of
from jobs.members import MemberWatch
from metering.alarms.book import AlarmBook
from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery
from metering.alarms.trusts import Trusts, TrustsError
from sinks.exchanges import Exchanges
from sinks.log_action import Kept, Logged
from sinks.pool import DeliveryPool
from sinks.senders import Blocking, NotConfigured, Senders
from sinks.topics import Topics
from sinks.webhook import TlsError, Webhooks
from store.client import Store

if TYPE_CHECKING:
    from sinks.trusts import Keystone


class ActionsError(Exception):
    """Actions cannot be delivered as they are configured; says what to do."""


class Delivering:
    """Where the deliveries of transitions go: to the pool, once it is started; the store has them anyway."""

    def __init__(self) -> None:
        self._pool: DeliveryPool | None = None
        self._watch: MemberWatch | None = None
        self.trusts: Trusts | None = None
        self.ended = threading.Event()

    def start(self, store: Store, settings: Actions, book: AlarmBook | None = None) -> None:
        """Start the pool; what the store has pending goes first. Raises ActionsError.

        Where there is a cloud, the book is told what its load balancers' members are like.
        """
        try:
            keystone = keystone_of(settings)
            self._pool = DeliveryPool(store, settings, senders_of(settings, keystone))
        except (TlsError, TrustsError) as error:
            raise ActionsError(str(error)) from error
        self.trusts = keystone
        self.ended = self._pool.ended
        self._pool.start()
        if keystone is not None and book is not None:
            self._watch = _watch(keystone, book, self.ended)
            self._watch.start()

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Have these delivered; they are in the store. Raises what the pool failed with."""
        if self._pool is not None:
            self._pool.offer(deliveries)

    @property
    def failure(self) -> BaseException | None:
        """What ended the pool, or the look at load balancers."""
        failures = [one.failure for one in (self._pool, self._watch) if one is not None]
        return next((one for one in failures if one is not None), None)

    def status(self) -> dict[str, Any]:
        """Return how many deliveries wait, and how many are under way."""
        return self._pool.status() if self._pool else {}

    def close(self) -> None:
        """Let the calls under way end, and write what became of them."""
        if self._watch is not None:
            self._watch.close()
        if self._pool is not None:
            self._pool.close()


def senders_of(settings: Actions, keystone: "Keystone | None" = None) -> Senders:
    """Return who calls which kind of action. Raises TlsError."""
    pubsub, amqp = settings.pubsub, settings.amqp
    others: dict[str, Blocking] = {
        "log": Logged(),
        "test": Kept(),
        "pubsub": Topics(pubsub, settings.timeout)
        if pubsub.topics
        else NotConfigured("alarms.actions.pubsub.topics"),
        "amqp": Exchanges(amqp, settings.timeout)
        if amqp.url
        else NotConfigured("alarms.actions.amqp.url"),
        "trust+heat": _orchestration(keystone),
    }
    agent = f"streamgauge/{version('streamgauge')}"
    return Senders(Webhooks(settings, keystone), others, agent)


def _watch(keystone: "Keystone", book: AlarmBook, ended: threading.Event) -> MemberWatch:
    from sinks.pool_members import PoolMembers

    return MemberWatch(book, PoolMembers(keystone), ended)


def _orchestration(keystone: "Keystone | None") -> Blocking:
    if keystone is None:
        return NotConfigured("alarms.actions.cloud")
    from sinks.orchestration import Orchestration

    return Orchestration(keystone)
