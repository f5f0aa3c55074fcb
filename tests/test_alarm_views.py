"""What analysts see of alarms: states, history, deliveries, and no trust."""

from typing import Any

import pytest

from metering.alarms.definition import AlarmChange
from store.alarm_states import write_changes, write_transitions
from store.alarms import delete_alarms, write_alarms
from store.client import Store
from tests.test_alarm_store import AT, VERSION, alarm, breach


@pytest.fixture
def filled(store: Store) -> Store:
    """Three alarms: one in alarm, one not evaluated yet, one deleted."""
    secret = {"alarm_actions": ["trust+http://T:delete@host/a"]}
    write_alarms(store, [alarm("a", **secret), alarm("b"), alarm("c")])
    delete_alarms(store, [alarm("c", VERSION + 1)])
    actions = ("trust+http://T:delete@host/a", "trust+heat://T@?stack=s", "http://u@host/b@c")
    write_transitions(store, [breach(actions=actions)])
    gone = AlarmChange(event_id="e", alarm_id="c", type="deletion", detail={}, timestamp=AT + 1)
    write_changes(store, [gone])
    return store


def view(store: Store, columns: str, name: str) -> list[tuple[Any, ...]]:
    sql = f"SELECT {columns} FROM {store.name}.{name} ORDER BY ALL"
    return [tuple(row) for row in store.query(sql).result_rows]


def test_every_alarm_is_seen_in_its_state(filled: Store) -> None:
    assert view(
        filled, "alarm_id, state, state_reason, JSONExtractString(rule, 'meter_name')", "v_alarms"
    ) == [
        ("a", "alarm", "Transition to alarm", "cpu"),
        ("b", "insufficient data", "Not evaluated yet", "cpu"),
    ]


def test_history_is_seen_after_deletion(filled: Store) -> None:
    assert view(filled, "alarm_id, type, on_behalf_of", "v_alarm_history") == [
        ("a", "state transition", "p"),
        ("c", "deletion", ""),
    ]


def test_deliveries_are_seen_without_trusts(filled: Store) -> None:
    assert view(filled, "action, state, alarm_id", "v_deliveries") == [
        ("http://u@host/b@c", "pending", "a"),
        ("trust+heat://?stack=s", "pending", "a"),
        ("trust+http://host/a", "pending", "a"),
    ]
    columns = "toString(tuple(*))"
    for name in ("v_alarms", "v_alarm_history", "v_deliveries"):
        assert "T:delete" not in str(view(filled, columns, name))
