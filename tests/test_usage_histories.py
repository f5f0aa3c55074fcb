"""Random histories are what they promise, and hold every case that usage may get wrong."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given

from tests.usage.histories import (
    Arrival,
    History,
    Script,
    Tick,
    histories,
    histories_and_scripts,
    seeded,
    series_of,
    watermark_of,
)
from tests.usage.oracle import Sample, Settings

SEEDS = range(300)


def in_time(past: History, steps: Script) -> Iterator[Arrival]:
    """Yield what arrives, as long as neither it is late nor time goes back."""
    shortest, lateness = past.settings.periods[0] * 1000, past.settings.lateness * 1000
    watermark, now = 0, 0
    for step in steps:
        if isinstance(step, Tick):
            assert step.now > now
            assert step.watermark is None or watermark <= step.watermark <= step.now
            now, watermark = step.now, step.watermark or watermark
            continue
        for arrival in step:
            end = arrival.sample.timestamp_ms // shortest * shortest + shortest
            assert end + lateness > watermark
            yield arrival


@given(histories_and_scripts())
def test_a_script_brings_every_sample_at_least_once_and_none_late(
    both: tuple[History, Script],
) -> None:
    past, steps = both
    arrived = list(in_time(past, steps))
    found = {arrival.message_id: arrival.sample for arrival in arrived}
    assert found == {f"{number:06}": sample for number, sample in enumerate(past.samples)}
    assert [each for each in arrived if found[each.message_id] != each.sample] == []
    assert isinstance(steps[-1], Tick)
    assert steps[-1].watermark == watermark_of(steps)


@given(histories())
def test_only_deltas_of_one_unit_share_a_time_in_a_series(past: History) -> None:
    for mine in series_of(past):
        for a, b in itertools.pairwise(mine):
            if a.timestamp_ms == b.timestamp_ms:
                assert (a.type, a.unit) == (b.type, b.unit)
                assert a.type == "delta"


def test_a_seed_is_one_history_and_one_script() -> None:
    assert [seeded(seed) for seed in range(20)] == [seeded(seed) for seed in range(20)]
    assert seeded(0) != seeded(1)


@functools.cache
def neighbours() -> list[tuple[Settings, Sample, Sample]]:
    """Return the settings and neighbours of every series of many histories."""
    return [
        (past.settings, a, b)
        for past, _ in map(seeded, SEEDS)
        for mine in series_of(past)
        for a, b in itertools.pairwise(mine)
    ]


CASES: dict[str, Callable[[Settings, Sample, Sample], bool]] = {
    "reset": lambda _, a, b: a.type == b.type == "cumulative" and 0 <= b.volume < a.volume,
    "negative after a reset": lambda _, a, b: (
        b.type == "cumulative" and b.volume < min(0, a.volume)
    ),
    "counter that stands still": lambda _, a, b: b.type == "cumulative" and b.volume == a.volume,
    "negative gauge": lambda _, a, b: b.type == "gauge" and b.volume < 0,
    "deltas of one time": lambda _, a, b: a.timestamp_ms == b.timestamp_ms,
    "deltas of one time and volume": lambda _, a, b: a[:8] == b[:8],
    "at an edge": lambda cut, _, b: b.timestamp_ms % (cut.periods[0] * 1000) == 0,
    "just before an edge": lambda cut, _, b: (b.timestamp_ms + 1) % (cut.periods[0] * 1000) == 0,
    "exactly max_gap": lambda cut, a, b: b.timestamp_ms - a.timestamp_ms == cut.max_gap * 1000,
    "just over max_gap": lambda cut, a, b: (
        b.timestamp_ms - a.timestamp_ms == cut.max_gap * 1000 + 1
    ),
    "hours": lambda _, a, b: 2 < (b.timestamp_ms - a.timestamp_ms) / 3_600_000 < 12,
    "days": lambda _, a, b: b.timestamp_ms - a.timestamp_ms > 2 * 86_400_000,
    "other project": lambda _, a, b: a.project_id != b.project_id,
    "other user": lambda _, a, b: a.project_id == b.project_id and a.user_id != b.user_id,
    "other type": lambda _, a, b: a.type != b.type,
    "other unit alone": lambda _, a, b: a.type == b.type and a.unit != b.unit,
    "gauge ended": lambda cut, a, b: bool(cut.ends) and ends(a) and a.type == b.type == "gauge",
    "other flavor": lambda cut, a, b: bool(cut.segments) and flavor(a) != flavor(b),
    "dyadic": lambda _, a, b: b.volume % 1 in (0.125, 0.625),
    "arbitrary": lambda _, a, b: b.volume * 2**20 % 1 != 0,
    "big": lambda _, a, b: b.volume > 10**15,
}


def ends(sample: Sample) -> bool:
    return sample.metadata.get("event_type", "").endswith(".end")


def flavor(sample: Sample) -> str | None:
    return sample.metadata.get("flavor_name")


@pytest.mark.parametrize("case", CASES)
def test_histories_hold_every_case(case: str) -> None:
    assert sum(CASES[case](*each) for each in neighbours()) >= 5


def case_of(past: History, steps: Script) -> Iterator[str]:
    """Yield what happens in a script that a job may get wrong."""
    newest: dict[str, int] = {}  # ms, by series
    seen: set[str] = set()
    watermark: int | None = None
    final_at = {
        (each.timestamp_ms // ms + 1) * ms + past.settings.lateness * 1000
        for each in past.samples
        for ms in (past.settings.periods[0] * 1000,)
    }
    for step, following in itertools.pairwise([*steps, None]):
        if isinstance(step, Tick):
            watermark = step.watermark
            yield "no watermark yet" if watermark is None else "watermark"
            yield "final to the millisecond" if watermark in final_at else "otherwise"
            yield "two ticks at once" if isinstance(following, Tick) else "one tick"
            continue
        for message_id, sample in step:
            series = f"{sample.meter} {sample.resource_id}"
            yield "repeat" if message_id in seen else "first"
            yield "out of order" if sample.timestamp_ms < newest.get(series, 0) else "in order"
            yield "behind the watermark" if sample.timestamp_ms < (watermark or 0) else "ahead"
            seen.add(message_id)
            newest[series] = max(newest.get(series, 0), sample.timestamp_ms)


def test_scripts_hold_every_case() -> None:
    counted = Counter(case for seed in SEEDS for case in case_of(*seeded(seed)))
    expected = {
        "no watermark yet", "final to the millisecond", "two ticks at once", "repeat",
        "out of order", "behind the watermark",
    }  # fmt: skip
    assert {case for case in expected if counted[case] < 20} == set()


def test_series_go_back_to_an_earlier_project_within_a_window() -> None:
    def back(cut: Settings, mine: list[Sample]) -> bool:
        window = cut.periods[0] * 1000
        return any(
            a[:3] == b[:3] == c[:3]
            and a.project_id == c.project_id != b.project_id
            and a.timestamp_ms // window == c.timestamp_ms // window
            for a, b, c in zip(mine, mine[1:], mine[2:], strict=False)
        )

    assert any(
        back(past.settings, mine) for past, _ in map(seeded, SEEDS) for mine in series_of(past)
    )
