"""A process that makes transitions and delivers them, to be killed at any moment."""

import itertools
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from metering.alarms.settings import Actions
from metering.config import Database, Retention
from sinks.pool import DeliveryPool
from sinks.senders import Senders
from sinks.webhook import Webhooks
from store.alarm_states import alarm_states, mend_transitions, write_transitions
from store.client import Store
from store.deliveries import pending_deliveries
from store.migrate import migrate
from tests.delivering import AT, HERE, transition
from tests.servers.rabbitmq import wait_until

ALARMS = ("a", "b", "c")
_PATIENCE = 60.0  # s


def run(folder: Path, url: str, ours: Connection) -> None:
    """Make transitions without end, and tell the number of each that is written."""
    store, pool = _started(folder)
    states = alarm_states(store)
    last = max((one.version - AT * 1000 for one in states.values()), default=0)
    ours.send(last)
    for number in itertools.count(last + 1):
        now = time.time_ns() // 1_000_000
        made = [transition(number, one, url, at=now) for one in ALARMS]
        pool.offer(write_transitions(store, made))
        ours.send(number)
        threading.Event().wait(0.005)


def drain(folder: Path, ours: Connection) -> None:
    """Deliver what is left, and tell the number of the last transition."""
    store, pool = _started(folder)
    wait_until(lambda: not pending_deliveries(store, 0, 1)[0], "all to be delivered", _PATIENCE)
    pool.close()
    ours.send(max(one.version for one in alarm_states(store).values()) - AT * 1000)
    store.close()


def _started(folder: Path) -> tuple[Store, DeliveryPool]:
    store = Store(Database(path=folder, retention=Retention(deliveries=None)))
    migrate(store)
    mend_transitions(store)
    settings = Actions(allow=HERE, timeout=0.5, backoff_min=0.02, backoff_max=0.1)
    pool = DeliveryPool(store, settings, Senders(Webhooks(settings), {}, "courier"))
    pool.start()
    return store, pool
