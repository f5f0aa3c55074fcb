"""Dry runs and explanations over a real store."""

import dataclasses
from typing import Any

import pytest

import store.alarm_trials as reading
from jobs.alarming import Trials
from metering.alarms.faults import DefinitionError
from metering.alarms.states import AlarmState
from metering.alarms.transitions import Transition
from metering.batches import EventRows, sample_table
from metering.draft import Draft
from store.alarm_states import write_states, write_transitions
from store.client import Store
from store.rows import insert_events, insert_latest, insert_samples
from tests.alarms.transcript import START, alarm, at, event, sample, way

LAG = 90_000  # ms
RULE: dict[str, Any] = {
    "metric": "cpu",
    "resource_id": "r",
    "resource_type": "instance",
    "threshold": 50.0,
    "comparison_operator": "gt",
    "aggregation_method": "mean",
    "granularity": 60,
}
HIGH: dict[str, Any] = {
    "type": "gnocchi_resources_threshold",
    "gnocchi_resources_threshold_rule": RULE,
}


@pytest.fixture
def trials(store: Store) -> Trials:
    """Dry runs over a store, beside a job whose feeds are out of order by LAG."""
    return Trials(store, LAG, lambda: at("08:30"))


def insert(store: Store, *samples: Draft) -> None:
    table = sample_table(list(samples), START // 1000)
    insert_samples(store, table)
    insert_latest(store, table)


def made(trials: Trials, start: str, stop: str, **fields: Any) -> list[tuple[str, str]]:
    found = trials.dry_run(alarm(**fields), at(start), at(stop))
    return [(way(one), one.reason.partition(" due")[0]) for one in found]


def test_a_dry_run_says_what_an_alarm_would_have_done(trials: Trials, store: Store) -> None:
    insert(store, sample("01:00", 90), sample("02:00", 10), sample("03:00", 90, resource_id="q"))
    found = trials.dry_run(alarm(**HIGH), START, at("10:00"))
    assert [(way(one), one.at) for one in found] == [
        ("unknown -> alarm", at("01:00")),
        ("alarm -> ok", at("02:00")),
        ("ok -> unknown", at("05:00") + 90_000),
    ]


def test_a_dry_run_begins_with_what_was_stored_before(trials: Trials, store: Store) -> None:
    insert(store, sample("01:00", 90), sample("02:00", 90), sample("03:00", 90))
    of_three = HIGH | {"gnocchi_resources_threshold_rule": RULE | {"evaluation_periods": 3}}
    assert made(trials, "02:30", "05:00", **of_three) == [
        ("unknown -> alarm", "Transition to alarm")
    ]
    assert made(trials, "03:10", "03:11", **of_three) == []  # nothing came, no tick was due
    assert made(trials, "03:10", "05:00", **of_three) == []


def test_a_dry_run_over_events_and_the_states_of_others(trials: Trials, store: Store) -> None:
    rows = EventRows(START // 1000)
    for moment in ("01:00", "02:00", "09:00"):
        rows.add(event(moment, "compute.stop"), 0, "")
    insert_events(store, rows.table())
    on_event = {"type": "event", "event_rule": {"event_type": "compute.*"}}
    assert made(trials, "01:30", "10:00", **on_event) == [
        ("unknown -> alarm", made(trials, "01:30", "10:00", **on_event)[0][1])
    ]
    either = {
        "type": "combination",
        "combination_rule": {"operator": "or", "alarm_ids": ["x", "y"]},
    }
    write_transitions(store, [went("x", "ok", "01:00"), went("y", "ok", "03:00")])
    write_transitions(store, [went("x", "alarm", "04:00"), went("x", "ok", "20:00")])
    assert made(trials, "02:00", "10:00", **either) == [
        ("unknown -> ok", "Transition to ok"),
        ("ok -> alarm", "Transition to alarm"),
    ]


def went(alarm_id: str, state: Any, moment: str) -> Transition:
    return Transition(
        alarm_id=alarm_id, alarm_name=alarm_id, project_id="p", severity="low", previous="ok",
        current=state, reason="", reason_data={}, at=at(moment), version=at(moment) * 1000,
    )  # fmt: skip


def test_a_dry_run_over_too_much_is_refused(
    trials: Trials, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOST", 2)
    insert(store, *(sample(f"0{minute}:00", 1) for minute in (1, 2, 3)))
    with pytest.raises(DefinitionError, match="more than 2 samples"):
        trials.dry_run(alarm(**HIGH), START, at("10:00"))


def test_an_explanation_has_the_periods_and_samples_behind_a_state(
    trials: Trials, store: Store
) -> None:
    write_states(store, [AlarmState("a", "alarm", at("01:00"), "because", {"x": 1}, version=1)])
    insert(store, sample("07:10", 80), sample("07:20", 100), sample("08:40", 10))
    found = trials.explain(alarm(**HIGH))
    (rule,) = found["rules"]
    assert (found["state"], found["reason"], found["reason_data"]) == ("alarm", "because", {"x": 1})
    assert found["watermark"] == "2026-11-18T12:08:30.000"
    assert found["evaluated"] == {
        "state": "ok",
        "reason": "Transition to ok due to 1 samples inside threshold, most recent: 10.0",
        "waits": False,
    }
    assert [
        (one["start"][14:19], one["samples"], one["value"], one["breaches"], one["counts"], one["passed"])
        for one in rule["periods"]
    ] == [
        ("06:00", 0, None, None, False, True),
        ("07:00", 2, 90.0, True, False, True),
        ("08:00", 1, 10.0, False, True, False),
    ]  # fmt: skip
    assert [(one["timestamp"][14:19], one["volume"]) for one in found["samples"]] == [
        ("07:10", 80.0), ("07:20", 100.0), ("08:40", 10.0),
    ]  # fmt: skip


def test_an_explanation_of_a_threshold_rule_has_periods_that_end_now(
    trials: Trials, store: Store
) -> None:
    rule = {"meter_name": "cpu", "threshold": 50.0, "comparison_operator": "gt"}
    insert(store, sample("07:45", 80), sample("08:10", 100), sample("08:40", 10))
    found = trials.explain(alarm(type="threshold", threshold_rule=rule))
    assert [
        (one["end"][14:19], one["samples"], one["value"], one["counts"])
        for one in found["rules"][0]["periods"]
    ] == [("07:40", 0, None, False), ("08:40", 3, 190 / 3, True)]


def test_an_explanation_of_absence_and_of_others_says_what_they_know(
    trials: Trials, store: Store
) -> None:
    insert(store, sample("07:45", 80))
    absent = {"type": "absence", "absence_rule": {"meter_name": "cpu", "within": 30}}
    found = trials.explain(alarm(**absent))
    assert found["rules"] == [{"rule": "rule1", "last": "2026-11-18T12:07:45.000"}]
    assert found["evaluated"]["state"] == "alarm"
    write_states(store, [AlarmState("x", "ok", START, version=1)])
    both = {"operator": "and", "alarm_ids": ["x", "y"]}
    found = trials.explain(alarm(type="combination", combination_rule=both))
    assert found["alarms"] == {"x": "ok", "y": "insufficient data"}
    assert found["evaluated"]["reason"] == "Alarms y are in unknown state"
    on_event = alarm(type="event", event_rule={"event_type": "*"})
    assert trials.explain(dataclasses.replace(on_event))["rules"] == []
