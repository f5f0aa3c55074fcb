"""What the pipeline asks a worker of a Flink cluster for: as in process, but for four things.

Rows are written when a bundle ends: the checkpoint behind it acknowledges it. The steps' state is one
of each a process: Beam keeps a bundle's steps until its checkpoint is done, and makes new ones for the
next bundle (docs/decisions/0013-flink.md). Who evaluates alarms delivers what they call. And a process
opens what its steps ask for: the feeds of its readers, or the store.
State: of the process, until it ends: Flink ends workers whenever it starts a job again.
"""

import dataclasses
import functools
import threading
from typing import Any

from jobs import feeds
from jobs.pipeline import Parts
from jobs.readers import Shares, shares_of
from jobs.resources import parts, resources
from metering.alarms.book import AlarmBook
from metering.config import Config
from metering.elements import CommonTick, LeastWatermark, Payloads, Watermark
from sinks.clickhouse import Outlet
from sinks.writer import PromptWriter
from sources.hub import Hub
from transforms.usage import Telling

_MADE_HERE = {
    "watermark": Watermark,
    "common": CommonTick,
    "reached": LeastWatermark,
    "telling": Telling,
}
_SHARED = ("sieve", "final_until", "usage_windows", "deriver", "alarms", *_MADE_HERE)

# Flink does not look at it; workers of steps that differ by it are others.
_APART = {"cpu_count": "1"}

_made: dict[tuple[str, str], Any] = {}
_lock = threading.Lock()
_hubs: dict[tuple[str, int], Hub] = {}
_hubs_lock = threading.Lock()


def worker_parts(config: Config, slots: int = 1) -> Parts:
    """Return the parts of a worker; they are asked for in its process. Raises ConfigError.

    Of several slots as many have a reader as there are feeds, or parts of them, and one has all the
    rest besides.
    """
    shares = shares_of(feeds.settings_of(config.feeds), slots)
    shared = {name: functools.partial(_shared, config, name) for name in _SHARED}
    return dataclasses.replace(
        parts(config),
        hub=functools.partial(_hub, config, shares),
        acknowledge=functools.partial(_acknowledge, config, shares),
        outlet=functools.partial(_outlet, config),
        readers=list(shares),
        apart=_APART if slots > 1 else {},
        **shared,
    )


def _hub(config: Config, shares: Shares, reader: int) -> Hub:
    """Return a reader's feeds, opened. Nobody pushes to a worker: it has no spool."""
    key = config.model_dump_json(), reader
    with _hubs_lock:
        if key not in _hubs:
            hub = Hub(feeds.made(shares[reader]), config.job.queue_bytes)
            hub.open()
            _hubs[key] = hub
        return _hubs[key]


def _acknowledge(config: Config, shares: Shares, reader: int, taken: list[Payloads]) -> None:
    """A checkpoint is done: what these led to is written, in whichever slot."""
    _hub(config, shares, reader).ack(taken)


def _outlet(config: Config) -> Outlet:
    held = resources(config)
    return Outlet(held.store, PromptWriter(held.writer), held.latest)


def _shared(config: Config, name: str) -> Any:
    key = config.model_dump_json(), name
    with _lock:
        if key not in _made:
            make = _MADE_HERE.get(name) or getattr(_parts(config), name)
            _made[key] = make()
        return _made[key]


def _parts(config: Config) -> Parts:
    return dataclasses.replace(parts(config), alarms=functools.partial(_alarms, config))


def _alarms(config: Config) -> AlarmBook:
    """Return the alarms; what the store has pending for them is delivered from now on."""
    held = resources(config)
    held.delivering.start(held.store, config.alarms.actions, held.alarms)
    return held.alarms
