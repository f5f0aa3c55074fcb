"""Alarms on meters, as transcripts: what comes, what the clock says, and what follows."""

from typing import Any

import pytest

from tests.alarms.transcript import (
    REPEAT,
    Step,
    Stream,
    at,
    came,
    came_late,
    define,
    delete,
    expect,
    restart,
    run,
    sample,
    set_state,
    tick,
)

CLEAR = "Transition to ok due to 1 samples inside threshold, most recent: 10.0"


def threshold(**rule: Any) -> dict[str, Any]:
    said = {"meter_name": "cpu", "threshold": 50.0, "comparison_operator": "gt"} | rule
    return {"type": "threshold", "threshold_rule": said}


def gnocchi(kind: str, **rule: Any) -> dict[str, Any]:
    said = {
        "threshold": 50.0,
        "comparison_operator": "gt",
        "aggregation_method": "mean",
        "granularity": 60,
    } | rule
    return {"type": f"gnocchi_{kind}_threshold", f"gnocchi_{kind}_threshold_rule": said}


def of_resource(**rule: Any) -> dict[str, Any]:
    named = {"metric": "cpu", "resource_id": "r", "resource_type": "instance"}
    return gnocchi("resources", **named | rule)


def of_group(**rule: Any) -> dict[str, Any]:
    named = {
        "metric": "cpu",
        "resource_type": "instance",
        "query": '{"=": {"server_group": "g"}}',
    }
    return gnocchi("aggregation_by_resources", **named | rule)


def of_metrics(**rule: Any) -> dict[str, Any]:
    return gnocchi("aggregation_by_metrics", **{"metrics": ["citjcHU=", "cStjcHU="]} | rule)


def busy(text: str, volume: float, resource: str = "r", **fields: Any) -> Any:
    """Return a sample of the group g."""
    tags = {"user_metadata.server_group": "g"}
    return sample(text, volume, resource_id=resource, metadata=tags, **fields)


ON_ONE_RESOURCE = [threshold, of_resource, of_group]
periods = pytest.mark.parametrize("rule", ON_ONE_RESOURCE)


def settled(**fields: Any) -> tuple[Step, ...]:
    """The alarm `a` is defined and known to the job."""
    return (define(**fields), tick("01:00", lag=300))


@periods
def test_a_breach_is_told_when_its_sample_comes_and_so_is_its_end(rule: Any) -> None:
    run(
        *settled(**rule()),
        came(busy("01:10", 90)),
        expect(
            (
                "unknown -> alarm",
                "Transition to alarm due to 1 samples outside threshold, most recent: 90.0",
            )
        ),
        tick("01:11", lag=60),
        came(busy("02:10", 10)),
        expect(("alarm -> ok", CLEAR)),
        came(busy("02:11", 10)),
        tick("02:12", lag=60),
        expect(),
    )


def test_every_metric_that_is_named_counts() -> None:
    run(
        *settled(**of_metrics(aggregation_method="max")),
        came(sample("01:10", 10), sample("01:10", 90, resource_id="q")),
        expect("unknown -> alarm"),
        tick("02:00", lag=300),
        came(sample("02:10", 10), sample("02:10", 90, resource_id="x")),
        expect("alarm -> ok"),
    )


@periods
def test_mixed_periods_change_only_an_unknown_state(rule: Any) -> None:
    run(
        *settled(**rule(evaluation_periods=2)),
        came(busy("01:10", 90)),
        tick("01:11", lag=60),
        came(busy("02:10", 10)),
        expect(
            (
                "unknown -> ok",
                "Transition to ok due to 1 samples inside threshold, most recent: 10.0",
            )
        ),
        tick("02:11", lag=60),
        came(busy("03:10", 90)),
        tick("03:11", lag=60),
        expect(),
        came(busy("04:10", 90)),
        expect(
            (
                "ok -> alarm",
                "Transition to alarm due to 2 samples outside threshold, most recent: 90.0",
            )
        ),
        tick("04:11", lag=60),
        came(busy("05:10", 10)),
        tick("05:11", lag=60),
        expect(),
        came(busy("06:10", 10)),
        expect("alarm -> ok"),
    )


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (threshold, "1 datapoints are unknown"),
        (of_resource, "No datapoint for granularity 60"),
        (of_group, "No datapoint for granularity 60"),
    ],
)
def test_data_that_is_missing_is_told_when_the_watermark_has_passed(rule: Any, reason: str) -> None:
    run(
        *settled(**rule()),
        came(busy("01:00", 90)),
        expect("unknown -> alarm"),
        tick("06:00", lag=300),
        tick("07:59", lag=300),
        tick("08:59", lag=300),
        expect() if rule is not threshold else expect(("alarm -> unknown", reason)),
        tick("09:00", lag=300),
        expect() if rule is threshold else expect(("alarm -> unknown", reason)),
        tick("20:00", lag=300),
        expect(),
        came(busy("20:00", 10)),
        expect("unknown -> ok"),
    )


def test_fewer_periods_than_are_asked_for_are_no_data_once_the_watermark_says_so() -> None:
    run(
        *settled(**of_resource(evaluation_periods=3)),
        came(busy("01:00", 90)),
        tick("01:01", lag=300),
        came(busy("02:00", 90)),
        tick("02:01", lag=300),
        came(busy("03:00", 90)),
        tick("03:01", lag=300),
        expect("unknown -> alarm"),
        came(busy("08:00", 90)),
        tick("08:01", lag=300),
        expect(),
        tick("10:59", lag=300),
        expect(),
        tick("12:00", lag=300),
        expect(("alarm -> unknown", "3 datapoints are unknown")),
    )


def test_a_late_period_counts_when_it_comes() -> None:
    run(
        *settled(**of_resource(evaluation_periods=2)),
        came(busy("01:00", 10)),
        tick("01:01", lag=300),
        came(busy("03:00", 10)),
        tick("03:01", lag=300),
        expect("unknown -> ok"),
        came_late(busy("02:00", 90), busy("03:00", 90, type="delta")),
        tick("03:02", lag=300),
        tick("03:03", lag=300),
        came(busy("03:01", 200)),
        expect("ok -> alarm"),
    )


def test_periods_that_come_at_once_lead_to_states_one_after_another() -> None:
    run(
        *settled(**of_resource()),
        tick("06:00", lag=300),
        came(busy("01:00", 90), busy("02:00", 90), busy("03:00", 10), busy("04:00", 90)),
        expect("unknown -> alarm", "alarm -> ok", "ok -> alarm"),
    )


def test_what_comes_when_the_watermark_has_passed_all_that_looks_back_says_nothing() -> None:
    run(
        *settled(**of_resource()),
        tick("30:00", lag=300),
        came(busy("01:00", 90)),
        tick("31:00", lag=300),
        expect(),
        came(busy("28:00", 90)),
        expect("unknown -> alarm"),
    )


def test_samples_of_a_late_series_count_in_their_own_periods() -> None:
    run(
        *settled(**of_group(aggregation_method="max", evaluation_periods=2)),
        came(busy("01:00", 10), busy("02:00", 10)),
        tick("02:01", lag=300),
        expect("unknown -> ok"),
        came(busy("01:00", 90, resource="q")),
        came(busy("02:00", 90, resource="q")),
        expect("ok -> alarm"),
    )


@periods
def test_actions_are_repeated_while_the_state_stays(rule: Any) -> None:
    action = {"alarm_actions": ["http://one/"], "repeat_actions": True}
    stream = run(
        *settled(**rule(), **action),
        came(busy("01:00", 90)),
        tick("01:01", lag=60),
        expect("unknown -> alarm"),
        tick("01:30", lag=60),
        came(busy("01:40", 95)),
        expect(),
        tick("02:01", lag=60),
        expect(
            (
                "alarm -> alarm again",
                "Remaining as alarm due to 1 samples outside threshold, most recent: 92.5",
            )
        ),
        tick("02:30", lag=60),
        tick("03:01", lag=60),
        expect("alarm -> alarm again"),
        came(busy("03:02", 10)),
        expect("alarm -> ok"),
        tick("09:00", lag=60),
        expect("ok -> unknown"),
    )
    versions = [one.version for one in stream.made]
    assert versions == sorted(set(versions))
    assert [one.actions for one in stream.made] == [("http://one/",)] * 3 + [(), ()]
    assert REPEAT == 60_000


def test_outside_its_time_constraints_an_alarm_stays_and_samples_still_count() -> None:
    first_half = {"name": "n", "start": "0 * * * *", "duration": 600}
    run(
        *settled(**of_resource(), time_constraints=[first_half]),
        came(busy("05:00", 10)),
        tick("05:01", lag=60),
        expect("unknown -> ok"),
        tick("10:01", lag=60),
        came(busy("10:02", 90)),
        tick("10:03", lag=60),
        tick("30:00", lag=1200),
        expect(),
        tick("60:00", lag=2980),
        expect("ok -> alarm"),
    )


def test_an_edit_takes_effect_with_the_next_tick_and_keeps_the_state() -> None:
    run(
        *settled(**of_resource()),
        came(busy("01:00", 60)),
        tick("01:01", lag=60),
        expect("unknown -> alarm"),
        define(**of_resource(threshold=70)),
        came(busy("01:02", 61)),
        tick("01:03", lag=60),
        expect(),
        came(busy("01:04", 62)),
        expect("alarm -> ok"),
    )


def test_an_edit_of_the_selection_reads_what_is_stored() -> None:
    run(
        *settled(**of_resource()),
        came(busy("01:00", 60), busy("01:00", 10, resource="q")),
        tick("01:01", lag=60),
        expect("unknown -> alarm"),
        define(**of_resource(resource_id="q")),
        tick("01:02", lag=60),
        tick("01:03", lag=60),
        expect(("alarm -> ok", CLEAR)),
        came(busy("01:04", 99)),
        expect(),
    )


def test_a_new_alarm_is_evaluated_by_what_is_stored() -> None:
    run(
        came(busy("01:00", 60), busy("02:00", 60), busy("03:00", 60)),
        define(**of_resource(evaluation_periods=3)),
        tick("03:01", lag=60),
        tick("03:02", lag=60),
        expect("unknown -> alarm"),
    )


def test_what_is_deleted_or_disabled_makes_no_transition() -> None:
    off = of_resource() | {"alarm_id": "off", "name": "off"}
    run(
        *settled(**of_resource()),
        define(**off),
        tick("00:01"),
        came(busy("01:00", 10)),
        tick("01:01", lag=60),
        expect("off: unknown -> ok", "unknown -> ok"),
        delete(),
        define(**off | {"enabled": False}),
        tick("01:02", lag=60),
        came(busy("01:03", 900)),
        tick("09:00", lag=60),
        expect(),
        define(**off),
        tick("09:01", lag=60),
        came(busy("09:02", 900)),
        expect("off: ok -> unknown", "off: unknown -> alarm"),
    )


def test_a_state_set_by_hand_is_where_the_next_evaluation_starts() -> None:
    run(
        *settled(**of_resource(evaluation_periods=2)),
        came(busy("01:00", 10), busy("02:00", 10)),
        tick("02:01", lag=60),
        expect("unknown -> ok"),
        set_state("alarm", "02:02"),
        tick("02:03", lag=60),
        came(busy("03:00", 90)),
        expect(),
        tick("03:01", lag=60),
        came(busy("04:00", 90)),
        tick("04:01", lag=60),
        expect(),
        tick("05:01", lag=60),
        came(busy("05:00", 10), busy("06:00", 10)),
        expect("alarm -> ok"),
    )


def test_samples_that_leave_what_was_said_are_counted_and_a_state_set_by_hand_is_not_kept() -> None:
    stream = run(
        *settled(**of_resource()),
        came(busy("01:00", 90)),
        expect("unknown -> alarm"),
        came(busy("01:01", 91)),
        came(busy("01:02", 92)),
        expect(),
        set_state("ok", "01:03"),
        tick("01:04", lag=300),
        came(busy("01:05", 93)),
        expect("ok -> alarm"),
        came(busy("01:06", -1000)),
        expect("alarm -> ok"),
        came(busy("01:07", 2000)),
        expect("ok -> alarm"),
    )
    stream.book.tell_counts()
    assert sum(one.times for one in stream.shelf.counted) == 6


def test_a_sample_far_ahead_of_the_clock_waits_for_it() -> None:
    run(
        *settled(**of_resource()),
        came(busy("01:00", 10)),
        tick("01:01", lag=60),
        expect("unknown -> ok"),
        came(busy("30:00", 90, resource="r")),
        tick("01:02", lag=60),
        came(busy("01:03", 11)),
        expect(),
        tick("29:00", lag=1600),
        expect("ok -> alarm"),
    )


def test_a_silence_that_is_over_when_the_watermark_passes_it_is_not_told() -> None:
    run(
        *settled(**of_resource()),
        came(busy("01:00", 90)),
        expect("unknown -> alarm"),
        came(busy("08:00", 90)),  # ahead of the clock
        tick("08:01", lag=60),
        came(busy("08:02", 90)),
        expect(),
    )


@pytest.mark.parametrize("rule", [threshold, of_resource])
def test_a_silence_is_over_when_there_are_as_many_periods_as_are_needed(rule: Any) -> None:
    run(
        *settled(**rule(evaluation_periods=2)),
        came(busy("01:00", 10), busy("02:00", 10)),
        expect("unknown -> ok"),
        tick("20:00", lag=300),
        expect("ok -> unknown"),
        came(busy("20:00", 10)),
        expect(),
        came(busy("21:00", 10)),
        expect("unknown -> ok"),
    )


def test_a_new_process_goes_on_from_what_is_stored() -> None:
    run(
        *settled(**of_resource(evaluation_periods=2)),
        came(busy("01:00", 90), busy("02:00", 90)),
        tick("02:01", lag=60),
        expect("unknown -> alarm"),
        came(busy("03:00", 10)),
        restart(),
        tick("03:01", lag=None),
        expect(),
        came(busy("04:00", 10)),
        expect("alarm -> ok"),
    )


def test_what_an_alarm_did_that_was_created_since_the_last_tick_is_not_done_again_after_a_crash() -> (
    None
):
    def created_later(stream: Stream) -> None:
        stream.shelf.version = at("59:00") * 1000  # µs; the clock of the last tick says less
        stream.shelf.unsure = at("00:00")

    run(
        created_later,
        *settled(**of_resource()),
        came(busy("01:00", 10), busy("02:00", 90)),
        expect("unknown -> ok", "ok -> alarm"),
        restart(),
        tick("02:01", lag=60),
        came(busy("03:00", 10)),
        expect("alarm -> ok"),
    )


def test_while_the_store_is_away_nothing_is_guessed() -> None:
    def away(is_away: bool) -> Step:
        return lambda stream: setattr(stream.shelf, "away", is_away)

    run(
        *settled(**of_resource()),
        came(busy("01:00", 90)),
        tick("01:01", lag=60),
        expect("unknown -> alarm"),
        away(True),
        define(**of_resource(resource_id="q")),
        tick("01:03", lag=60),
        tick("09:00", lag=60),
        expect(),
        away(False),
        came(busy("09:01", 10, resource="q")),
        expect(),
        tick("09:02", lag=60),
        tick("09:03", lag=60),
        expect("alarm -> ok"),
    )
