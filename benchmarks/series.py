"""usage_samples_per_s, state_bytes_per_series, million_series_rss_mb: usage windows of many live series.

The pure part of the job, in a process of its own: samples are sifted for repeats and added to windows of
an hour and a day, rows are made into tables; nothing is read or stored. `python -m benchmarks.series N`
measures N series.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.figures import Figure, machine
from benchmarks.scale import Scale
from metering.config import Usage
from metering.repeats import Sieve
from metering.schema import SAMPLES
from metering.usage.rules import UsageRules
from metering.usage.table import usage_table
from metering.usage.windows import UsageWindows

_METERS: Final = 20  # of each resource, half of them counters
_BATCH: Final = 20_000  # samples
_ROUNDS: Final = 3  # polls of every series
_POLL: Final = 300_000  # ms
_BEGIN: Final = 1_790_000_000_000  # ms


def many_series(scale: Scale) -> Iterator[Figure]:
    """Measure each number of series in a fresh process."""
    seen = {number: _measured(number) for number in scale.series}
    most = max(seen)
    told = "; ".join(
        f"{number:,} series: {one['samples_per_s']:,.0f} samples/s, {one['rss_mb']:,.0f} MiB resident,"
        f" {one['bytes']:,.0f} bytes a series"
        for number, one in seen.items()
    )
    conditions = (
        f"{_ROUNDS} polls of 20 meters a resource, half of them counters, periods of an hour and a day,"
        f" sifted for repeats, nothing stored; {told}; {machine()}"
    )
    yield Figure("usage_samples_per_s", round(seen[most]["samples_per_s"]), "samples/s", conditions)
    yield Figure("state_bytes_per_series", round(seen[most]["bytes"], 1), "bytes", conditions)
    yield Figure("million_series_rss_mb", round(seen[most]["rss_mb"], 1), "MiB", conditions)


def _measured(number: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.series", str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(number: int) -> None:
    """Poll so many series a few times; print what the last round took and what is held."""
    sieve = Sieve(2_000_000)
    windows = UsageWindows(UsageRules.of(Usage(), 7200))
    took = rows = 0.0
    for turn in range(_ROUNDS):
        for first in range(0, number // _METERS, _BATCH // _METERS):
            batch = _polled(first, min(_BATCH // _METERS, number // _METERS - first), turn)
            began = time.perf_counter()
            windows.take(sieve.sift(batch).clean)
            told = list(windows.tick(_BEGIN + turn * _POLL, None))
            usage_table(windows, told, _BEGIN + turn * _POLL)
            if turn:  # the first makes room
                took += time.perf_counter() - began
                rows += batch.num_rows
    gc.collect()
    held = {
        "samples_per_s": rows / took,
        "bytes": windows.nbytes() / len(windows.series),
        "rss_mb": _resident() / 1024**2,
    }
    print(json.dumps(held))


def _polled(first: int, resources: int, turn: int) -> pa.Table:
    """Return a poll of every meter of some resources."""
    resource = np.repeat(np.arange(resources), _METERS)
    meter = np.tile(np.arange(_METERS), resources)
    number = len(resource)
    names = [f"00000000-0000-4000-8000-{first + n:012d}" for n in range(resources)]
    metadata = [
        f'{{"display_name":"vm {name[-6:]}","flavor.name":"m{n % 5}"}}'
        for n, name in enumerate(names)
    ]
    projects = [f"project-{n}" for n in range(100)]
    at = _BEGIN + turn * _POLL + resource % 1000
    columns = {
        "meter": _labels(meter, [f"meter.{n}" for n in range(_METERS)]),
        "type": _labels(meter % 2, ["gauge", "cumulative"]),
        "unit": _labels(meter * 0, ["B"]),
        "volume": pa.array((turn * 1000.0 + meter) * (1 + resource % 7)),
        "project_id": _labels((first + resource) % 100, projects),
        "user_id": _labels((first + resource) % 100, projects),
        "resource_id": _labels(resource, names),
        "timestamp": pa.array(at),
        "source": _labels(meter * 0, ["openstack"]),
        "metadata": _labels(resource, metadata),
        "recorded_at": pa.array(at // 1000),
        "message_id": pa.array([f"{turn}-{first}-{n}" for n in range(number)]),
    }
    arrays = [columns[field.name].cast(field.type) for field in SAMPLES]
    return pa.table(arrays, schema=SAMPLES)


def _labels(codes: np.ndarray, texts: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


if __name__ == "__main__":
    main(int(sys.argv[1]))
