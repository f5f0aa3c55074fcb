"""The API alone, beside a job that runs elsewhere: on a Flink cluster, or in a process of its own.

`streamgauge api`. The database is a server's, which both reach: what is asked for is read there, and
definitions of alarms are written there, where the job reads them on its ticks.
Errors: ApiError; ConfigError where it cannot be meant so.
"""

import logging
import threading
import time
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any, Final

from jobs import feeds
from jobs.alarming import Trials
from jobs.faults import ConfigError
from jobs.forwarding import Tell
from jobs.keystone import keystone_of
from jobs.pushes import Forwarded, Untaken, pushes_of
from jobs.restate import Restater
from jobs.signals import stopped_by_signals
from jobs.web import serve_web
from metering.alarms.trusts import TrustsError
from metering.config import Config
from metering.timestamps import iso
from sources.feed import FeedError
from store.client import Store, StoreAwayError, StoreError
from store.migrate import check_schema
from store.newest_sample import newest_sample
from webapi.alarming import Alarming
from webapi.app import create_app
from webapi.serving import ServingError

_ONE_PROCESS: Final = (
    "database.url: the API alone needs a ClickHouse server, and none is set: the embedded engine of"
    " database.path belongs to one process; set it, or start `streamgauge run`, which serves the API, too"
)


class ApiError(Exception):
    """The API cannot start or go on; says what to do."""


class Status:
    """What this process knows: the store, and its own pushes."""

    def __init__(self, store: Store, pushes: Forwarded | Untaken) -> None:
        self._store = store
        self._pushes = pushes
        self._started = time.time()

    def __call__(self) -> dict[str, Any]:
        """Return the status, as `GET /v1/status` answers it."""
        pushes = self._pushes.status()
        errors = {
            name: feed["last_error"] for name, feed in pushes["feeds"].items() if feed["last_error"]
        }
        newest = None
        try:
            newest = newest_sample(self._store)
        except StoreAwayError as error:
            errors["store"] = str(error)
        told = [f"{name}: {error}" for name, error in errors.items()]
        return {
            "version": version("streamgauge"),
            "uptime_seconds": round(time.time() - self._started, 1),
            "job": "not in this process",
            "newest_sample": None if newest is None else iso(newest),
            "last_error": "; ".join(told) or None,
            **pushes,
        }


def run_api(config: Config, feed: str | None, tell: Tell) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. Raises ApiError, ConfigError.

    Pushes go to the queue of that `rabbitmq` feed of the configuration, or of its only one.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if config.database.url is None:
        raise ConfigError([_ONE_PROCESS])
    pushes = pushes_of(config, feed, tell)
    stop = threading.Event()
    with stopped_by_signals(stop), ExitStack() as open_things:
        try:
            _open(config, pushes, open_things)
        except (StoreError, FeedError, TrustsError, ServingError) as error:
            raise ApiError(str(error)) from error
        _tell(config, pushes, tell)
        while not (stop.wait(0.2) or pushes.ended.is_set()):
            pass
        tell("stopping: forwarding what was pushed")
    if pushes.failure is not None:
        raise ApiError(f"pushes are not forwarded any more: {pushes.failure}") from pushes.failure
    tell("stopped")
    return 0


def _open(config: Config, pushes: Forwarded | Untaken, open_things: ExitStack) -> None:
    store = Store(config.database)
    open_things.callback(store.close)
    check_schema(store)
    alarming = _alarming(config, store)
    pushes.start()
    open_things.callback(pushes.close)
    status = Status(store, pushes)
    app = create_app(config, store, pushes, status, Restater(config, store), alarming)
    serve_web(config, app, store, open_things)


def _alarming(config: Config, store: Store) -> Alarming:
    """Return what is done about alarms from here; what is sent again the job finds in the store."""
    trials = Trials(store, feeds.lag(config), lambda: _watermark(config, store))
    return Alarming(keystone_of(config.alarms.actions), trials.dry_run, trials.explain)


def _watermark(config: Config, store: Store) -> int | None:
    """Return what the job's watermark (ms) is about, by the newest sample; the job alone knows it."""
    newest, now = newest_sample(store), time.time_ns() // 1_000_000
    if newest is None:
        return None
    idle = now - newest >= feeds.idle_after(config)
    return (now if idle else min(newest, now)) - feeds.lag(config)


def _tell(config: Config, pushes: Forwarded | Untaken, tell: Tell) -> None:
    url = f"http://{config.api.listen}"
    tell(f"Streamgauge {version('streamgauge')} serves the API; the job runs elsewhere.")
    tell(f"  API          {url}/v2/meters   (and {url}/openapi.json)")
    tell(f"  pushes       {pushes.where or 'refused, as there is no rabbitmq feed'}")
