"""Alarms in the store: what the job reads on ticks, and transitions that a crash cannot tear apart."""

import dataclasses
from typing import Any

from metering.alarms.attempts import resent
from metering.alarms.definition import Alarm, AlarmChange, alarm_from
from metering.alarms.states import AlarmState
from metering.alarms.transitions import Attempt, Transition
from store.alarm_states import (
    alarm_states,
    mend_transitions,
    write_changes,
    write_states,
    write_transitions,
)
from store.alarms import changed_alarms, delete_alarms, write_alarms
from store.client import Store
from store.deliveries import insert_deliveries, pending_deliveries, write_attempts

AT = 4_000_000_000_000  # ms; so late that nothing of it is too old to be kept
VERSION = AT * 1000  # µs
RULE = {"meter_name": "cpu", "threshold": 1.0, "query": [{"field": "resource_id", "value": "r"}]}


def alarm(alarm_id: str, version: int = VERSION, **fields: Any) -> Alarm:
    said = {
        "name": alarm_id,
        "type": "threshold",
        "threshold_rule": RULE,
        "project_id": "p",
    } | fields
    return dataclasses.replace(
        alarm_from(alarm_from(said, alarm_id).to_json(), alarm_id),
        scope="p",
        timestamp=AT,
        version=version,
    )


def breach(version: int = VERSION, **fields: Any) -> Transition:
    plain: dict[str, Any] = {
        "alarm_id": "a",
        "alarm_name": "high",
        "project_id": "p",
        "severity": "low",
        "previous": "ok",
        "current": "alarm",
        "reason": "Transition to alarm",
        "reason_data": {"type": "threshold", "count": 1, "most_recent": 2.5},
        "at": AT,
        "actions": ("http://one/", "http://two/"),
    }
    return Transition(version=version, **plain | fields)


def rows(store: Store, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    sql = f"SELECT {columns} FROM {store.name}.{table} FINAL ORDER BY ALL"
    return [tuple(row) for row in store.query(sql).result_rows]


def test_changes_are_told_once_they_are_written(store: Store) -> None:
    assert changed_alarms(store).alarms == []
    write_alarms(store, [alarm("a"), alarm("b", VERSION + 1)])
    first = changed_alarms(store)
    assert (first.alarms, first.deleted, first.until) == (
        [alarm("a"), alarm("b", VERSION + 1)],
        {},
        VERSION + 1,
    )
    later = first.until + 60_000_000
    write_alarms(store, [alarm("a", later, enabled=False)])
    delete_alarms(store, [alarm("b", later + 1)])
    second = changed_alarms(store, first.until)
    changed = [one for one in second.alarms if one.version > first.until]
    assert changed == [alarm("a", later, enabled=False)]
    assert (second.deleted, second.until) == ({"b": later + 1}, later + 1)
    assert changed_alarms(store).alarms == changed


def test_what_is_told_again_leaves_out_the_versions_that_are_known(store: Store) -> None:
    write_alarms(store, [alarm("a"), alarm("b", VERSION + 1)])
    first = changed_alarms(store)
    assert first.versions == {"a": VERSION, "b": VERSION + 1}
    again = changed_alarms(store, first.until, first)
    assert (again.alarms, again.deleted, again.versions) == ([], {}, first.versions)
    write_alarms(store, [alarm("a", VERSION + 2, enabled=False)])
    delete_alarms(store, [alarm("b", VERSION + 3)])
    more = changed_alarms(store, again.until, again)
    assert (more.alarms, more.deleted) == (
        [alarm("a", VERSION + 2, enabled=False)],
        {"b": VERSION + 3},
    )


def test_a_state_set_by_hand_is_told_and_an_evaluated_one_is_not(store: Store) -> None:
    by_hand = AlarmState("a", "ok", AT, "Manually set via API", {}, True, VERSION)
    write_states(store, [by_hand, AlarmState("b", "ok", AT, "evaluated", {}, False, VERSION + 1)])
    assert changed_alarms(store).states == [by_hand]


def test_a_transition_is_written_with_its_state_history_and_deliveries(store: Store) -> None:
    one = breach()
    deliveries = write_transitions(store, [one])
    assert [(d.action, d.sequence, d.state) for d in deliveries] == [
        ("http://one/", VERSION, "pending"),
        ("http://two/", VERSION, "pending"),
    ]
    assert alarm_states(store) == {"a": one.state()}
    assert alarm_states(store, ["x"]) == {}
    assert rows(store, "alarm_history", "event_id, type, on_behalf_of, detail") == [
        (
            one.id,
            "state transition",
            "p",
            '{"state":"alarm","transition_reason":"Transition to alarm"}',
        )
    ]
    due, whole = pending_deliveries(store, AT - 1, 10)
    assert (sorted(due, key=lambda d: d.action), whole) == (deliveries, True)


def test_writing_a_transition_again_changes_nothing(store: Store) -> None:
    (first, _) = write_transitions(store, [breach()])
    done = dataclasses.replace(first, state="delivered", attempts=1, last_status=200, version=1)
    write_attempts(store, [(done, Attempt(delivery_id=first.id, number=1, at=AT, status=200))])
    tables = ("alarm_history", "alarm_states", "deliveries", "delivery_attempts")
    before = [rows(store, table) for table in tables]
    write_transitions(store, [breach()])
    assert [rows(store, table) for table in tables] == before
    assert [d.action for d in pending_deliveries(store, 0, 10)[0]] == ["http://two/"]


def test_a_delivery_of_long_ago_is_found_again_once_it_is_sent_again(store: Store) -> None:
    one, other = write_transitions(store, [breach()])
    gone = [
        (
            dataclasses.replace(each, state="dead", attempts=1, version=1),
            Attempt(delivery_id=each.id, number=1, at=AT),
        )
        for each in (one, other)
    ]
    write_attempts(store, gone)
    much_later = AT + 30 * 86_400_000
    assert pending_deliveries(store, much_later, 10) == ([], True)
    again = resent(gone[0][0], much_later + 1)
    insert_deliveries(store, [again])
    assert pending_deliveries(store, much_later, 10) == ([again], True)


def test_what_is_repeated_is_delivered_without_a_state_or_an_entry(store: Store) -> None:
    write_transitions(store, [breach(previous="alarm", recorded=False)])
    assert len(rows(store, "deliveries")) == 2
    assert rows(store, "alarm_history") == rows(store, "alarm_states") == []


def test_what_a_crash_tore_apart_is_mended(store: Store) -> None:
    write_transitions(store, [breach()])
    store.command(f"TRUNCATE TABLE {store.name}.deliveries")
    store.command(f"TRUNCATE TABLE {store.name}.alarm_states")
    mended = mend_transitions(store)
    assert mended == breach().deliveries()
    assert alarm_states(store) == {"a": breach().state()}
    assert {d.id for d in pending_deliveries(store, 0, 10)[0]} == {d.id for d in mended}
    assert mend_transitions(store) == []


def test_pending_are_the_first_of_each_receiver_that_are_not_too_old(store: Store) -> None:
    actions = ("http://one/", "http://two/a", "http://two/b")
    write_transitions(store, [breach(VERSION + n, actions=actions) for n in range(3)])
    write_transitions(store, [breach(VERSION - 1, at=AT - 1, actions=("http://old/",))])
    found, whole = pending_deliveries(store, AT, 3)
    assert whole
    assert sorted((d.sequence - VERSION, d.action) for d in found if d.receiver == "one:80") == [
        (0, "http://one/"),
        (1, "http://one/"),
        (2, "http://one/"),
    ]
    assert [d.sequence - VERSION for d in found if d.receiver == "two:80"] == [0, 0, 1]
    assert [d.receiver for d in found if d.receiver == "old:80"] == []


def test_other_changes_are_kept_as_they_are_told(store: Store) -> None:
    change = AlarmChange(
        event_id="e", alarm_id="a", type="creation", detail={"name": "x"}, timestamp=AT, user_id="u"
    )
    write_changes(store, [change, change])
    assert rows(store, "alarm_history", "event_id, type, detail, user_id, transition") == [
        ("e", "creation", '{"name":"x"}', "u", "")
    ]
    assert mend_transitions(store) == []
