"""Usage windows in time: what comes, a tick, and what stands then. Each story is a sentence of the rules.

Shape of a step: samples(...) come together; tick(now, watermark); expect(rows): the newest row of each
    window, as (start, state, count, usage, covered).
"""

from collections.abc import Callable
from typing import Any

from tests.test_usage_oracle import counter, delta, gauge, ms
from tests.usage.histories import Arrival, Tick
from tests.usage.oracle import Sample, Settings
from tests.usage.stream import Stream

Step = Callable[[Stream], None]
HOURLY = Settings(periods=(3600,), lateness=7200)
BOTH = HOURLY._replace(periods=(3600, 7200))


def run_transcript(*script: Step, settings: Settings = HOURLY) -> Stream:
    stream = Stream(settings)
    for step in script:
        step(stream)
    return stream


def samples(*some: Sample) -> Step:
    """Samples come together; the same sample has the same id, so it may come again."""
    return lambda stream: stream.run([tuple(Arrival(repr(one), one) for one in some)])


def tick(now: str, watermark: str | None = None) -> Step:
    """A tick, and the next: what was out of order is worked out between the two."""
    reached = ms(watermark) if watermark else None
    return lambda stream: stream.run([Tick(ms(now), reached), Tick(ms(now) + 11_000, reached)])


def expect(*rows: tuple[str, str, int, float, float | None]) -> Step:
    def holds(stream: Stream) -> None:
        there = sorted(
            (
                row["period"],
                row["start"],
                _state(row, stream),
                row["count"],
                row["usage"],
                row["covered"],
            )
            for row in stream.rows.values()
            if not row["is_deleted"]
        )
        assert [(f"{row[1]:%H:%M}", *row[2:]) for row in there] == list(rows)

    return holds


def _state(row: dict[str, Any], stream: Stream) -> str:
    end = row["start"].timestamp() + row["period"]
    final = stream.until is not None and end * 1000 <= stream.until
    return "restated" if row["restated"] else "final" if final else "open"


def test_a_window_is_open_until_the_watermark_is_past_its_end_and_lateness() -> None:
    run_transcript(
        samples(counter("10:10", 10), counter("10:40", 40)),
        tick("11:00", watermark="10:35"),
        expect(("10:00", "open", 2, 30, 1800)),
        tick("13:00", watermark="12:59:59.999"),
        expect(("10:00", "open", 2, 30, 1800)),
        tick("13:01", watermark="13:00"),
        expect(("10:00", "final", 2, 30, 1800)),
    )


def test_nothing_is_final_or_late_before_there_is_a_watermark() -> None:
    stream = run_transcript(
        samples(counter("20:00", 11)),
        tick("20:01"),
        samples(counter("10:00", 1)),
        tick("20:02"),
        expect(
            ("10:00", "open", 1, 1, 3600), *[(f"{h}:00", "open", 0, 1, 300 * (h == 11)) for h in range(11, 20)],
            ("20:00", "open", 1, 0, 0),
        ),
    )  # fmt: skip
    assert stream.late == []


def test_a_held_value_counts_up_to_the_watermark_and_never_beyond() -> None:
    run_transcript(
        samples(gauge("10:00", 4)),
        tick("10:31", watermark="10:30"),
        expect(("10:00", "open", 1, 2, 1800)),
        samples(gauge("10:45", 4)),
        tick("10:52", watermark="10:50"),
        expect(("10:00", "open", 2, 4 * 50 / 60, 3000)),
    )


def test_a_silent_gauge_is_held_for_max_gap_over_the_edge_and_then_no_more() -> None:
    run_transcript(
        samples(gauge("10:30", 4)),
        tick("13:01", watermark="13:00"),
        expect(("10:00", "final", 1, 2, 1800), ("11:00", "open", 0, 4 * 35 / 60, 2100)),
        tick("18:01", watermark="18:00"),
        expect(("10:00", "final", 1, 2, 1800), ("11:00", "final", 0, 4 * 35 / 60, 2100)),
    )


def test_a_sample_out_of_order_splits_its_interval_and_revises_both_parts() -> None:
    run_transcript(
        samples(counter("10:00", 0), counter("12:00", 120)),
        tick("12:01", watermark="11:55"),
        expect(
            ("10:00", "open", 1, 60, 3600),
            ("11:00", "open", 0, 60, 300),
            ("12:00", "open", 1, 0, 0),
        ),
        samples(counter("11:00", 100)),
        tick("12:02", watermark="11:56"),
        expect(
            ("10:00", "open", 1, 100, 3600),
            ("11:00", "open", 1, 20, 3600),
            ("12:00", "open", 1, 0, 0),
        ),
    )


def test_a_sample_before_the_first_becomes_the_baseline() -> None:
    run_transcript(
        samples(counter("10:30", 30)),
        tick("10:31", watermark="10:20"),
        expect(("10:00", "open", 1, 0, 0)),
        samples(counter("10:10", 10)),
        tick("10:32", watermark="10:21"),
        expect(("10:00", "open", 2, 20, 1200)),
    )


def test_a_repeat_changes_nothing_and_writes_nothing() -> None:
    first = (counter("10:00", 0), counter("10:30", 30))
    stream = run_transcript(samples(*first), tick("11:00", watermark="10:50"))
    written = list(stream.told)
    samples(*first)(stream)
    tick("11:10", watermark="10:55")(stream)
    assert stream.told == written


def test_a_reset_counts_from_zero() -> None:
    run_transcript(
        samples(counter("10:00", 100), counter("10:20", 150)),
        tick("10:21", watermark="10:15"),
        samples(counter("10:40", 7)),
        tick("10:41", watermark="10:35"),
        expect(("10:00", "open", 3, 57, 2400)),
    )


def test_a_late_sample_is_out_of_usage_until_it_is_restated() -> None:
    stream = run_transcript(
        samples(counter("10:00", 0), counter("11:00", 60)),
        tick("13:00", watermark="13:00"),
        samples(counter("10:30", 50)),
        tick("13:01", watermark="13:00"),
        expect(("10:00", "final", 1, 60, 3600), ("11:00", "open", 1, 0, 0)),
    )
    assert [one.volume for one in stream.late] == [50.0]


def test_a_late_sample_is_late_for_every_period() -> None:
    stream = run_transcript(
        samples(delta("10:00", 5), delta("11:30", 7)),
        tick("13:01", watermark="13:00"),
        samples(delta("10:30", 9)),
        tick("13:02", watermark="13:00"),
        expect(
            ("10:00", "final", 1, 5, None), ("11:00", "open", 1, 7, None),
            ("10:00", "open", 2, 12, None),
        ),
        settings=BOTH,
    )  # fmt: skip
    assert [one.volume for one in stream.late] == [9.0]


def test_a_series_that_was_silent_restates_final_windows_at_once() -> None:
    run_transcript(
        samples(counter("10:30", 0)),
        tick("14:00", watermark="14:00"),
        expect(("10:00", "final", 1, 0, 0)),
        samples(counter("14:30", 240)),
        tick("14:40", watermark="14:35"),
        expect(
            ("10:00", "restated", 1, 30, 1800), ("11:00", "restated", 0, 60, 2100),
            ("12:00", "open", 0, 60, 0), ("13:00", "open", 0, 60, 0), ("14:00", "open", 1, 30, 0),
        ),
    )  # fmt: skip


def test_the_interval_belongs_to_the_project_of_the_earlier_sample() -> None:
    run_transcript(
        samples(counter("10:00", 0), counter("10:20", 20)),
        tick("10:21", watermark="10:15"),
        samples(counter("10:40", 40, project_id="q"), counter("10:50", 70, project_id="q")),
        tick("10:51", watermark="10:45"),
        expect(("10:00", "open", 2, 30, 600), ("10:00", "open", 2, 40, 2400)),
    )


def test_nothing_is_held_beyond_the_end_of_a_resource() -> None:
    end = {"event_type": "compute.instance.delete.end"}
    run_transcript(
        samples(gauge("10:00", 2)),
        tick("11:30", watermark="11:20"),
        expect(("10:00", "open", 1, 2, 3600), ("11:00", "open", 0, 2 * 5 / 60, 300)),
        samples(gauge("10:30", 2, metadata=end)),
        tick("11:31", watermark="11:21"),
        expect(("10:00", "open", 2, 1, 1800)),
        settings=HOURLY._replace(ends=("*.delete.end",)),
    )


def test_a_series_whose_only_sample_is_taken_back_has_no_rows_also_when_a_kill_comes_between() -> (
    None
):
    stream = run_transcript(
        samples(gauge("10:10", 1, resource_id="a"), gauge("10:10", 2, resource_id="b")),
        tick("10:20", watermark="10:10"),
    )
    stream.withdraw(repr(gauge("10:10", 2, resource_id="b")))
    stream.again()
    stream.all_told()
    assert [(row.resource_id, row.last) for row in stream.usage_rows()] == [("a", 1)]


def test_what_ends_a_resource_may_be_said_by_meter() -> None:
    end = {"event_type": "volume.detach.end"}
    settings = HOURLY._replace(ends=("*.delete.end",), ends_by_meter={"other": ("*.detach.end",)})
    for meter, usage in (("gauge", 2), ("other", 1)):
        run_transcript(
            samples(gauge("10:00", 2, meter=meter), gauge("10:30", 2, meter=meter, metadata=end)),
            tick("11:00", watermark="11:00"),
            expect(("10:00", "open", 2, usage, usage * 1800)),
            settings=settings,
        )


def test_a_change_of_type_starts_the_series_anew() -> None:
    run_transcript(
        samples(counter("10:00", 0), counter("10:10", 10)),
        tick("10:11", watermark="10:05"),
        samples(counter("10:20", 100, "gauge"), counter("10:30", 100, "gauge")),
        tick("10:31", watermark="10:30"),
        expect(("10:00", "open", 2, 10, 600), ("10:00", "open", 2, 100 / 6, 600)),
    )


def test_an_open_window_is_told_once_in_ten_seconds_and_only_if_it_changed() -> None:
    stream = Stream(HOURLY)
    for second in range(30):
        one = delta(f"10:00:{second:02}", 1)
        stream.run([(Arrival(str(second), one),), Tick(ms(f"10:01:{second:02}"), None)])
    told = [(row["version"], row["count"]) for row in stream.told]
    assert told == [(ms(f"10:01:{s:02}"), s + 1) for s in (0, 10, 20)]
    stream.run([Tick(ms("10:02"), None), Tick(ms("10:03"), None)])
    assert [row["count"] for row in stream.told] == [1, 11, 21, 30]


def test_open_windows_never_take_more_than_a_fifth_of_what_is_written() -> None:
    stream = Stream(HOURLY)
    stream.windows._credit = 0.0
    for minute in range(60):
        arrivals = tuple(
            Arrival(f"{minute} {n}", delta(f"10:{minute:02}", 1, resource_id=str(n)))
            for n in range(50)
        )
        stream.run([arrivals, Tick(ms(f"10:{minute:02}:30"), None)])
        assert len(stream.told) <= (len(stream.told) + len(stream.stored)) / 5
    assert len(stream.told) == 60 * 50 // 4
