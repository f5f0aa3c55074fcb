"""What the pipeline asks a worker of a Flink cluster for: as in process, but for three things.

Rows are written when a bundle ends: the checkpoint behind it acknowledges it. The steps' state is one
of each a process: Beam keeps a bundle's steps until its checkpoint is done, and makes new ones for the
next bundle (docs/decisions/0013-flink.md). And who evaluates alarms delivers what they call.
State: of the process, until it ends: Flink ends workers whenever it starts a job again.
"""

import dataclasses
import functools
import threading
from typing import Any

from jobs.pipeline import Parts
from jobs.resources import parts, resources
from metering.alarms.book import AlarmBook
from metering.config import Config
from metering.elements import LeastWatermark, Watermark
from sinks.clickhouse import Outlet
from sinks.writer import PromptWriter
from transforms.usage import Telling

_MADE_HERE = {"watermark": Watermark, "reached": LeastWatermark, "telling": Telling}
_SHARED = ("sieve", "final_until", "usage_windows", "deriver", "alarms", *_MADE_HERE)

_made: dict[tuple[str, str], Any] = {}
_lock = threading.Lock()


def worker_parts(config: Config) -> Parts:
    """Return the parts of a worker; they are asked for in its process."""
    shared = {name: functools.partial(_shared, config, name) for name in _SHARED}
    return dataclasses.replace(parts(config), outlet=functools.partial(_outlet, config), **shared)


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
