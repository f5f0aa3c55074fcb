"""A month of metering: the data that is queried and whose disk is measured.

1,000 instances x 20 meters, a sample an hour for 720 hours; and `cpu` every 60 s in the last hour,
10 s of twenty instances; it is of whole days and ended a day ago, so that merges may forget message ids.
With the usage rows, hourly and daily, of the meters whose statistics are asked for (the first two),
counted by the job's code. Written by a process of its own, in hourly order as it would arrive, in batches of 100,000; merges are
those that the engine does by itself. Cumulative meters are counters that only grow, gauges move by a
tenth, with one decimal, or are fixed, as the fleet's are; metadata is as of an instance, disk or
interface, and changes with the state once a week.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figure, machine
from benchmarks.month_usage import MonthUsage
from benchmarks.scale import Scale
from benchmarks.service import Service
from metering.batches import together
from metering.config import Database
from metering.metadata import flatten
from metering.schema import SAMPLES
from sources.fleet import METERS
from sources.fleet_instances import build_instances, resource
from store.client import Store
from store.migrate import migrate
from store.rows import insert_latest, insert_samples

PROJECTS: Final = 50
_BATCH: Final = 100_000  # rows
_HOUR: Final = 3600
_DAY: Final = 86_400
POLL: Final = 10  # s between samples in the last hour of `cpu` of the first CLOSE instances
_SPARSE: Final = 60  # and of the others
CLOSE: Final = 20
_COUNTED: Final = 2  # meters that have usage rows: all of them would double the time this takes
_SETTLED: Final = 90.0  # s; how long merges are waited for


class Month:
    """The stored month of one run of benchmarks, made when first asked for and removed at the end."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        # s; where the last day ends: so long ago that message ids may be forgotten
        self.end = (int(time.time()) // _DAY - 1) * _DAY
        self._open = ExitStack()
        self._folder: Path | None = None
        self._service: Service | None = None

    def __enter__(self) -> "Month":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._open.close()

    @property
    def start(self) -> int:
        """When the month begins (s)."""
        return self.end - self.scale.hours * _HOUR

    @property
    def in_last_hour(self) -> int:
        """How many samples of `cpu` the last hour has, beyond the hourly ones."""
        close = min(CLOSE, self.scale.instances)
        others = self.scale.instances - close
        return close * (_HOUR // POLL - 1) + others * (_HOUR // _SPARSE - 1)

    def service(self) -> Service:
        """Return a service over the month; it is kept for the next benchmark."""
        if self._service is None:
            self._service = Service(self._made(), [])
        return self._service

    def bytes_per_sample(self) -> Iterator[Figure]:
        """Measure the table's bytes on disk a row, merged, ids forgotten."""
        folder = self._made()
        self._stop()
        found = json.loads(self._in_process("size", folder))
        columns = sorted(found["columns"].items(), key=lambda each: -each[1])[:5]
        largest = ", ".join(f"{name} {size / found['rows']:.2f}" for name, size in columns)
        yield Figure(
            "bytes_per_sample",
            round(found["bytes"] / found["rows"], 2),
            "bytes",
            f"bytes_on_disk of active parts / rows, {found['rows']:,} samples hourly"
            f" ({self.scale.instances:,} instances x {self.scale.meters} meters), merged, message"
            f" ids forgotten; before that {found['before'] / found['rows']:.2f}; largest columns:"
            f" {largest}",
        )

    def told(self) -> str:
        """Return what is stored, for a figure's conditions."""
        scale = self.scale
        rows = scale.instances * scale.meters * scale.hours + self.in_last_hour
        return (
            f"{rows:,} samples stored ({scale.instances:,} instances x {scale.meters} meters x"
            f" {scale.hours} h, cpu more often in the last hour), merges left to the engine,"
            f" {scale.requests} requests after warm-up, one keep-alive connection; {machine()}"
        )

    def _made(self) -> Path:
        if self._folder is None:
            name = tempfile.TemporaryDirectory(prefix="streamgauge-bench-")
            folder = Path(self._open.enter_context(name))
            self._in_process("fill", folder)
            self._folder = folder
        return self._folder

    def _in_process(self, what: str, folder: Path) -> str:
        scale = self.scale
        sizes = [str(number) for number in (self.end, scale.instances, scale.meters, scale.hours)]
        command = [sys.executable, "-m", "benchmarks.month", what, str(folder / "db"), *sizes]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def _stop(self) -> None:
        if self._service is not None:
            self._service.stop()
            self._service = None


class Series:
    """The series of a fleet, as columns that are the same at every moment, and their counters."""

    _NOON, _LATER = 1_700_000_000.0, 1_700_012_345.0  # s; two moments that tell a fixed gauge

    def __init__(self, instances: int, meters: int) -> None:
        self._meters = METERS[:meters]
        fleet = build_instances(instances, seed=1)
        self._rows = [(meter, each) for meter in self._meters for each in fleet]
        kinds = [resource(each, meter.resource) for meter, each in self._rows]
        self._labels = {
            "meter": _encoded([meter.name for meter, _ in self._rows]),
            "type": _encoded([meter.type for meter, _ in self._rows]),
            "unit": _encoded([meter.unit for meter, _ in self._rows]),
            "project_id": _encoded([f"{each.number % PROJECTS:032x}" for _, each in self._rows]),
            "user_id": _encoded([each.user for _, each in self._rows]),
            "resource_id": _encoded([id_ for id_, _ in kinds]),
            "source": _encoded(["openstack"] * len(kinds)),
        }
        self._metadata = [
            _encoded([flatten(metadata | {"status": status}) for _, metadata in kinds])
            for status in ("active", "shutoff")
        ]
        self._chance = np.random.default_rng(1)
        count = len(self._rows)
        self._cumulative = np.array([meter.type == "cumulative" for meter, _ in self._rows])
        self._rate = np.exp(self._chance.uniform(0, 12, count))  # of growth a second
        self._level = np.array(
            [meter.volume(each, self._NOON, _HOUR) for meter, each in self._rows]
        )
        later = np.array([meter.volume(each, self._LATER, _HOUR) for meter, each in self._rows])
        self._sway = np.where(self._level == later, 0.0, 0.1)  # a fixed gauge stays, others move
        self._counters = np.floor(self._rate * self._chance.uniform(0, 1e6, count))

    def at(self, moment: int, seconds: int, which: slice = slice(None)) -> pa.Table:
        """Return a sample of each series at a moment (s), `seconds` after the one before."""
        count = len(self._rows)
        grown = np.floor(self._rate * seconds * self._chance.uniform(0.2, 1.8, count))
        self._counters += grown
        sway = 1 + self._sway * self._chance.uniform(-1, 1, count)
        gauges = np.round(self._level * sway, 1)
        volumes = np.where(self._cumulative, self._counters, gauges)
        jitter = self._chance.integers(0, 2000, count)  # ms
        week = moment // (7 * 24 * _HOUR)
        columns = {
            **self._labels,
            "volume": pa.array(volumes),
            "timestamp": pa.array(moment * 1000 + jitter, pa.timestamp("ms", "UTC")),
            "metadata": self._metadata[week % 2],
            "recorded_at": pa.array(np.full(count, moment), pa.timestamp("s", "UTC")),
            "message_id": pa.array(_ids(self._chance, count)),
        }
        table = pa.table([columns[name] for name in SAMPLES.names], names=SAMPLES.names)
        return table.slice(which.start or 0, which.stop or count).cast(SAMPLES)


def fill(store: Store, end: int, instances: int, meters: int, hours: int) -> None:
    """Write the month, and wait until the engine has nothing more to merge."""
    series, usage = Series(instances, meters), MonthUsage(store)
    waiting: list[pa.Table] = []
    for hour in range(hours):
        moment = end - (hours - hour) * _HOUR
        waiting.append(series.at(moment, _HOUR))
        usage.take(waiting[-1].slice(0, _COUNTED * instances), moment)
        if sum(map(len, waiting)) >= _BATCH or hour == hours - 1:
            insert_samples(store, together(waiting))
            insert_latest(store, waiting[-1])
            waiting.clear()
    for ago in range(_HOUR - POLL, 0, -POLL):
        count = instances if ago % _SPARSE == 0 else min(CLOSE, instances)
        waiting.append(series.at(end - ago, POLL, slice(0, count)))
    insert_samples(store, together(waiting))
    insert_latest(store, together(waiting))
    usage.take(together(waiting), end)
    usage.end(end + _DAY)
    _await_merges(store)


def size(store: Store) -> dict[str, Any]:
    """Merge everything, and return rows, bytes before and after, and bytes a column."""
    before = _bytes(store)
    store.command(f"OPTIMIZE TABLE {store.name}.samples FINAL")
    columns = store.query(
        "SELECT column, sum(column_data_compressed_bytes + column_marks_bytes)"
        " FROM system.parts_columns WHERE active AND table = 'samples' GROUP BY column"
    )
    with_ids = int(store.command(f"SELECT countIf(message_id != '') FROM {store.name}.samples"))
    assert not with_ids, f"{with_ids} message ids are still there"
    rows = int(store.command(f"SELECT count() FROM {store.name}.samples"))
    return {
        "rows": rows,
        "before": before,
        "bytes": _bytes(store),
        "columns": dict(columns.result_rows),
    }


def _encoded(values: list[str]) -> pa.DictionaryArray:
    return pa.array(values).dictionary_encode()


def _ids(chance: np.random.Generator, count: int) -> list[str]:
    digits = chance.bytes(16 * count).hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}"
        f"-{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]


def _bytes(store: Store) -> int:
    return int(
        store.command(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'samples'"
        )
    )


def _await_merges(store: Store) -> None:
    deadline, quiet = time.monotonic() + _SETTLED, 0
    while quiet < 6 and time.monotonic() < deadline:
        time.sleep(0.5)
        busy = int(store.command("SELECT count() FROM system.merges"))
        quiet = 0 if busy else quiet + 1


def _main(what: str, path: str, *sizes: str) -> None:
    store = Store(Database(path=Path(path)))
    migrate(store)
    if what == "fill":
        fill(store, *map(int, sizes))
    else:
        print(json.dumps(size(store)))
    store.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
