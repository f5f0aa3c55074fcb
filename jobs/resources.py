"""What a process of the job holds open: its feeds, its store. One of each a configuration.

The pipeline carries the configuration only; every process that runs a part of it opens its own.
"""

import dataclasses
import functools
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from jobs import feeds
from jobs.actions import Delivering
from jobs.pipeline import Parts
from metering.alarms.book import AlarmBook
from metering.alarms.transitions import Delivery
from metering.config import Config
from metering.conflicts import Stored
from metering.contested import AwaitedIds, IdContents
from metering.derived.deriver import Deriver
from metering.derived.pipeline_file import read_pipeline
from metering.draft import Draft
from metering.elements import CommonTick, LeastWatermark, Payloads, Watermark
from metering.places import Place, Places
from metering.repeats import Sieve
from metering.usage.again import Past
from metering.usage.rules import UsageRules
from metering.usage.windows import UsageWindows
from sinks.clickhouse import Outlet
from sinks.latest import LatestWriter
from sinks.writer import Writer
from sources.hub import Hub
from sources.spool import SpoolFeed, SpoolSettings
from store.alarm_shelf import AlarmShelf
from store.alarm_states import mend_transitions
from store.client import Store
from store.derived import recalled_deriver
from store.history import history
from store.incumbents import incumbents
from store.latest import catch_up_latest
from store.migrate import check_schema, migrate
from store.recall import recalled_ids, recalled_sieve
from store.usage import recalled_windows, stored_final_until, stored_usage
from store.usage_since import keep_usage_since
from transforms.usage import Telling

# What the steps of a place begin with; nothing of it is in the store.
OF_PLACE: Final[dict[str, Callable[[], Any]]] = {
    "reached": LeastWatermark,
    "telling": Telling,
    "common": CommonTick,
    "common_of_places": CommonTick,
    "waiting": list,
    "awaited": AwaitedIds,
}


@dataclasses.dataclass(frozen=True)
class Resources:
    """Open feeds and store, who writes to it, and the series (TOUCHED) that were restated."""

    config: Config
    spool: SpoolFeed
    store: Store
    writer: Writer
    latest: LatestWriter
    restated: "queue.SimpleQueue[pa.Table]" = dataclasses.field(default_factory=queue.SimpleQueue)
    delivering: Delivering = dataclasses.field(default_factory=Delivering)

    @functools.cached_property
    def hub(self) -> Hub:
        """All feeds, opened when they are first asked for. Raises FeedError, ConfigError."""
        hub = Hub([self.spool, *feeds.build(self.config)], self.config.job.queue_bytes)
        hub.open()
        return hub

    @functools.cached_property
    def alarms(self) -> AlarmBook:
        """The alarms of this process, as the store has them."""
        return self._book(ahead=False)

    @functools.cached_property
    def alarms_apart(self) -> AlarmBook:
        """The same where other processes write samples."""
        return self._book(ahead=True)

    def _book(self, ahead: bool) -> AlarmBook:
        writer, run = self.writer, uuid.uuid4().hex
        shelf = AlarmShelf(self.store, writer.flush, writer.write, _now, run, self.lag)
        return AlarmBook(shelf, round(self.config.alarms.repeat * 1000), _now(), ahead)

    @property
    def lag(self) -> int:
        """How far (ms) the watermark is behind the clock while all feeds are read."""
        return feeds.lag(self.config)

    def close(self) -> None:
        """Close all, and forget them."""
        self.writer.close()
        if "hub" in vars(self):
            self.hub.close()
        self.store.close()
        with _lock:
            _opened.pop(_key(self.config), None)


_opened: dict[str, Resources] = {}
_lock = threading.Lock()


def resources(config: Config, prepared: bool = False) -> Resources:
    """Return this process's resources for a configuration, opened at first use. Raises StoreError.

    A store that was `prepared` for several processes is left as it is.
    """
    with _lock:
        key = _key(config)
        if key not in _opened:
            _opened[key] = _open(config, prepared)
        return _opened[key]


def prepare(store: Store, config: Config) -> None:
    """Make a store ready for the job, before it starts; one process at a time. Raises StoreError."""
    migrate(store)
    keep_usage_since(store, config.usage.periods)


def parts(config: Config) -> Parts:
    """Return what the pipeline asks this process for."""
    return Parts(
        hub=functools.partial(_hub, config),
        acknowledge=functools.partial(_acknowledge, config),
        outlet=functools.partial(_outlet, config),
        ids=functools.partial(_ids, config),
        sieve=functools.partial(_sieve, config),
        incumbents=functools.partial(_incumbents, config),
        final_until=functools.partial(_final_until, config),
        restated=functools.partial(_restated, config),
        usage_windows=functools.partial(_usage_windows, config),
        past=functools.partial(_past, config),
        deriver=functools.partial(_deriver, config),
        history=functools.partial(_samples_since, config),
        alarms=functools.partial(_alarms, config),
        offer=functools.partial(_offer, config),
        places=Places(config.job.shards),
        watermark=Watermark,
        **{name: functools.partial(_begun, make) for name, make in OF_PLACE.items()},
    )


def _begun(make: Callable[[], Any], _place: Place) -> Any:
    return make()


def _open(config: Config, prepared: bool) -> Resources:
    store = Store(config.database)
    if prepared:
        check_schema(store)
    else:
        prepare(store, config)
        catch_up_latest(store)
        mend_transitions(store)
    spool = SpoolFeed(SpoolSettings(name=feeds.RESERVED, **config.spool.model_dump()))
    return Resources(config, spool, store, Writer(), LatestWriter(store))


def _key(config: Config) -> str:
    return config.model_dump_json()


def _hub(config: Config, _reader: int) -> Hub:
    return resources(config).hub


def _acknowledge(config: Config, _reader: int, taken: list[Payloads]) -> None:
    if taken:
        held = resources(config)
        held.writer.then(lambda: held.hub.ack(taken))


def _outlet(config: Config) -> Outlet:
    held = resources(config)
    return Outlet(held.store, held.writer, held.latest)


def _alarms(config: Config) -> AlarmBook:
    return resources(config).alarms


def _offer(config: Config, deliveries: Sequence[Delivery]) -> None:
    resources(config).delivering.offer(deliveries)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _sieve(config: Config, place: Place) -> Sieve:
    held, job = resources(config), config.job
    ids = job.remembered_ids // place.count
    return recalled_sieve(held.store, ids, job.lateness, int(time.time()), place)


def _ids(config: Config) -> IdContents:
    held, job = resources(config), config.job
    return recalled_ids(held.store, job.remembered_ids, job.lateness, int(time.time()))


def _final_until(config: Config) -> int | None:
    return stored_final_until(resources(config).store)


def _usage_windows(config: Config, place: Place) -> UsageWindows:
    rules = UsageRules.of(config.usage, config.job.lateness)
    return recalled_windows(resources(config).store, rules, place)


def _past(config: Config) -> Past:
    return Past(functools.partial(_samples_since, config), functools.partial(_usage_since, config))


def _deriver(config: Config, place: Place) -> Deriver:
    derive = config.derive
    chains = read_pipeline(derive.pipeline, round(derive.max_gap * 1000)) if derive.enabled else []
    return recalled_deriver(resources(config).store, chains, place)


def _samples_since(config: Config, since: pa.Table) -> pa.Table:
    held = resources(config)
    return held.writer.ask(lambda: history(held.store, since))


def _usage_since(config: Config, since: pa.Table) -> pa.Table:
    held = resources(config)
    return held.writer.ask(lambda: stored_usage(held.store, since))


def _restated(config: Config) -> list[pa.Table]:
    waiting = resources(config).restated
    return [waiting.get() for _ in range(waiting.qsize())]


def _incumbents(config: Config, drafts: Sequence[Draft], contested: Sequence[str]) -> list[Stored]:
    held = resources(config)
    # What came before is asked about too.
    return held.writer.ask(lambda: incumbents(held.store, drafts, contested))
