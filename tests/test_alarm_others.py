"""Alarms on events, on other alarms, on what does not come, and composite ones, as transcripts."""

from typing import Any

import pytest

from tests.alarms.transcript import (
    came,
    define,
    delete,
    event,
    expect,
    happened,
    restart,
    run,
    sample,
    set_state,
    tick,
)


def on_event(**fields: Any) -> dict[str, Any]:
    rule = {"event_type": "compute.*", "query": []} | fields.pop("rule", {})
    return {"type": "event", "event_rule": rule} | fields


def leaf(resource: str = "r", **rule: Any) -> dict[str, Any]:
    """Return a rule in a composite one."""
    return {
        "type": "gnocchi_resources_threshold",
        "metric": "cpu",
        "resource_id": resource,
        "resource_type": "instance",
        "threshold": 50.0,
        "comparison_operator": "gt",
        "aggregation_method": "mean",
        "granularity": 60,
    } | rule


def composite(rule: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "composite", "composite_rule": rule} | fields


def plain(alarm_id: str, resource: str) -> dict[str, Any]:
    """Return an alarm on one resource."""
    rule = {name: value for name, value in leaf(resource).items() if name != "type"}
    return {
        "alarm_id": alarm_id,
        "name": alarm_id,
        "type": "gnocchi_resources_threshold",
        "gnocchi_resources_threshold_rule": rule,
    }


def combination(*alarm_ids: str, operator: str = "and", **fields: Any) -> dict[str, Any]:
    rule = {"operator": operator, "alarm_ids": list(alarm_ids)}
    return {"type": "combination", "combination_rule": rule} | fields


def query(field: str, value: str, op: str = "eq", kind: str = "") -> dict[str, str]:
    return {"field": field, "op": op, "value": value, "type": kind}


def test_an_event_that_meets_all_conditions_fires_its_alarm_once() -> None:
    conditions = [query("traits.state", "error"), query("traits.tries", "3", "ge", "integer")]
    stream = run(
        define(**on_event(rule={"query": conditions})),
        tick("01:00"),
        happened(
            event("01:01", "network.port", state="error", tries=3),
            event("01:02", "compute.stop", state="active", tries=3),
            event("01:03", "compute.stop", state="error", tries=2),
            event("01:04", "compute.stop", state="error"),
        ),
        expect(),
        happened(event("01:05", "compute.stop", state="error", tries=3)),
        expect("unknown -> alarm"),
        happened(event("01:06", "compute.stop", state="error", tries=4)),
        tick("30:00"),
        expect(),
        set_state("ok", "30:01"),
        tick("30:02"),
        happened(event("30:03", "compute.stop", state="error", tries=4)),
        expect("ok -> alarm"),
    )
    found = stream.made[0].reason_data["event"]
    assert stream.made[0].reason == (
        f"Event <id={found['message_id']},event_type=compute.stop> hits the query"
        ' <query=[{"field": "traits.state", "op": "eq", "value": "error"},'
        ' {"field": "traits.tries", "op": "ge", "type": "integer", "value": "3"}]>.'
    )
    assert found == {
        "message_id": found["message_id"],
        "event_type": "compute.stop",
        "generated": "2026-11-18T12:01:05.000",
        "traits": [["state", 1, "error"], ["tries", 2, 3]],
    }


def test_an_event_alarm_that_repeats_its_actions_is_fired_by_every_event() -> None:
    stream = run(
        define(**on_event(repeat_actions=True, alarm_actions=["log://"])),
        tick("01:00"),
        happened(event("01:05", "compute.stop"), event("01:06", "compute.stop")),
        expect("unknown -> alarm", "alarm -> alarm"),
        tick("10:00"),
        expect(),
    )
    assert len({one.version for one in stream.made}) == 2


def test_an_alarm_of_a_project_sees_its_own_events_alone() -> None:
    run(
        define(**on_event(scope="p")),
        define(**on_event(alarm_id="all", name="all")),
        tick("01:00"),
        happened(event("01:05", "compute.stop", project_id="q")),
        expect("all: unknown -> alarm"),
        happened(event("01:06", "compute.stop", project_id="p")),
        expect("unknown -> alarm"),
    )


@pytest.mark.parametrize(
    ("condition", "meets"),
    [
        (query("traits.host", "a"), True),
        (query("traits.host", "b", "ne"), True),
        (query("traits.host", "b", "lt"), True),
        (query("traits.cpus", "4"), False),  # text, where the trait is a number
        (query("traits.cpus", "4", "eq", "integer"), True),
        (query("traits.cpus", "4.0", "eq", "float"), True),
        (query("traits.none", "x", "ne"), True),
        (query("traits.none", "x", "lt"), False),
        (query("event_type", "compute.stop"), True),
        (query("project_id", "q"), False),
        (query("generated", "2026-11-18T12:01:05", "ge", "datetime"), True),
        (query("generated", "2026-11-18T12:01:06", "ge", "datetime"), False),
    ],
)
def test_conditions_compare_a_trait_as_its_own_type(condition: Any, meets: bool) -> None:
    run(
        define(**on_event(rule={"query": [condition]})),
        tick("01:00"),
        happened(event("01:05", "compute.stop", host="a", cpus=4)),
        expect(*["unknown -> alarm"] * meets),
    )


def test_outside_its_time_constraints_an_event_fires_nothing() -> None:
    first_half = {"name": "n", "start": "0 * * * *", "duration": 600}
    run(
        define(**on_event(time_constraints=[first_half])),
        tick("11:00"),
        happened(event("11:01", "compute.stop")),
        expect(),
        tick("60:00"),
        happened(event("60:01", "compute.stop")),
        expect("unknown -> alarm"),
    )


def test_a_combination_follows_the_states_of_its_alarms() -> None:
    run(
        define(**plain("one", "r")),
        define(**plain("two", "q")),
        define(**combination("one", "two")),
        define(**combination("one", "two", operator="or", alarm_id="any", name="any")),
        tick("01:00", lag=300),
        came(sample("01:01", 90)),
        expect(
            "one: unknown -> alarm",
            ("any: unknown -> alarm", "Transition to alarm due to alarms one in state alarm"),
        ),
        came(sample("01:02", 10, resource_id="q")),
        expect(
            "two: unknown -> ok",
            ("unknown -> ok", "Transition to ok due to alarms two in state ok"),
        ),
        came(sample("01:03", 200, resource_id="q")),
        expect(
            "two: ok -> alarm",
            ("ok -> alarm", "Transition to alarm due to alarms one,two in state alarm"),
        ),
        tick("01:04", lag=300),
        set_state("insufficient data", "01:05", "two"),
        tick("01:06", lag=300),
        tick("01:07", lag=300),
        expect(("alarm -> unknown", "Alarms two are in unknown state")),
        tick("01:08", lag=300),
        delete("one"),
        tick("01:09", lag=300),
        tick("01:10", lag=300),
        expect("any: alarm -> unknown"),
    )


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((90, 90, 90), ("alarm", "rule1 outside their threshold.")),
        ((10, 90, 90), ("alarm", "rule2, rule3 outside their threshold.")),
        ((10, 90, 10), ("ok", "rule1, rule3 inside their threshold.")),
        ((10, None, 90), (None, "")),
        ((None, 10, None), (None, "")),
        ((None, 90, 90), ("alarm", "rule2, rule3 outside their threshold.")),
    ],
)
def test_a_composite_alarm_says_which_of_its_rules_decided(values: Any, wanted: Any) -> None:
    tree = {"or": [leaf("r"), {"and": [leaf("q"), leaf("s")]}]}
    names = zip("rqs", values, strict=True)
    samples = [sample("01:05", v, resource_id=name) for name, v in names if v is not None]
    state, because = wanted
    form = "Composite rule alarm with composition form: (rule1 or (rule2 and rule3))"
    reason = f"{form} transition to {state}, due to rules: {because}"
    stream = run(
        define(**composite(tree)),
        tick("01:00", lag=60),
        came(*samples),
        expect(*[(f"unknown -> {state}", reason)] * bool(state)),
    )
    for one in stream.made:
        names_of = because.split(" ", 1)[0].rstrip(",")
        assert names_of in one.reason_data["causative_rules"]
        assert one.reason_data["composition_form"] == "(rule1 or (rule2 and rule3))"


def test_mixed_periods_of_a_composite_count_against_their_trend_once_it_is_known() -> None:
    run(
        define(**composite({"or": [leaf("r", evaluation_periods=2), leaf("q")]})),
        tick("01:00", lag=300),
        came(sample("01:05", 10), sample("01:05", 10, resource_id="q")),
        tick("02:00", lag=300),
        came(sample("02:05", 90)),
        expect("unknown -> alarm"),
        tick("02:06", lag=300),
        came(sample("02:07", 90)),
        expect("alarm -> ok"),
        tick("02:08", lag=300),
        came(sample("03:05", 90)),
        expect("ok -> alarm"),
    )


def test_a_composite_alarm_is_unknown_when_its_rules_are() -> None:
    run(
        define(**composite({"and": [leaf("r"), leaf("q")]})),
        tick("01:00", lag=60),
        came(sample("01:05", 90), sample("01:05", 90, resource_id="q")),
        expect("unknown -> alarm"),
        tick("05:01", lag=60),
        expect(
            (
                "alarm -> unknown",
                "Composite rule alarm with composition form: (rule1 and rule2) transition to"
                " insufficient data, due to rules: rule1, rule2 state evaluated to unknown.",
            )
        ),
    )


def test_a_new_process_does_not_go_back_to_what_a_composite_alarm_knew_before() -> None:
    run(
        define(**composite({"or": [leaf("r")]})),
        tick("01:00", lag=60),
        came(sample("01:05", 90)),
        expect("unknown -> alarm"),
        tick("20:00", lag=60),
        expect("alarm -> unknown"),
        restart(),
        tick("20:01", lag=None),
        tick("20:02", lag=60),
        expect(),
    )


def test_composites_of_composites_follow_one_another_within_a_bundle() -> None:
    inner = composite({"and": [leaf("r"), leaf("q")]}, alarm_id="inner", name="inner")
    outer = composite({"or": [{"type": "alarm", "alarm_id": "inner"}, leaf("s")]})
    run(
        define(**inner),
        define(**outer),
        define(**combination("a", "inner", alarm_id="top", name="top")),
        tick("01:00", lag=300),
        came(*(sample("01:05", 10, resource_id=name) for name in "rqs")),
        expect("inner: unknown -> ok", "unknown -> ok", "top: unknown -> ok"),
        came(sample("01:06", 900), sample("01:06", 900, resource_id="q")),
        expect(
            "inner: ok -> alarm",
            (
                "ok -> alarm",
                "Composite rule alarm with composition form: (rule1 or rule2) transition to alarm,"
                " due to rules: rule1 outside their threshold.",
            ),
            "top: ok -> alarm",
        ),
    )


def test_a_composite_alarm_repeats_its_actions_with_its_rules() -> None:
    actions = {"repeat_actions": True, "alarm_actions": ["log://"]}
    run(
        define(**composite({"and": [leaf("r")]}, **actions)),
        tick("01:00", lag=300),
        came(sample("01:05", 90)),
        expect("unknown -> alarm"),
        tick("02:00", lag=300),
        expect(
            (
                "alarm -> alarm again",
                "Composite rule alarm with composition form: (rule1) remaining as alarm, due to"
                " rules: rule1 outside their threshold.",
            )
        ),
    )


def absent(**fields: Any) -> dict[str, Any]:
    rule = {"meter_name": "cpu", "within": 120} | fields.pop("rule", {})
    return {"type": "absence", "absence_rule": rule} | fields


def test_absence_is_told_once_the_watermark_says_that_nothing_came() -> None:
    run(
        define(**absent()),
        tick("01:00", lag=30),
        came(sample("01:05", 1)),
        expect(
            (
                "unknown -> ok",
                "Transition to ok due to sample of cpu, most recent: 2026-11-18T12:01:05.000",
            )
        ),
        tick("03:34", lag=30),
        expect(),
        tick("03:35", lag=30),
        expect(
            (
                "ok -> alarm",
                "Transition to alarm due to no sample of cpu within 120 seconds,"
                " most recent: 2026-11-18T12:01:05.000",
            )
        ),
        came(sample("03:36", 1)),
        expect("alarm -> ok"),
    )


def test_absence_of_what_never_came_counts_from_its_definition() -> None:
    run(
        define(**absent()),
        tick("01:59", lag=0),
        expect(),
        tick("02:00", lag=0),
        expect("unknown -> alarm"),
    )


def test_only_samples_of_the_selection_end_an_absence() -> None:
    run(
        define(**absent(rule={"query": [query("resource_id", "q")]})),
        tick("01:00", lag=0),
        came(sample("01:05", 1)),
        expect(),
        came(sample("01:06", 1, resource_id="q")),
        expect("unknown -> ok"),
        restart(),
        tick("01:07", lag=0),
        tick("03:05", lag=0),
        expect(),
        tick("03:06", lag=0),
        expect("ok -> alarm"),
    )


def hangs(**fields: Any) -> dict[str, Any]:
    rule = {
        "event_type": "create.start",
        "followed_by": {"event_type": "create.end"},
        "same": ["id"],
        "within": 120,
    }
    return {"type": "absence", "absence_rule": rule} | fields


def test_a_first_event_without_its_second_is_told_until_that_comes() -> None:
    run(
        define(**hangs()),
        tick("01:00", lag=10),
        happened(event("01:01", "create.start", id="x"), event("01:02", "create.start", id="y")),
        happened(event("01:30", "create.end", id="x")),
        expect(
            (
                "unknown -> ok",
                "Transition to ok due to create.end after create.start,"
                " most recent: 2026-11-18T12:01:30.000",
            )
        ),
        tick("03:11", lag=10),
        expect(),
        tick("03:12", lag=10),
        expect(
            (
                "ok -> alarm",
                "Transition to alarm due to no create.end after create.start within 120 seconds,"
                " most recent: 2026-11-18T12:01:30.000",
            )
        ),
        happened(event("03:13", "create.end", id="x")),
        expect(),
        happened(event("03:20", "create.end", id="y")),
        expect("alarm -> ok"),
    )


def test_a_second_event_that_came_first_answers_too() -> None:
    run(
        define(**hangs()),
        tick("01:00", lag=300),
        happened(event("01:30", "create.end", id="x")),
        expect(),
        happened(event("01:01", "create.start", id="x")),
        expect("unknown -> ok"),
        tick("30:00", lag=0),
        expect(),
    )


def test_what_waits_for_its_second_event_is_known_to_a_new_process() -> None:
    run(
        define(**hangs()),
        tick("01:00", lag=0),
        happened(event("01:01", "create.start", id="x")),
        restart(),
        tick("03:00", lag=0),
        expect(),
        tick("03:01", lag=0),
        expect("unknown -> alarm"),
        restart(),
        tick("03:02", lag=0),
        happened(event("03:03", "create.end", id="x")),
        expect("alarm -> ok"),
    )
