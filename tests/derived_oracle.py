"""What is derived of stored samples, the slow way: one sample after the other, no columns.

Of the pipeline in PIPELINE, which has one of each transformer.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from metering.draft import Draft

GAP = 3_900_000  # ms
WINDOW = 60_000  # ms
PIPELINE = r"""
sources:
  - {name: counters, meters: ["!*.delta", "!memory*"], sinks: [rate, grown]}
  - {name: deltas, meters: ["*.delta"], sinks: [kilo, minute]}
  - {name: memory, meters: [memory, memory.usage], sinks: [share]}
sinks:
  - name: rate
    transformers:
      - name: rate_of_change
        parameters:
          source: {map_from: {name: "(.+)"}}
          target:
            map_to: {name: "\\1.rate"}
            unit: per s
            type: gauge
            scale: 100 / (resource_metadata.vcpus or 1)
            max: 1000
  - name: grown
    transformers:
      - {name: delta, parameters: {target: {name: growth}, growth_only: true}}
  - name: kilo
    transformers:
      - name: accumulator
      - {name: unit_conversion, parameters: {target: {name: kilo, unit: kB, scale: 0.001}}}
  - name: minute
    transformers:
      - name: aggregator
        parameters: {retention_time: 60, timestamp: last, target: {name: minute}}
  - name: share
    transformers:
      - name: arithmetic
        parameters:
          target: {name: share, unit: "%", type: gauge, expr: 100 * $(memory.usage) / $(memory)}
"""

Row = tuple[
    Any, ...
]  # meter, type, unit, volume, project, user, resource, ms, metadata but for the version


def derived(stored: Iterable[Draft], watermark: int) -> set[Row]:
    """Return what the pipeline makes of samples that count, windows complete by the watermark (ms)."""
    series: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for one in sorted(stored, key=lambda d: (d.timestamp, d.volume, d.message_id)):
        series[one.meter, one.resource_id].append(one)
    rows: set[Row] = set()
    for (meter, _), samples in series.items():
        if meter.endswith(".delta"):
            rows |= {row(d, "kilo", d.type, "kB", d.volume * 0.001) for d in samples}
            rows |= set(_minutes(samples, watermark))
        elif not meter.startswith("memory"):
            rows |= set(_growth(samples))
    for resource in {resource for _, resource in series}:
        usage, memory = (series[name, resource] for name in ("memory.usage", "memory"))
        rows |= set(_shares(usage, memory))
    return rows


def row(parent: Draft, meter: str, kind: str, unit: str, volume: float, *parents: str) -> Row:
    """Return a derived sample: labels are its parent's."""
    metadata = json.loads(parent.metadata)
    metadata["derived.parents"] = json.dumps(parents or [parent.meter], separators=(",", ":"))
    return (
        meter, kind, unit, round(volume, 9), parent.project_id, parent.user_id, parent.resource_id,
        parent.timestamp, json.dumps(metadata, sort_keys=True, separators=(",", ":")),
    )  # fmt: skip


def _growth(samples: list[Draft]) -> Iterator[Row]:
    for before, now in itertools.pairwise(samples):
        seconds = (now.timestamp - before.timestamp) / 1000
        if not seconds or (before.type, before.unit) != (now.type, now.unit):
            continue
        grown = now.volume - before.volume
        if now.type == "cumulative" and grown < 0:
            grown = now.volume
        scale = 100 / (json.loads(now.metadata).get("vcpus") or 1)
        yield row(now, f"{now.meter}.rate", "gauge", "per s", min(scale * grown / seconds, 1000))
        if grown >= 0:
            yield row(now, "growth", "delta", now.unit, grown)


def _minutes(samples: list[Draft], watermark: int) -> Iterator[Row]:
    groups: dict[tuple[Any, ...], list[Draft]] = defaultdict(list)
    for one in samples:
        window = one.timestamp // WINDOW
        groups[window, one.project_id, one.user_id, one.type, one.unit].append(one)
    for key, group in groups.items():
        if (key[0] + 1) * WINDOW <= watermark:
            total = sum(one.volume for one in group)
            yield row(group[-1], "minute", group[-1].type, group[-1].unit, total)


def _shares(usage: list[Draft], memory: list[Draft]) -> Iterator[Row]:
    for moment in {one.timestamp for one in usage + memory}:
        held = [[one for one in side if one.timestamp <= moment][-1:] for side in (usage, memory)]
        if not all(held) or any(moment - side[0].timestamp > GAP for side in held):
            continue
        (used,), (whole,) = held
        newest = used if used.timestamp == moment else whole
        if whole.volume:
            volume = 100 * used.volume / whole.volume
            yield row(newest, "share", "gauge", "%", volume, "memory.usage", "memory")
