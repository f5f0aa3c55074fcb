"""The derived samples in the tables against what the shipped definitions say of the samples there."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.soak.comparison import SHOWN, Query

GAP: Final = 3_900_000  # ms
RATES: Final = {
    **{f"{disk}.{way}.{what}": unit
       for disk in ("disk", "disk.device") for way in ("read", "write")
       for what, unit in (("bytes", "B"), ("requests", "request"))},
    **{f"network.{way}.{what}": unit
       for way in ("incoming", "outgoing") for what, unit in (("bytes", "B"), ("packets", "packet"))},
}  # fmt: skip
_STORED: Final = (
    "SELECT meter, type::String, unit, volume, project_id, user_id, resource_id, source,"
    " toUnixTimestamp64Milli(timestamp) AS at, resource_metadata FROM metering.v_samples"
    " WHERE late != 'late' AND mapContains(resource_metadata, 'derived.version') = {derived}"
    " ORDER BY meter, resource_id, at, volume, message_id"
)


class _Sample(NamedTuple):
    meter: str
    type: str
    unit: str
    volume: float
    project_id: str
    user_id: str
    resource_id: str
    source: str
    at: int  # ms
    metadata: dict[str, str]


def derived_differences(query: Query, rates: Mapping[str, str] = RATES) -> list[str]:
    """Return where derived samples are otherwise than samples say, a line each; nothing where they agree.

    rates: the meters that a rate is derived of, as defined, by unit.
    """
    series: dict[tuple[str, str], list[_Sample]] = defaultdict(list)
    for values in query(_STORED.replace("{derived}", "0")):
        sample = _Sample(*values)
        series[sample.meter, sample.resource_id].append(sample)
    wanted = {_row(sample) for sample in _derived(series, rates)}
    found = [_row(_Sample(*values)) for values in query(_STORED.replace("{derived}", "1"))]
    assert wanted, "nothing is derived of these samples"
    lines = [f"derived sample missing: {row}" for row in wanted - set(found)]
    lines += [f"derived sample not expected: {row}" for row in set(found) - wanted]
    lines += [f"{len(found) - len(set(found))} derived samples twice"] * (
        len(found) > len(set(found))
    )
    return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])


def _derived(
    series: dict[tuple[str, str], list[_Sample]], rates: Mapping[str, str]
) -> Iterator[_Sample]:
    for (meter, _), samples in series.items():
        for before, now in itertools.pairwise(samples):
            if meter in rates or meter == "cpu":
                yield from _rate(before, now)
    for resource in {resource for meter, resource in series if meter == "memory.usage"}:
        usage, memory = (series.get((name, resource), []) for name in ("memory.usage", "memory"))
        yield from _shares(usage, memory)


def _rate(before: _Sample, now: _Sample) -> Iterator[_Sample]:
    seconds = (now.at - before.at) / 1000
    if not seconds or (before.type, before.unit) != (now.type, now.unit):
        return
    growth = now.volume - before.volume
    if now.type == "cumulative" and growth < 0:
        growth = max(now.volume, 0)
    rate = growth / seconds
    if now.meter == "cpu":
        processors = next((int(now.metadata[name]) for name in ("cpu_number", "vcpus")
                           if now.metadata.get(name, "0") not in ("0", "null")), 1)  # fmt: skip
        share = min(100 / (1e9 * processors) * rate, 100)
        yield _made(now, "cpu_util", "%", share, '["cpu"]')
    else:
        unit = f"{now.unit}/s" if now.unit in ("B", "request", "packet") else now.unit
        yield _made(now, f"{now.meter}.rate", unit, rate, f'["{now.meter}"]')


def _shares(usage: list[_Sample], memory: list[_Sample]) -> Iterator[_Sample]:
    for moment in {sample.at for sample in (*usage, *memory)}:
        used, whole = (
            next((s for s in reversed(side) if s.at <= moment), None) for side in (usage, memory)
        )
        if (
            used is None
            or whole is None
            or moment - min(used.at, whole.at) > GAP
            or not whole.volume
        ):
            continue
        newest = used if used.at == moment else whole
        share = 100 * used.volume / whole.volume
        yield _made(newest, "memory_util", "%", share, '["memory.usage","memory"]')


def _made(parent: _Sample, meter: str, unit: str, volume: float, parents: str) -> _Sample:
    metadata = parent.metadata | {"derived.parents": parents}
    return parent._replace(meter=meter, type="gauge", unit=unit, volume=volume, metadata=metadata)


def _row(sample: _Sample) -> tuple[Any, ...]:
    metadata = sorted(item for item in sample.metadata.items() if item[0] != "derived.version")
    return (*sample[:3], float(f"{sample.volume:.9g}"), *sample[4:-1], tuple(metadata))
