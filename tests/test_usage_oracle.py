"""The oracle of usage says what the rules say: rows worked out by hand.

Times are of 1970-01-01 ("1 10:00" is ten o'clock on the day after), so that they are easy to count.
"""

from typing import Any

from tests.usage.histories import Arrival, Tick
from tests.usage.oracle import Row, Sample, Settings, usage
from tests.usage.stream import Stream

MINUTE, HOUR = 60_000, 3_600_000  # ms
FLAVOR = {"flavor": ("flavor_name", "flavor_id")}
PLACE = {"meter": "m", "unit": "B", "project_id": "p", "user_id": "u", "resource_id": "r"}
EMPTY = {
    "segment": "", "period": 3600, "count": 0, "first": None, "last": None, "sum": 0, "min": None,
    "max": None, "average": None, "usage": 0, "covered": 0, "cadence": 0, "first_at": None,
    "last_at": None, "final": False,
}  # fmt: skip


def ms(time: str) -> int:
    """Return "10:00", "10:00:00.5" or "1 10:00" in ms."""
    day, clock = time.split(" ") if " " in time else ("0", time)
    hour, minute, second = (*clock.split(":"), "0")[:3]
    return (
        (int(day) * 24 + int(hour)) * 3_600_000 + int(minute) * 60_000 + round(float(second) * 1000)
    )


def counter(time: str, volume: float, type: str = "cumulative", **other: Any) -> Sample:
    return Sample(**PLACE | {"type": type, "volume": volume, "timestamp_ms": ms(time)} | other)


def gauge(time: str, volume: float, **other: Any) -> Sample:
    return counter(time, volume, "gauge", **other)


def delta(time: str, volume: float, **other: Any) -> Sample:
    return counter(time, volume, "delta", **other)


def rows(*samples: Sample, watermark: str | None = None, **other: Any) -> list[Row]:
    """Return the rows of an hour, unless other periods are told; the job's windows say the same."""
    reached = ms(watermark) if watermark else None
    settings = Settings(**{"periods": (3600,)} | other)
    found = usage(samples, reached, settings)
    stream = Stream(settings)
    arrivals = tuple(Arrival(f"{n:06}", sample) for n, sample in enumerate(samples))
    stream.run([arrivals, Tick(ms("9 00:00"), reached)])
    stream.all_told()
    assert sorted(stream.usage_rows(), key=str) == sorted(found, key=str)
    return found


def row(start: str, type: str, own: dict[str, Any] | None = None, **told: Any) -> Row:
    """Return an hour's row: empty but for its own samples and what is told."""
    return Row(**PLACE | EMPTY | {"type": type, "start": ms(start) // 1000} | (own or {}) | told)


def own(times: str, *volumes: float) -> dict[str, Any]:
    """Return what a row says of its own samples: `first-last` or the one time, and volumes in order."""
    first_at, *_, last_at = [*times.split("-"), *times.split("-")]
    return {
        "count": len(volumes), "first": volumes[0], "last": volumes[-1], "min": min(volumes),
        "max": max(volumes), "first_at": ms(first_at), "last_at": ms(last_at),
    }  # fmt: skip


def test_a_first_sample_is_a_baseline_and_adds_nothing() -> None:
    assert rows(counter("10:00", 700)) == [row("10:00", "cumulative", own("10:00", 700))]


def test_a_counter_counts_growth_between_neighbours_and_nothing_beyond_the_last() -> None:
    seen = counter("10:30", 40), counter("10:10", 10), counter("10:40", 45)
    told = {"sum": 35, "usage": 35, "covered": 1800, "cadence": 10 * MINUTE}
    assert rows(*seen, watermark="12:00") == [
        row("10:00", "cumulative", own("10:10-10:40", 10, 40, 45), **told)
    ]


def test_a_smaller_volume_is_a_reset_and_counts_from_zero() -> None:
    told = {"sum": 40, "usage": 40, "covered": 2400, "cadence": 20 * MINUTE}
    assert rows(counter("10:00", 90), counter("10:20", 100), counter("10:40", 30)) == [
        row("10:00", "cumulative", own("10:00-10:40", 90, 100, 30), **told)
    ]


def test_growth_is_never_negative_though_a_volume_may_be() -> None:
    told = {"sum": 4, "usage": 4, "covered": 2400, "cadence": 20 * MINUTE}
    assert rows(counter("10:00", 5), counter("10:20", -7), counter("10:40", -3)) == [
        row("10:00", "cumulative", own("10:00-10:40", 5, -7, -3), **told)
    ]


def test_growth_across_an_edge_is_split_by_time() -> None:
    assert rows(counter("10:45", 100), counter("11:15", 160)) == [
        row("10:00", "cumulative", own("10:45", 100), sum=30, usage=30, covered=900),
        row(
            "11:00", "cumulative", own("11:15", 160), sum=30, usage=30, covered=900,
            cadence=30 * MINUTE,
        ),
    ]  # fmt: skip


def test_growth_after_a_reset_is_split_by_time_too() -> None:
    assert rows(counter("10:45", 100), counter("11:45", 80)) == [
        row("10:00", "cumulative", own("10:45", 100), sum=20, usage=20, covered=900),
        row(
            "11:00", "cumulative", own("11:45", 80), sum=60, usage=60, covered=2700, cadence=HOUR
        ),
    ]  # fmt: skip


def test_a_product_is_taken_before_its_quotient_and_a_piece_is_a_difference_of_shares() -> None:
    found = rows(counter("10:30", 0.0), counter("13:00", 0.1))
    pieces = [0.02, 0.039999999999999994, 0.04000000000000001, 0]
    assert [each.usage for each in found] == pieces


def test_growth_crosses_a_gap_of_any_length_but_at_most_max_gap_of_it_is_covered() -> None:
    assert rows(counter("10:30", 0), counter("13:30", 180)) == [
        row("10:00", "cumulative", own("10:30", 0), sum=30, usage=30, covered=1800),
        row("11:00", "cumulative", sum=60, usage=60, covered=2100),
        row("12:00", "cumulative", sum=60, usage=60),
        row("13:00", "cumulative", own("13:30", 180), sum=30, usage=30, cadence=3 * HOUR),
    ]


def test_growth_of_a_series_that_was_silent_reaches_back_into_final_windows() -> None:
    found = rows(counter("10:00", 0), counter("15:00", 50), watermark="14:00")
    assert [(each.start // 3600, each.usage, each.final) for each in found] == [
        (10, 10, True), (11, 10, True), (12, 10, False), (13, 10, False), (14, 10, False),
        (15, 0, False),
    ]  # fmt: skip


def test_a_window_in_which_a_counter_stood_still_has_a_row_without_samples() -> None:
    found = rows(counter("10:30", 7), counter("12:30", 7), max_gap=7200)
    assert found[1] == row("11:00", "cumulative", covered=3600)


def test_a_sample_on_an_edge_ends_the_growth_before_it_and_lies_in_the_window_it_starts() -> None:
    assert rows(counter("10:30", 10), counter("11:00", 40)) == [
        row("10:00", "cumulative", own("10:30", 10), sum=30, usage=30, covered=1800),
        row("11:00", "cumulative", own("11:00", 40), cadence=30 * MINUTE),
    ]


def test_a_delta_belongs_to_the_window_of_its_timestamp_and_covers_no_time() -> None:
    assert rows(delta("10:59:59.999", 4), delta("11:00", 5), delta("11:30", -2)) == [
        row("10:00", "delta", own("10:59:59.999", 4), sum=4, usage=4, covered=None),
        row("11:00", "delta", own("11:00-11:30", 5, -2), sum=3, usage=3, covered=None),
    ]


def test_deltas_of_one_time_all_count_in_order_of_volume_and_give_no_cadence() -> None:
    assert rows(delta("10:30", 9), delta("10:30", 2), delta("10:30", 2)) == [
        row("10:00", "delta", own("10:30", 2, 2, 9), sum=13, usage=13, covered=None)
    ]


def test_a_gauge_is_the_integral_of_what_was_held_in_unit_hours() -> None:
    told = {"sum": 60, "usage": 40, "average": 40, "covered": 3600, "cadence": 15 * MINUTE}
    assert rows(gauge("10:00", 10), gauge("10:15", 50), gauge("11:00", 3)) == [
        row("10:00", "gauge", own("10:00-10:15", 10, 50), **told),
        row("11:00", "gauge", own("11:00", 3), sum=3, cadence=45 * MINUTE),
    ]


def test_a_held_value_crosses_edges_for_at_most_max_gap_beyond_its_sample() -> None:
    assert rows(gauge("10:30", 12), gauge("13:30", 6)) == [
        row("10:00", "gauge", own("10:30", 12), sum=12, usage=6, average=12, covered=1800),
        row("11:00", "gauge", usage=7, average=12, covered=2100),
        row("13:00", "gauge", own("13:30", 6), sum=6, cadence=3 * HOUR),
    ]


def test_max_gap_can_be_set_and_the_average_is_over_covered_hours_alone() -> None:
    found = rows(gauge("10:00", 12), gauge("10:30", 24), gauge("10:50", 0), max_gap=600)
    told = {"sum": 36, "usage": 6, "average": 18, "covered": 1200, "cadence": 20 * MINUTE}
    assert found == [row("10:00", "gauge", own("10:00-10:50", 12, 24, 0), **told)]


def test_nothing_is_held_beyond_a_sample_that_ends_its_resource() -> None:
    told = {"sum": 24, "usage": 4, "average": 8, "covered": 1800, "cadence": 15 * MINUTE}
    end = gauge("10:15", 8, metadata={"event_type": "volume.delete.end"})
    again = gauge("10:45", 8)
    found = rows(gauge("10:00", 8), end, again, watermark="11:00", ends=("*.delete.end",))
    assert found == [row("10:00", "gauge", own("10:00-10:45", 8, 8, 8), **told)]


def test_what_ends_a_resource_may_be_said_by_meter() -> None:
    end = gauge("10:30", 8, metadata={"event_type": "volume.detach.end"})
    found = rows(gauge("10:00", 8), end, watermark="11:00", ends_by_meter={"?": ("*.detach.end",)})
    assert [each.usage for each in found] == [4]


def test_the_start_of_a_deletion_ends_nothing() -> None:
    start = gauge("10:00", 8, metadata={"event_type": "volume.delete.start"})
    found = rows(start, watermark="10:30", ends=("*.delete.end",))
    told = {"sum": 8, "usage": 4, "average": 8, "covered": 1800}
    assert found == [row("10:00", "gauge", own("10:00", 8), **told)]


def test_a_last_value_counts_up_to_the_watermark_and_never_beyond() -> None:
    empty = row("10:00", "gauge", own("10:30", 8), sum=8)
    half = empty._replace(usage=4, average=8, covered=1800)
    after = row("11:00", "gauge", usage=2, average=8, covered=900)
    for watermark, expected in [
        (None, [empty]),
        ("09:00", [empty]),
        ("10:30", [empty]),
        ("11:00", [half]),
        ("11:15", [half, after]),
    ]:
        assert rows(gauge("10:30", 8), watermark=watermark) == expected


def test_negative_gauges_are_taken() -> None:
    told = {"sum": -4, "usage": -2, "average": -4, "covered": 1800}
    found = rows(gauge("10:30", -4), watermark="11:00")
    assert found == [row("10:00", "gauge", own("10:30", -4), **told)]


def test_an_interval_belongs_to_the_project_and_user_of_its_earlier_sample() -> None:
    found = rows(
        counter("10:00", 0),
        counter("10:20", 10, project_id="q"),
        counter("10:30", 30, project_id="q", user_id="v"),
        counter("10:50", 35),
    )
    q, v = {"project_id": "q"}, {"project_id": "q", "user_id": "v"}
    both = own("10:00-10:50", 0, 35)
    assert found == [
        row("10:00", "cumulative", both, sum=10, usage=10, covered=1200, cadence=20 * MINUTE),
        row(
            "10:00", "cumulative", own("10:20", 10), sum=20, usage=20, covered=600,
            cadence=20 * MINUTE, **q,
        ),
        row(
            "10:00", "cumulative", own("10:30", 30), sum=5, usage=5, covered=1200,
            cadence=10 * MINUTE, **v,
        ),
    ]  # fmt: skip


def test_17_minutes_small_and_43_large_add_up_to_the_hour() -> None:
    small, large = ({"flavor_name": f"m1.{size}"} for size in ("small", "large"))
    seen = [gauge("10:00", 1, metadata=small), gauge("10:17", 1, metadata=large)]
    found = rows(*seen, gauge("11:00", 1, metadata=large), segments=FLAVOR)
    told = [(each.segment, each.start // 3600, each.usage, each.covered) for each in found]
    assert told == [
        ("flavor=m1.large", 10, 43 / 60, 2580),
        ("flavor=m1.large", 11, 0, 0),
        ("flavor=m1.small", 10, 17 / 60, 1020),
    ]


def test_a_segment_names_the_first_key_present_of_each_name_that_has_a_value() -> None:
    by_both = FLAVOR | {"zone": ("zone",)}
    told = [
        {"flavor_id": "1", "flavor_name": "a", "zone": "z"},
        {"flavor_id": "1"},
        {"zone": "z"},
        {},
    ]
    seen = [delta("10:00", 1, metadata=metadata) for metadata in told]
    segments = {each.segment for each in rows(*seen, segments=by_both)}
    assert segments == {"flavor=a,zone=z", "flavor=1", "zone=z", ""}


def test_a_row_is_final_once_the_watermark_is_at_its_end_plus_lateness() -> None:
    seen, both = delta("10:30", 1), {"periods": (3600, 86400), "lateness": 7200}
    for watermark, expected in [
        (None, [False, False]),
        ("12:59:59.999", [False, False]),
        ("13:00", [True, False]),
        ("1 01:59:59.999", [True, False]),
        ("1 02:00", [True, True]),
    ]:
        assert [each.final for each in rows(seen, watermark=watermark, **both)] == expected


def test_a_change_of_type_starts_a_series_anew_and_nothing_counts_between() -> None:
    assert rows(
        gauge("10:00", 6), gauge("10:10", 6), counter("10:20", 5), counter("10:50", 9),
        gauge("10:55", 6),
    ) == [
        row(
            "10:00", "cumulative", own("10:20-10:50", 5, 9), sum=4, usage=4, covered=1800,
            cadence=30 * MINUTE,
        ),
        row(
            "10:00", "gauge", own("10:00-10:55", 6, 6, 6), sum=18, usage=1, average=6, covered=600,
            cadence=10 * MINUTE,
        ),
    ]  # fmt: skip


def test_a_change_of_unit_starts_a_series_anew() -> None:
    assert rows(counter("10:00", 6), counter("10:10", 8, unit="kB")) == [
        row("10:00", "cumulative", own("10:00", 6)),
        row("10:00", "cumulative", own("10:10", 8), unit="kB"),
    ]


def test_each_resource_and_each_meter_is_a_series_of_its_own() -> None:
    seen = [
        counter("10:00", 1),
        counter("10:01", 5, resource_id="s"),
        counter("10:02", 9, meter="n"),
    ]
    found = rows(*seen, counter("10:03", 2), counter("10:04", 7, resource_id="s"))
    assert [(each.meter, each.resource_id, each.usage) for each in found] == [
        ("m", "r", 1),
        ("m", "s", 2),
        ("n", "r", 0),
    ]


def test_a_cadence_is_the_shortest_way_to_a_sample_of_the_row_from_the_one_before() -> None:
    seen = [gauge("10:50", 1), gauge("11:10", 1), gauge("11:15", 1), gauge("11:45", 1)]
    found = rows(*seen, periods=(3600, 7200))
    assert [(each.period, each.start // 3600, each.cadence // MINUTE) for each in found] == [
        (3600, 10, 0),
        (3600, 11, 5),
        (7200, 10, 5),
    ]


def test_a_day_is_the_sum_of_its_hours() -> None:
    seen = [gauge("10:30", 6), gauge("11:00", 12), gauge("11:30", 3), gauge("1 00:00", 1)]
    hours_and_days = rows(*seen, watermark="1 02:00", periods=(3600, 86400))
    day = own("10:30-11:30", 6, 12, 3) | {
        "sum": 21, "usage": 12.25, "average": 12.25 / (7500 / 3600), "covered": 7500,
        "cadence": 30 * MINUTE,
    }  # fmt: skip
    tomorrow = own("1 00:00", 1) | {
        "sum": 1, "usage": 65 / 60, "average": 1, "covered": 3900, "cadence": 750 * MINUTE
    }  # fmt: skip
    assert [each for each in hours_and_days if each.period == 86400] == [
        row("00:00", "gauge", day, period=86400, final=True),
        row("1 00:00", "gauge", tomorrow, period=86400),
    ]
