"""Laws that hold for the oracle of usage, in exact fractions, over any history."""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.usage.histories import MIDNIGHT, History, histories, series_of
from tests.usage.oracle import Row, Sample, Settings, usage

Totals: TypeAlias = dict[tuple[Any, ...], Fraction]
WINDOW = ("meter", "resource_id", "unit", "period", "start")
WATERMARKS = st.none() | st.integers(0, 10**9).map(lambda ms: MIDNIGHT + ms)


def exact(past: History) -> History:
    """Return a history with its volumes as fractions: nothing is rounded from there on."""
    samples = (each._replace(volume=Fraction(each.volume)) for each in past.samples)
    return past._replace(samples=tuple(samples))


def total(rows: list[Row], type: str, by: tuple[str, ...]) -> Totals:
    """Return the usage of a type summed by some columns, without what is nothing."""
    sums: Totals = defaultdict(Fraction)
    for each in rows:
        if each.type == type:
            sums[tuple(getattr(each, name) for name in by)] += Fraction(each.usage)
    return {key: amount for key, amount in sums.items() if amount}


def growths(mine: list[Sample]) -> Iterator[tuple[Sample, Sample, Fraction]]:
    """Yield the neighbours of a series between which a counter grew, and by how much."""
    for a, b in itertools.pairwise(mine):
        if (a.type, a.unit, b.type) == ("cumulative", b.unit, "cumulative"):
            since = a.volume if b.volume >= a.volume else 0
            yield a, b, max(Fraction(0), Fraction(b.volume - since))


@given(histories())
def test_growth_over_windows_adds_up_to_the_growth_of_the_series(past: History) -> None:
    expected: Totals = defaultdict(Fraction)
    for mine in series_of(exact(past)):
        for _, b, growth in growths(mine):
            for period in past.settings.periods:
                expected[b.meter, b.resource_id, b.unit, period] += growth
    found = total(usage(exact(past).samples, None, past.settings), "cumulative", WINDOW[:-1])
    assert found == {key: growth for key, growth in expected.items() if growth}


def read(mine: list[Sample], unit: str, time: int) -> Fraction:
    """Return what a counter without resets would read at a time."""
    reading = Fraction(0)
    for a, b, growth in growths(mine):
        if a.unit == unit and a.timestamp_ms < time:
            passed = Fraction(time - a.timestamp_ms, b.timestamp_ms - a.timestamp_ms)
            reading += growth * min(passed, Fraction(1))
    return reading


@given(histories())
def test_growth_of_a_window_is_what_the_counter_reads_at_its_end_less_at_its_start(
    past: History,
) -> None:
    found = total(usage(exact(past).samples, None, past.settings), "cumulative", WINDOW)
    series = {(mine[0].meter, mine[0].resource_id): mine for mine in series_of(exact(past))}
    for (meter, resource, unit, period, start), amount in found.items():
        of = series[meter, resource], unit
        assert amount == read(*of, (start + period) * 1000) - read(*of, start * 1000)


def held(mine: list[Sample], time: int, watermark: int | None, cut: Settings) -> Fraction:
    """Return the value held just after a time: looked up, never carried."""
    past = [each for each in mine if each.timestamp_ms <= time]
    future = [each for each in mine if each.timestamp_ms > time]
    if not past or past[-1].type != "gauge":
        return Fraction(0)
    last = past[-1]
    stale = time >= last.timestamp_ms + cut.max_gap * 1000
    ended = bool(cut.ends) and last.metadata.get("event_type", "").endswith(".end")
    changed = bool(future) and (future[0].type, future[0].unit) != (last.type, last.unit)
    unseen = not future and (watermark is None or time >= watermark)
    return Fraction(0) if stale or ended or changed or unseen else Fraction(last.volume)


@given(histories(), WATERMARKS)
def test_a_gauge_is_the_area_under_the_value_in_force(past: History, watermark: int | None) -> None:
    expected: Totals = defaultdict(Fraction)
    cut = past.settings
    rows = usage(exact(past).samples, watermark, cut)
    edges = {ms for row in rows for ms in (row.start * 1000, (row.start + row.period) * 1000)}
    for mine in series_of(exact(past)):
        turns = {each.timestamp_ms + more for each in mine for more in (0, cut.max_gap * 1000)}
        for low, high in itertools.pairwise(sorted(edges | turns | {watermark or 0})):
            unit = next((s.unit for s in reversed(mine) if s.timestamp_ms <= low), "")
            for period in cut.periods:
                whose = (mine[0].meter, mine[0].resource_id, unit)
                area = held(mine, low, watermark, cut) * (high - low)
                start = low // 1000 // period * period
                expected[(*whose, period, start)] += area / 3_600_000
    assert total(rows, "gauge", WINDOW) == {key: area for key, area in expected.items() if area}


@given(histories())
def test_a_delta_is_counted_once_in_each_period(past: History) -> None:
    expected: Totals = defaultdict(Fraction)
    for each in exact(past).samples:
        for period in past.settings.periods if each.type == "delta" else ():
            expected[each.meter, each.resource_id, each.unit, period] += Fraction(each.volume)
    found = total(usage(exact(past).samples, None, past.settings), "delta", WINDOW[:-1])
    assert found == {key: volume for key, volume in expected.items() if volume}


def covered_ms(row: Row) -> int:
    return round((row.covered or 0) * 1000)


def summed(rows: list[Row], period: int, over: int) -> dict[tuple[Any, ...], list[Fraction]]:
    """Return count, sum, usage and covered ms of a period's rows, added over a longer one."""
    sums: dict[tuple[Any, ...], list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 4)
    for each in rows:
        if each.period == period:
            of = (*each[:7], each.start // over)
            told = (each.count, each.sum, each.usage, covered_ms(each))
            sums[of] = [a + Fraction(b) for a, b in zip(sums[of], told, strict=True)]
    return sums


@given(histories(), WATERMARKS)
def test_a_day_is_the_sum_of_its_hours(past: History, watermark: int | None) -> None:
    shortest, *longer = past.settings.periods
    rows = usage(exact(past).samples, watermark, past.settings)
    for period in longer:
        assert summed(rows, shortest, over=period) == summed(rows, period, over=period)


@given(histories(), WATERMARKS)
def test_coverage_never_exceeds_the_period(past: History, watermark: int | None) -> None:
    covered: dict[tuple[Any, ...], int] = defaultdict(int)  # ms, over all owners and types
    for each in usage(past.samples, watermark, past.settings):
        covered[each.meter, each.resource_id, each.period, each.start] += covered_ms(each)
    assert [window for window, ms in covered.items() if not 0 <= ms <= window[2] * 1000] == []


def place(sample: Sample) -> tuple[str, str, int, float]:
    return sample.meter, sample.resource_id, sample.timestamp_ms, sample.volume


@given(histories(), st.randoms(use_true_random=False))
def test_samples_in_any_order_give_the_same_rows(past: History, rng: random.Random) -> None:
    assume(len({place(each) for each in past.samples}) == len(past.samples))  # ids settle ties
    samples = rng.sample(past.samples, len(past.samples))
    watermark = MIDNIGHT + 86_400_000
    assert usage(samples, watermark, past.settings) == usage(past.samples, watermark, past.settings)
