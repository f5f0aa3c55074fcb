"""Rows of alarms that stay in their state: what they add up to, and how long they are kept."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.book_held import Held
from metering.alarms.buckets_guard import Guard, Span, span_of
from metering.alarms.buckets_partials import added_by, summed
from metering.alarms.buckets_statistics import Partial
from metering.alarms.buckets_verdicts import NEVER, Moment
from metering.schema import HELD, PARTIALS
from tests.alarms.transcript import START, at, came, define, expect, run, sample, tick

MINUTE = 60_000  # ms
Point = tuple[int, float]


def of_points(points: list[Point]) -> dict[str, Any]:
    """Return the columns of a row for some samples."""
    ordered = sorted(points)
    volumes = [volume for _, volume in ordered]
    return {
        "counter": 0, "count": len(ordered), "sum": sum(volumes), "min": min(volumes),
        "max": max(volumes), "first": volumes[0], "last": volumes[-1], "first_at": ordered[0][0],
        "last_at": ordered[-1][0], "times": [when for when, _ in ordered], "volumes": volumes,
    }  # fmt: skip


points = st.lists(
    st.tuples(st.integers(0, 59), st.integers(-8, 8).map(float)), min_size=1, max_size=4
)
rows = st.lists(
    st.tuples(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), points),
    max_size=12,
)


@given(rows)
def test_rows_of_one_alarm_series_and_period_are_added_up_as_one_after_another(
    came: list[tuple[tuple[int, int, int], list[Point]]],
) -> None:
    columns = [
        dict(zip(("alarm", "series", "bucket"), key, strict=True)) | of_points(some)
        for key, some in came
    ]
    wanted: dict[tuple[int, ...], Partial] = {}
    for (key, _), one in zip(came, added_by(pa.Table.from_pylist(columns, HELD)), strict=True):
        if key in wanted:
            wanted[key].add(one)
        else:
            wanted[key] = one
    found = summed(pa.Table.from_pylist(columns, HELD))
    keys = zip(*(found[name].to_pylist() for name in ("alarm", "series", "bucket")), strict=True)
    told = dict(zip(keys, added_by(found), strict=True))
    for one in (*told.values(), *wanted.values()):
        one.points.sort()
    assert told == wanted
    assert list(told) == sorted(wanted)


def test_what_was_held_counts_when_the_state_changes() -> None:
    rule = {
        "metric": "cpu", "resource_id": "r", "resource_type": "instance", "granularity": 60,
        "aggregation_method": "mean", "comparison_operator": "gt", "threshold": 2.0,
    }  # fmt: skip
    kind = "gnocchi_resources_threshold"
    stream = run(
        define(type=kind, **{f"{kind}_rule": rule}),
        tick("00:01", lag=30),
        came(sample("00:02", 1.0)),
        expect("unknown -> ok"),
        tick("00:03", lag=30),
        came(sample("00:04", 1.0)),  # looked at, and from then on held
        came(sample("00:05", 1.0)),
        came(sample("01:01", 1.0)),
        tick("01:02", lag=30),
        came(sample("01:03", 1.0), sample("01:04", 1.0)),
        came(sample("01:05", 9.0)),
        expect("ok -> alarm"),
    )
    (made,) = [one for one in stream.made if one.current == "alarm"]
    assert made.reason_data["most_recent"] == 3.0  # of 1, 1, 1 and 9
    assert (made.at, made.seen) == (at("01:02"), at("01:05"))


def test_rows_that_are_too_old_to_be_looked_at_are_forgotten() -> None:
    alarms, minutes = 1000, 60
    held = Held()
    numbers = np.arange(alarms)
    for number in range(alarms):
        guard = Guard(Span(0.0, 1.0), START, MINUTE, NEVER, 0, sliding=False)
        held.guard(number, guard, back=5)
    for minute in range(minutes):
        now = START + minute * MINUTE
        assert held.hold(numbers, partials(now, alarms), Moment(now, now - MINUTE), minute).all()
    told = dict(held.release([7, 8]))
    assert sorted(told) == [7, 8]
    buckets = [bucket - START // MINUTE for _, bucket, _ in told[7].rows]
    # They are added up once fifty thousand have come: the first of the last fifty are five before.
    assert buckets == list(range(44, 60))
    assert list(held.release([7])) == [(7, told[7]._replace(rows=[]))]
    assert len(dict(held.release([9]))[9].rows) == len(told[7].rows)


def test_few_rows_are_added_up_too_once_they_came_in_many_bundles() -> None:
    held = Held()
    held.guard(0, Guard(Span(0.0, 1.0), START, MINUTE, NEVER, 0, sliding=False), back=5)
    for second in range(100):
        now = START + second * 1000
        assert held.hold(np.zeros(1, np.int64), partials(now, 1), Moment(now, START), 1).all()
    ((_, kept),) = held.release([0])
    assert [(bucket - START // MINUTE, added.count) for _, bucket, added in kept.rows] == [
        (0, 60),
        (1, 40),
    ]


def partials(now: int, alarms: int) -> pa.Table:
    """Return a sample of each alarm's own series."""
    one = of_points([(now, 1.0)]) | {"times": [], "volumes": []}
    made = [
        {"alarm_id": str(n), "part": 0, "series": n, "bucket": now // MINUTE} | one
        for n in range(alarms)
    ]
    return pa.Table.from_pylist(made, PARTIALS)


def test_a_guard_lets_pass_what_is_on_the_side_of_the_state() -> None:
    assert span_of("gt", 2.0, "max", "ok") == (-np.inf, 2.0)
    assert span_of("ge", 2.0, "max", "alarm") == (2.0, np.inf)
    assert span_of("lt", 0.0, "mean", "ok") == (0.0, np.inf)
    assert span_of("le", 2.0, "last", "alarm") == (-np.inf, 2.0)
    assert span_of("eq", 2.0, "min", "alarm") == (2.0, 2.0)
    assert span_of("ne", 2.0, "min", "ok") == (2.0, 2.0)
    least, most = span_of("gt", 2.0, "first", "alarm") or Span(0, 0)
    assert (least > 2.0, least < 2.0 + 1e-15, most) == (True, True, np.inf)


def test_a_mean_of_equal_values_may_be_rounded_to_the_other_side() -> None:
    assert sum([0.1] * 3) / 3 > 0.1  # so values at the threshold are looked at
    span = span_of("gt", 0.1, "mean", "ok")
    assert span is not None
    assert (span.holds(0.1, 0.1), span.holds(0.0999, 0.0999)) == (False, True)


def test_only_the_statistic_itself_can_tell_of_sums_counts_growth_and_what_differs() -> None:
    for statistic in ("sum", "count", "std", "rate:mean", "rate:95pct"):
        assert span_of("gt", 2.0, statistic, "ok") is None
    assert span_of("eq", 2.0, "max", "ok") is None
    assert span_of("gt", 2.0, "max", "insufficient data") is None
    span = span_of("gt", 2.0, "max", "ok")
    assert span is not None
    assert not span.holds(float("nan"), float("nan"))
