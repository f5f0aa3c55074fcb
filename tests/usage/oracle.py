"""Usage the slow way, straight from the table of what the numbers mean: plain Python, no engine.

Shape: samples that count (no repeats, no conflicts, none late) -> every row, of every period.
Units: times of samples and the watermark in ms, `start`, `period` and `covered` in seconds.
Source: the words of the design, not the job's code. What is added is added in time order from zero;
    a product is taken before its quotient. So float64 agrees to the bit, and Fractions are exact.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any, NamedTuple

MS_OF_AN_HOUR = 3_600_000


class Sample(NamedTuple):
    """A sample that counts; its place among the samples is its id, which settles ties."""

    meter: str
    type: str
    unit: str
    volume: float
    project_id: str
    user_id: str
    resource_id: str
    timestamp_ms: int
    metadata: Mapping[str, str] = {}


class Settings(NamedTuple):
    """How usage is cut and held."""

    periods: tuple[int, ...] = (3600, 86400)  # s, the shortest first, the others multiples of it
    lateness: int = 7200  # s
    max_gap: int = 3900  # s
    segments: Mapping[str, tuple[str, ...]] = {}  # name -> metadata keys, the first present wins
    ends: tuple[str, ...] = ()  # globs of the event types that end a resource
    ends_by_meter: Mapping[str, tuple[str, ...]] = {}  # instead of those, by glob of the meter


class Row(NamedTuple):
    """What the samples say of one owner's share of a series in one window."""

    meter: str
    type: str
    unit: str
    project_id: str
    user_id: str
    resource_id: str
    segment: str
    period: int  # s
    start: int  # s
    count: int
    first: float | None
    last: float | None
    sum: float
    min: float | None
    max: float | None
    average: float | None
    usage: float
    covered: float | None  # s; None of a delta
    cadence: int  # ms; 0 if unknown
    first_at: int | None  # ms
    last_at: int | None  # ms
    final: bool


class Owner(NamedTuple):
    """Whose a row is."""

    meter: str
    type: str
    unit: str
    project_id: str
    user_id: str
    resource_id: str
    segment: str


class Part(NamedTuple):
    """What one sample, one interval within a window, or a whole window adds to a row.

    The zeros are integers: 0 + x is x to the bit for a float, and stays exact for a Fraction.
    """

    count: int = 0
    first: float | None = None
    last: float | None = None
    sum: float = 0
    min: float | None = None
    max: float | None = None
    amount: float = 0  # growth, delta, or unit x ms held
    covered: int = 0  # ms
    cadence: int = 0  # ms
    first_at: int | None = None
    last_at: int | None = None


def usage(samples: Iterable[Sample], watermark: int | None, settings: Settings) -> list[Row]:
    """Return the rows of all periods, sorted by owner, period and start."""
    series: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        series[sample.meter, sample.resource_id].append(sample)
    parts: dict[tuple[Owner, int], list[Part]] = defaultdict(list)
    for mine in series.values():
        mine.sort(key=lambda sample: (sample.timestamp_ms, sample.volume))
        for before, sample, after in zip([None, *mine], mine, [*mine[1:], None], strict=False):
            for start, part in _parts(before, sample, after, watermark, settings):
                parts[_owner(sample, settings), start].append(part)
    shortest = {window: reduce(_added, parts[window], Part()) for window in sorted(parts)}
    rows = [row for period in settings.periods for row in _rows(shortest, period)]
    return sorted(_closed(row, watermark, settings) for row in rows)


def _parts(
    before: Sample | None,
    sample: Sample,
    after: Sample | None,
    watermark: int | None,
    settings: Settings,
) -> Iterator[tuple[int, Part]]:
    """Yield the window's start (s) and what a sample, then the interval behind it, adds there."""
    period = settings.periods[0] * 1000
    v, at = sample.volume, sample.timestamp_ms
    polled = before and sample.type != "delta" and _alike(before, sample)
    cadence = at - before.timestamp_ms if before and polled else 0
    own = Part(1, v, v, 0, v, v, 0, 0, cadence, at, at)
    if sample.type == "delta":
        own = own._replace(sum=v, amount=v)
    if sample.type == "gauge":
        own = own._replace(sum=v)
    yield at // period * period // 1000, own

    if sample.type == "gauge":
        until = _held_until(sample, after, watermark, settings)
        for start, low, high in _windows(at, until, period):
            yield start, Part(amount=v * (high - low), covered=high - low)
    if sample.type == "cumulative" and after and _alike(sample, after):
        seen_until = at + settings.max_gap * 1000
        for start, low, high in _windows(at, after.timestamp_ms, period):
            grown = _grown(sample, after, high) - _grown(sample, after, low)
            covered = max(0, min(high, seen_until) - low)
            yield start, Part(sum=grown, amount=grown, covered=covered)


def _windows(at: int, until: int, period: int) -> Iterator[tuple[int, int, int]]:
    """Yield the start (s) of each window of [at, until), and where the two overlap (ms)."""
    if at < until:
        for start in range(at // period * period, until, period):
            yield start // 1000, max(start, at), min(start + period, until)


def _held_until(
    gauge: Sample, after: Sample | None, watermark: int | None, settings: Settings
) -> int:
    at, longest = gauge.timestamp_ms, gauge.timestamp_ms + settings.max_gap * 1000
    event_type = gauge.metadata.get("event_type", "")
    named = (
        ends for glob, ends in settings.ends_by_meter.items() if fnmatchcase(gauge.meter, glob)
    )
    if any(fnmatchcase(event_type, end) for end in next(named, settings.ends)):
        return at
    if after is None:
        return at if watermark is None else min(longest, watermark)
    return min(longest, after.timestamp_ms) if _alike(gauge, after) else at


def _grown(before: Sample, after: Sample, moment: int) -> float:
    """Return the growth from `before` up to a moment of the interval; a reset counts from zero."""
    (t0, v0), (t1, v1) = ((each.timestamp_ms, each.volume) for each in (before, after))
    growth = v1 - (v0 if v1 >= v0 else min(v1, 0))  # never negative
    return growth if moment == t1 else growth * (moment - t0) / (t1 - t0)


def _alike(before: Sample, after: Sample) -> bool:
    """Tell whether the series goes on: a change of type or unit starts it anew."""
    return (before.type, before.unit) == (after.type, after.unit)


def _owner(sample: Sample, settings: Settings) -> Owner:
    told = []
    for name, keys in settings.segments.items():
        values = [sample.metadata[key] for key in keys if sample.metadata.get(key)]
        told += [f"{name}={value}" for value in values[:1]]
    s = sample
    of_whom = (s.meter, s.type, s.unit, s.project_id, s.user_id, s.resource_id)
    return Owner(*of_whom, segment=",".join(told))


def _added(a: Part, b: Part) -> Part:
    """Return two parts as one; `a` is the earlier."""
    return Part(
        count=a.count + b.count,
        first=b.first if a.first is None else a.first,
        last=a.last if b.last is None else b.last,
        sum=a.sum + b.sum,
        min=min((v for v in (a.min, b.min) if v is not None), default=None),
        max=max((v for v in (a.max, b.max) if v is not None), default=None),
        amount=a.amount + b.amount,
        covered=a.covered + b.covered,
        cadence=min((ms for ms in (a.cadence, b.cadence) if ms > 0), default=0),
        first_at=b.first_at if a.first_at is None else a.first_at,
        last_at=a.last_at if b.last_at is None else b.last_at,
    )


def _rows(shortest: dict[tuple[Owner, int], Part], period: int) -> Iterator[Row]:
    """Yield the rows of a period, each the windows of the shortest one inside it, still open."""

    def place(window: tuple[Owner, int]) -> tuple[Owner, int]:
        return window[0], window[1] // period * period

    for (owner, start), inside in itertools.groupby(shortest, key=place):
        whole = reduce(_added, (shortest[window] for window in inside), Part())
        yield _row(owner, period, start, whole)


def _row(owner: Owner, period: int, start: int, part: Part) -> Row:
    told: dict[str, Any] = owner._asdict() | part._asdict()
    amount, covered = told.pop("amount"), part.covered / 1000
    gauge = owner.type == "gauge"
    told["usage"] = amount / MS_OF_AN_HOUR if gauge else amount
    told["covered"] = None if owner.type == "delta" else covered
    told["average"] = told["usage"] / (covered / 3600) if gauge and covered > 0 else None
    return Row(**told, period=period, start=start, final=False)


def _closed(row: Row, watermark: int | None, settings: Settings) -> Row:
    end = (row.start + row.period + settings.lateness) * 1000  # ms
    return row._replace(final=watermark is not None and end <= watermark)
