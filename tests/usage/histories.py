"""Random histories of samples, and the orders in which they may arrive. The same seed, the same history.

Shape: a source of random choices -> the samples of some series, in order of their ids; then those in
    an order of arrival, some twice, in batches with ticks between.
Units: times of samples, arrivals and ticks in ms.
Lateness: a sample arrives at most the allowed lateness after its time, and no watermark is ahead of
    the arrivals: nothing is ever late. Watermarks never go back.
"""

import dataclasses
import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from hypothesis import strategies as st

from tests.usage.oracle import Sample, Settings

MIDNIGHT = 1_793_404_800_000  # 2026-10-31T00:00Z, an edge of every period
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000  # ms
PERIODS = ((3600, 86400), (3600,), (900, 3600, 86400), (1800, 5400, 86400))
SEGMENTS = {"flavor": ("flavor_name", "flavor_id"), "zone": ("zone",)}
ENDS = ("*.delete.end", "*.shutdown.end")
KINDS = (
    ("cumulative", "B"),
    ("gauge", "GiB"),
    ("delta", "B"),
    ("cumulative", "ns"),
    ("gauge", "MiB"),
)
OWNERS = (("p1", "u1"), ("p2", "u1"), ("p2", "u2"), ("", ""))
METADATA: tuple[dict[str, str], ...] = (
    {},
    {"flavor_name": "m1.small"},
    {"flavor_name": "m1.large", "flavor_id": "42", "zone": "nova"},
    {"flavor_id": "42", "host": "a"},
    {"zone": "nova", "host": "b"},
)
EVENTS = (
    "exists",
    "compute.instance.delete.end",
    "compute.instance.delete.start",
    "x.shutdown.end",
)


class History(NamedTuple):
    """Samples that count, in order of their ids, and how their usage is to be cut."""

    samples: tuple[Sample, ...]
    settings: Settings


class Arrival(NamedTuple):
    """A sample as it arrives; the same id means the same sample again."""

    message_id: str
    sample: Sample


class Tick(NamedTuple):
    """What a job is told of time; `now` always rises."""

    now: int  # ms
    watermark: int | None  # ms


Batch: TypeAlias = tuple[Arrival, ...]
Script: TypeAlias = list[Batch | Tick]


def history(rng: random.Random) -> History:
    """Return a history of up to four series that may share a meter or a resource, but not both."""
    settings = Settings(
        periods=rng.choice(PERIODS),
        lateness=rng.choice((7200, 3600, 600, 0)),
        max_gap=rng.choice((3900, 600, 20_000)),
        segments=rng.choice(({}, SEGMENTS)),
        ends=rng.choice(((), ENDS)),
    )
    names = [("m1", "r1"), ("m1", "r2"), ("m2", "r1"), ("m2", "r2")]
    several = names[: rng.randint(1, 4)]
    series = [sample for name in several for sample in _Series(rng, settings, *name).samples()]
    rng.shuffle(series)
    return History(tuple(series), settings)


def script(rng: random.Random, past: History) -> Script:
    """Return what arrives when: every sample once or more, in batches, and ticks; a tick is last."""
    lateness = past.settings.lateness * 1000
    due = [
        (sample.timestamp_ms + delay, Arrival(f"{number:06}", sample))
        for number, sample in enumerate(past.samples)
        for delay in _delays(rng, lateness)
    ]
    due.sort(key=lambda pair: pair[0])
    steps: Script = []
    clock = _Clock(rng, past.settings)
    while due:
        size = rng.choice((len(due), 1, 2, 5, 20))
        batch, due = due[:size], due[size:]
        arrivals = [arrival for _, arrival in batch]
        rng.shuffle(arrivals)
        steps.append(tuple(arrivals))
        until = due[0][0] if due else batch[-1][0] + rng.choice((0, MINUTE, 3 * HOUR, 3 * DAY))
        steps += clock.ticks(until, at_least=0 if due else 1)
    return steps


def series_of(past: History) -> Iterator[list[Sample]]:
    """Yield the samples of each series, in order of time."""

    def series(each: Sample) -> tuple[str, str]:
        return each.meter, each.resource_id

    in_order = sorted(past.samples, key=lambda each: (*series(each), each.timestamp_ms))
    return (list(mine) for _, mine in itertools.groupby(in_order, key=series))


def watermark_of(steps: Script) -> int | None:
    """Return the watermark after all of a script."""
    return max(
        (tick.watermark for tick in steps if isinstance(tick, Tick) and tick.watermark is not None),
        default=None,
    )


def seeded(seed: int) -> tuple[History, Script]:
    """Return the history and the arrivals of a seed."""
    return _both(random.Random(seed))


def histories() -> st.SearchStrategy[History]:
    """Histories that shrink: each choice to the first of its list, or to the least."""
    return st.builds(history, st.randoms(use_true_random=False))


def scripts(past: History) -> st.SearchStrategy[Script]:
    """Orders of arrival of a history, which shrink to one batch and one tick."""
    return st.builds(script, st.randoms(use_true_random=False), st.just(past))


def histories_and_scripts() -> st.SearchStrategy[tuple[History, Script]]:
    """Histories, each with one order of arrival."""
    return st.builds(_both, st.randoms(use_true_random=False))


def _both(rng: random.Random) -> tuple[History, Script]:
    past = history(rng)
    return past, script(rng, past)


@dataclasses.dataclass
class _Series:
    """A series under way: each step moves time on, and now and then something else changes."""

    rng: random.Random
    settings: Settings
    meter: str
    resource_id: str
    kind: tuple[str, str] = KINDS[0]
    owner: tuple[str, str] = OWNERS[0]
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    volume: float = 0.0
    at: int = MIDNIGHT  # ms

    def samples(self) -> list[Sample]:
        self.kind = self.rng.choice(KINDS)
        self.at += self.rng.choice((0, 1, 17 * MINUTE, 22 * HOUR, HOUR - 1))
        number = self.rng.choice((2, 1, 3, 5, 12))
        return [self._next(first=n == 0) for n in range(number)]

    def _next(self, first: bool) -> Sample:
        rng = self.rng
        step = 0 if first else self._step()
        self.at += step
        if step and _once_in(rng, 8):
            self.kind = rng.choice(KINDS)
        if _once_in(rng, 5):
            self.owner = rng.choice(OWNERS)
        if _once_in(rng, 4):
            self.metadata = rng.choice(METADATA)
        event = {"event_type": rng.choice(EVENTS)} if _once_in(rng, 3) else {}
        self.volume = self._volume()
        who = (*self.owner, self.resource_id)
        return Sample(self.meter, *self.kind, self.volume, *who, self.at, self.metadata | event)

    def _step(self) -> int:
        """Return the time to the next sample; only deltas may share one."""
        rng, period, gap = self.rng, self.settings.periods[0] * 1000, self.settings.max_gap * 1000
        to_edge = period - self.at % period
        steps = (
            5 * MINUTE,
            rng.randint(1, 10 * MINUTE),
            rng.choice((to_edge, to_edge + period, to_edge + 1, to_edge - 1)),
            gap + rng.choice((0, -1, 1, -MINUTE, MINUTE)),
            rng.randint(1, 12 * HOUR),
            rng.choice((DAY, rng.randint(1, 4 * DAY))),
            0,
        )
        step = rng.choice(steps)
        return step if step > 0 or self.kind[0] == "delta" else 5 * MINUTE

    def _volume(self) -> float:
        """Return a volume: a counter mostly grows, others go anywhere, some stay."""
        rng = self.rng
        if _once_in(rng, 10):
            return self.volume
        some = rng.choice((1.0, rng.randint(-40, 400) / 8, rng.random() * 1000, 0.1, 0.0, 1e15 + 1))
        if _once_in(rng, 12):
            some = -some
        resets = _once_in(rng, 6)
        grows = self.kind[0] == "cumulative" and not resets
        return (self.volume + abs(some) if grows else some) + 0.0  # there is no -0.0


@dataclasses.dataclass
class _Clock:
    """Ticks between batches."""

    rng: random.Random
    settings: Settings
    now: int = MIDNIGHT - 1  # ms
    watermark: int | None = None  # ms

    def ticks(self, until: int, at_least: int) -> list[Tick]:
        """Return some ticks up to `until`, the time of the next arrival."""
        number = self.rng.choice((1, 0, 2, 4))
        before = min(self.now, until)
        times = sorted(self.rng.randint(before, until) for _ in range(number - 1))
        return [self._tick(time) for time in (*times, until)][: max(number, at_least)]

    def _tick(self, time: int) -> Tick:
        """Return a tick whose watermark is at `time`, or some way behind it."""
        self.now = max(self.now + 1, time)
        lateness, shortest = self.settings.lateness * 1000, self.settings.periods[0] * 1000
        behind = self.rng.choice((0, 5 * MINUTE, self.rng.randint(0, lateness + HOUR)))
        reached = self.rng.choice((time - behind, time // shortest * shortest))
        if self.watermark is not None or not _once_in(self.rng, 4):
            self.watermark = max(self.watermark or 0, reached)
        return Tick(self.now, self.watermark)


def _delays(rng: random.Random, lateness: int) -> list[int]:
    """Return how long after its time a sample arrives, once or more often."""
    times = rng.choice((1, 1, 1, 2, 3))
    return [rng.choice((0, rng.randint(0, lateness), lateness)) for _ in range(times)]


def _once_in(rng: random.Random, number: int) -> bool:
    return rng.randrange(number) == number - 1
