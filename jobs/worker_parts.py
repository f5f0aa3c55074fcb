"""What the pipeline asks a worker of a Flink cluster for: as in process, but for five things.

Rows are written when a bundle ends: the checkpoint behind it acknowledges it. The steps' state is one
of each a process, or a place: Beam keeps a bundle's steps until its checkpoint is done, and makes new ones
for the next bundle (docs/decisions/0013-flink.md). Who evaluates alarms delivers what they call. A process
opens what its steps ask for: the feeds of its readers, or the store. And who submits prepares the store:
several processes open it at once.
State: of the process, until it ends: Flink ends workers whenever it starts a job again. A place's is read
    from the store when the process first sees the place, and no other process has that place meanwhile.
"""

import dataclasses
import functools
import threading
from typing import Any

from jobs import feeds
from jobs.covered_hub import CoveredHub
from jobs.pipeline import Parts
from jobs.readers import Shares, shares_of
from jobs.resources import OF_PLACE, Resources, parts, resources
from metering.alarms.book import AlarmBook
from metering.config import Config
from metering.elements import Payloads, Watermark
from metering.places import Place, Places
from sinks.clickhouse import Outlet
from sinks.writer import PromptWriter
from sources.hub import Hub
from store.alarm_states import mend_transitions
from store.latest import catch_up_latest

_MADE_HERE = OF_PLACE | {"watermark": Watermark}
_RECALLED = ("sieve", "usage_windows", "deriver")  # of a place
_SHARED = (*_RECALLED, "ids", "final_until", "alarms", *_MADE_HERE)
_CAUGHT_UP = "caught_up"  # `latest`, before anything of a place is recalled

# Flink does not look at these; workers of steps that differ by them are others.
_APART = {"cpu_count": "1"}
_ALONE = {"cpu_count": "2"}

_made: dict[tuple[str, str, Place | None], Any] = {}
_lock = threading.RLock()
_hubs: dict[tuple[str, int], Hub] = {}
_hubs_lock = threading.Lock()


def worker_parts(config: Config, slots: int = 1) -> Parts:
    """Return the parts of a worker; they are asked for in its process. Raises ConfigError.

    Of several slots as many have a reader as there are feeds, or parts of them, each has a place, and
    one the alarms.
    """
    shares = shares_of(feeds.settings_of(config.feeds), slots)
    shared = {name: functools.partial(_shared, config, slots, name) for name in _SHARED}
    several = slots > 1
    return dataclasses.replace(
        parts(config),
        hub=functools.partial(_hub, config, shares, several),
        acknowledge=functools.partial(_acknowledge, config, shares, several),
        outlet=functools.partial(_outlet, config),
        readers=list(shares),
        places=Places(max(config.job.shards, slots), slots),
        apart=_APART if several else {},
        alone=_ALONE if several else {},
        **shared,
    )


def _hub(config: Config, shares: Shares, apart: bool, reader: int) -> Hub:
    """Return a reader's feeds, opened. Nobody pushes to a worker: it has no spool."""
    key = config.model_dump_json(), reader
    with _hubs_lock:
        if key not in _hubs:
            made = CoveredHub if apart else Hub
            hub = made(feeds.made(shares[reader]), config.job.queue_bytes)
            hub.open()
            _hubs[key] = hub
        return _hubs[key]


def _acknowledge(
    config: Config, shares: Shares, apart: bool, reader: int, taken: list[Payloads]
) -> None:
    """A checkpoint is done; where others write, it may not cover these (jobs.covered_hub)."""
    _hub(config, shares, apart, reader).ack(taken)


def _held(config: Config) -> Resources:
    return resources(config, prepared=True)


def _outlet(config: Config) -> Outlet:
    held = _held(config)
    return Outlet(held.store, PromptWriter(held.writer), held.latest)


def _shared(config: Config, slots: int, name: str, place: Place | None = None) -> Any:
    key = config.model_dump_json(), name, place
    with _lock:
        if key not in _made:
            _made[key] = _make(config, slots, name, place)
        return _made[key]


def _make(config: Config, slots: int, name: str, place: Place | None) -> Any:
    if name in _MADE_HERE:
        return _MADE_HERE[name]()
    if name == "alarms":
        return _alarms(config, slots > 1)
    held = _held(config)
    if name == _CAUGHT_UP:
        return catch_up_latest(held.store, place)
    if name in _RECALLED:
        _shared(config, slots, _CAUGHT_UP, place)
    given = getattr(parts(config), name)
    return given() if place is None else given(place)


def _alarms(config: Config, apart: bool) -> AlarmBook:
    """Return the alarms; what the store has pending for them is delivered from now on."""
    held = _held(config)
    mend_transitions(held.store)
    book = held.alarms_apart if apart else held.alarms
    held.delivering.start(held.store, config.alarms.actions, book)
    return book
