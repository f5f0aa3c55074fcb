"""What the unmodified `openstack alarm ...` commands do."""

from collections.abc import Iterator

import pytest

from store.alarm_states import Evaluations, write_evaluations
from store.client import Store
from tests.aodh import Client, as_json, running


@pytest.fixture
def openstack(store: Store) -> Iterator[Client]:
    with running(store, "openstack") as client:
        yield client


def test_an_alarm_lives_and_dies(openstack: Client) -> None:
    plain = ("--type", "event", "--event-type", "image.*", "--project-id", "p1")
    made = as_json(openstack, "alarm", "create", "--name", "images", *plain)
    assert (made["event_type"], made["project_id"], made["user_id"]) == ("image.*", "p1", None)
    listed = as_json(openstack, "alarm", "list")
    assert [row["alarm_id"] for row in listed] == [made["alarm_id"]]
    assert as_json(openstack, "alarm", "show", "images")["alarm_id"] == made["alarm_id"]
    changed = as_json(openstack, "alarm", "update", "images", "--severity", "moderate")
    assert changed["severity"] == "moderate"
    state = as_json(openstack, "alarm", "state", "set", "images", "--state", "ok")
    assert state == as_json(openstack, "alarm", "state", "get", "images") == {"state": "ok"}
    assert openstack("alarm", "delete", "images") == ""
    history = as_json(openstack, "alarm-history", "show", made["alarm_id"])
    assert [entry["type"] for entry in history] == [
        "deletion",
        "state transition",
        "rule change",
        "creation",
    ]
    found = as_json(openstack, "alarm-history", "search", "--query", "type=creation")
    assert [entry["alarm_id"] for entry in found] == [made["alarm_id"]]


def test_quotas_are_shown_and_set(openstack: Client) -> None:
    assert as_json(openstack, "alarm", "quota", "show", "--project", "p1") == {"alarms": -1}
    assert as_json(openstack, "alarm", "quota", "set", "p1", "--alarm", "1") == {"alarms": 1}
    assert as_json(openstack, "alarm", "quota", "show", "--project", "p1") == {"alarms": 1}
    create = ("alarm", "create", "--type", "event", "--project-id", "p1", "--name")
    as_json(openstack, *create, "one")
    said = openstack(*create, "two", fails=True)
    assert "Alarm quota exceeded for user  on project p1 (HTTP 403)" in said


def test_metrics_and_capabilities_are_printed(openstack: Client, store: Store) -> None:
    write_evaluations(store, [Evaluations("a", "p1", "ok", "run", 3, 1)])
    rows = as_json(openstack, "alarm", "metrics")
    labels = 'alarm_id="{a}", project_id="{p1}", state="{%s}"'
    told = {tuple(row.values())[1]: tuple(row.values())[2] for row in rows}
    assert told == {
        labels % "alarm": 0,
        labels % "insufficient data": 0,
        labels % "ok": 3,
    }
    assert as_json(openstack, "alarming", "capabilities", "list")["alarm_storage"]
