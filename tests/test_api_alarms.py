"""Alarms by HTTP: creating, listing, changing and deleting them, and who may."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from store.alarms import changed_alarms
from store.client import Store
from tests.alarm_api import ADMIN, ALICE, BOB, RULES, THRESHOLD, api, created, definition, masked
from tests.api import bare_client, fault


@pytest.fixture
def client(store: Store) -> FlaskClient:
    return api(store)


def names(client: FlaskClient, query: str = "", who: dict[str, str] = ADMIN) -> list[str]:
    answer = client.get(f"/v2/alarms{query}", headers=who)
    assert answer.status_code == 200, answer.get_json()
    return [alarm["name"] for alarm in answer.get_json()]


def test_an_alarm_is_answered_with_its_defaults(client: FlaskClient) -> None:
    answer = client.post("/v2/alarms", json=definition(), headers=ALICE)
    alarm = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/v2/alarms/{alarm['alarm_id']}")
    assert masked(alarm) == {
        "alarm_id": alarm["alarm_id"],
        "name": "a threshold",
        "description": "Alarm when cpu_util is eq a avg of 80.0 over 60 seconds",
        "type": "threshold",
        "enabled": True,
        "severity": "low",
        "repeat_actions": False,
        "time_constraints": [],
        "ok_actions": [],
        "alarm_actions": [],
        "insufficient_data_actions": [],
        "project_id": "p1",
        "user_id": "alice",
        "threshold_rule": {
            "meter_name": "cpu_util",
            "query": [],
            "period": 60,
            "comparison_operator": "eq",
            "threshold": 80.0,
            "statistic": "avg",
            "evaluation_periods": 1,
            "exclude_outliers": False,
        },
        "timestamp": "TIME",
        "state": "insufficient data",
        "state_timestamp": "TIME",
        "state_reason": "Not evaluated yet",
        "evaluate_timestamp": "TIME",
    }
    assert client.get(f"/v2/alarms/{alarm['alarm_id']}", headers=ALICE).get_json() == alarm
    assert client.get("/v2/alarms", headers=ALICE).get_json() == [alarm]


@pytest.mark.parametrize("kind", RULES)
def test_every_type_is_stored_as_it_was_asked_for(kind: str, client: FlaskClient) -> None:
    alarm = created(client, kind=kind)
    rule = alarm[f"{kind}_rule"]
    assert alarm["type"] == kind
    if kind != "composite":
        assert RULES[kind].items() <= rule.items()
    again = client.put(f"/v2/alarms/{alarm['alarm_id']}", json=alarm, headers=ADMIN)
    assert again.get_json()[f"{kind}_rule"] == rule
    assert masked(again.get_json()) == masked(alarm)


def test_a_prometheus_alarm_is_refused_and_told_why(client: FlaskClient) -> None:
    body = {"name": "p", "type": "prometheus", "prometheus_rule": {"query": "up", "threshold": 1}}
    status, text = fault(client.post("/v2/alarms", json=body))
    assert (status, "there is no Prometheus" in text) == (400, True)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "Invalid input for field/attribute alarm. Value: '[]'. It must be an object."),
        ({}, "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing."),
        (
            definition(name=None),
            "Invalid input for field/attribute name. Value: 'None'. Mandatory field missing.",
        ),
        (definition(name=""), "takes 1 to 255 characters"),
        (definition(x=1, y=2), "Unknown attributes: x, y"),
        (definition(severity="grave"), "Value should be one of: low, moderate, critical"),
        (definition(state="off"), "Value should be one of: ok, alarm, insufficient data"),
        (definition(enabled="perhaps"), "unable to convert to bool"),
        (definition(type="event"), "event_rule must be set for event type alarm"),
        (
            definition(event_rule={"event_type": "x"}),
            "threshold_rule and event_rule cannot be set at the same time",
        ),
        (definition(alarm_actions=["ftp://x/"]), "Unsupported action ftp://x/"),
        (definition(alarm_actions="http://x/"), "It must be a list"),
        (definition(alarm_actions=["trust+http://t:delete@x/"]), "cannot contain a trust ID"),
        (definition(alarm_actions=["trust+http://@x/"]), "cannot contain a trust ID"),
        (
            definition(time_constraints=[{"name": "n", "start": "* * * * *", "duration": 1}] * 2),
            "Time constraint names must be unique for a given alarm.",
        ),
    ],
)
def test_a_bad_definition_is_told(body: Any, text: str) -> None:
    status, said = fault(bare_client().post("/v2/alarms", json=body))
    assert status == 400
    assert text in said


def test_a_body_that_is_no_json_is_told() -> None:
    answer = bare_client().post("/v2/alarms", data="{", content_type="application/json")
    assert fault(answer)[0] == 400


def test_a_name_is_taken_once_in_a_project(client: FlaskClient) -> None:
    created(client, ALICE)
    again = client.post("/v2/alarms", json=definition(), headers=ALICE)
    assert fault(again) == (409, "Alarm with name='a threshold' exists")
    created(client, BOB)
    other = created(client, ALICE, name="other")
    renamed = client.put(f"/v2/alarms/{other['alarm_id']}", json=definition(), headers=ALICE)
    assert fault(renamed)[0] == 409


def test_duplicate_actions_are_called_once(client: FlaskClient) -> None:
    alarm = created(client, ok_actions=["http://x/", "http://y/", "http://x/"])
    assert alarm["ok_actions"] == ["http://x/", "http://y/"]


def test_actions_are_bounded(store: Store) -> None:
    client = api(store, alarms={"max_actions": 1})
    created(client, ok_actions=["http://x/", "http://x/"], alarm_actions=["http://y/"])
    body = definition(name="more", ok_actions=["http://x/", "http://y/"])
    assert fault(client.post("/v2/alarms", json=body)) == (
        400,
        "ok_actions count exceeds maximum value 1",
    )


@pytest.mark.parametrize("action", ["log://", "test://"])
def test_logging_is_an_admins_action(action: str, client: FlaskClient) -> None:
    body = definition(alarm_actions=[action])
    refused = client.post("/v2/alarms", json=body, headers=ALICE)
    assert fault(refused) == (401, f"You are not authorized to create action: {action}")
    assert created(client, ADMIN, alarm_actions=[action])["alarm_actions"] == [action]


def test_an_owner_may_be_named_by_an_admin_only(client: FlaskClient) -> None:
    for aspect, other in (("project", {"project_id": "p2"}), ("user", {"user_id": "bob"})):
        refused = client.post("/v2/alarms", json=definition(**other), headers=ALICE)
        name = next(iter(other.values()))
        assert fault(refused) == (401, f"Not Authorized to access {aspect} {name}")
    own = created(client, ALICE, project_id="p1", user_id="alice")
    assert (own["project_id"], own["user_id"]) == ("p1", "alice")
    given = created(client, ADMIN, project_id="p2", user_id="bob")
    assert (given["project_id"], given["user_id"]) == ("p2", "bob")
    assert names(client, who=BOB) == ["a threshold"]


def test_an_alarm_looks_at_its_own_project_unless_it_is_an_admins(
    client: FlaskClient, store: Store
) -> None:
    created(client, ALICE, name="alice's")
    created(client, ADMIN, name="for bob", project_id="p2")
    created(client, ADMIN, name="root's")
    client.post("/v2/alarms", json=definition(name="nobody's"))
    scopes = {alarm.name: alarm.scope for alarm in changed_alarms(store).alarms}
    assert scopes == {"alice's": "p1", "for bob": "p2", "root's": None, "nobody's": None}


def test_a_query_may_not_ask_for_another_project(client: FlaskClient) -> None:
    rule = THRESHOLD | {"query": [{"field": "project_id", "value": "p2"}]}
    refused = client.post("/v2/alarms", json=definition(threshold_rule=rule), headers=ALICE)
    assert fault(refused) == (401, "Not Authorized to access project p2")
    nested = {"and": [{"or": [{"type": "threshold", **rule}]}]}
    body = definition("composite", composite_rule=nested)
    assert fault(client.post("/v2/alarms", json=body, headers=ALICE))[0] == 401
    created(client, ADMIN, threshold_rule=rule)


def test_alarms_of_others_are_not_there(client: FlaskClient) -> None:
    path = f"/v2/alarms/{created(client, ALICE)['alarm_id']}"
    missing = (404, f"Alarm {path.removeprefix('/v2/alarms/')} not found")
    assert fault(client.get(path, headers=BOB)) == missing
    assert fault(client.put(path, json=definition(), headers=BOB)) == missing
    assert fault(client.delete(path, headers=BOB)) == missing
    assert client.get(path, headers=ADMIN).status_code == 200
    assert client.get(path).status_code == 200
    assert fault(client.get("/v2/alarms/x"))[0] == 404


def test_a_list_is_of_the_callers_project_unless_it_asks_for_more(client: FlaskClient) -> None:
    created(client, ALICE, name="alice's")
    created(client, BOB, name="bob's")
    created(client, ADMIN, name="root's")
    assert names(client) == ["root's"]
    assert names(client, "?q.field=project_id&q.value=p2") == ["bob's"]
    everything = "?q.field=all_projects&q.value=true&sort=name"
    assert names(client, everything) == ["alice's", "bob's", "root's"]
    assert names(client, "?sort=name", who={}) == ["alice's", "bob's", "root's"]
    assert names(client, who=ALICE) == ["alice's"]
    refused = client.get(f"/v2/alarms{everything}", headers=ALICE)
    assert fault(refused) == (403, "RBAC Authorization Failed")
    other = client.get("/v2/alarms?q.field=project_id&q.value=p2", headers=ALICE)
    assert fault(other) == (401, "Not Authorized to access project p2")


def test_a_list_is_narrowed(client: FlaskClient) -> None:
    created(client, name="one", severity="critical", state="ok")
    created(client, name="two", enabled=False, repeat_actions=True)
    created(client, name="3", kind="event", user_id="eve")
    for field, value, found in (
        ("name", "one", ["one"]),
        ("name", "3", ["3"]),
        ("severity", "critical", ["one"]),
        ("state", "ok", ["one"]),
        ("state", "insufficient data", ["3", "two"]),
        ("enabled", "False", ["two"]),
        ("repeat_actions", "true", ["two"]),
        ("type", "event", ["3"]),
        ("user_id", "eve", ["3"]),
    ):
        query = f"?q.field={field}&q.op=eq&q.value={value}&q.type=&sort=name"
        assert names(client, query) == found, field
    at = client.get("/v2/alarms?sort=name&limit=1", headers=ADMIN).get_json()[0]["timestamp"]
    assert names(client, f"?q.field=timestamp&q.value={at}") == ["3"]


def test_a_list_is_paged_in_any_order(client: FlaskClient) -> None:
    for name, severity in (("a", "low"), ("b", "low"), ("c", "critical"), ("d", "low")):
        created(client, name=name, severity=severity)
    assert names(client) == ["d", "c", "b", "a"]
    for order in ("sort=severity:desc&sort=name", "sort=name:desc", "", "sort=enabled"):
        whole = names(client, f"?{order}")
        found: list[str] = []
        marker = ""
        while page := client.get(f"/v2/alarms?{order}&limit=3{marker}", headers=ADMIN).get_json():
            found += [alarm["name"] for alarm in page]
            marker = f"&marker={page[-1]['alarm_id']}"
        assert found == whole
    assert names(client, "?sort=severity:desc&sort=name") == ["a", "b", "d", "c"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("q.field=colour&q.value=x", "only fields"),
        ("q.field=name&q.op=ne&q.value=x", "only operations"),
        ("q.field=enabled&q.value=perhaps", "Unable to convert the value perhaps"),
        ("q.field=timestamp&q.value=soon", "invalid timestamp format"),
        ("sort=colour", "the supported sort keys are"),
        ("sort=name:up", "the supported sort keys are"),
        ("limit=0", "it should be a positive integer"),
        ("limit=x", "unable to convert to int"),
        ("x=1", "Unknown argument"),
    ],
)
def test_a_bad_list_is_told(query: str, text: str) -> None:
    status, said = fault(bare_client().get(f"/v2/alarms?{query}"))
    assert status == 400
    assert text in said


def test_a_marker_must_be_an_alarm(client: FlaskClient) -> None:
    assert fault(client.get("/v2/alarms?marker=x")) == (400, "Invalid marker x.")


def test_a_change_replaces_the_definition_and_keeps_the_state(client: FlaskClient) -> None:
    alarm = created(client, ALICE, state="ok")
    path = f"/v2/alarms/{alarm['alarm_id']}"
    body = definition("event", name="renamed", enabled=False, event_rule={"event_type": "x.*"})
    changed = client.put(path, json=body, headers=ALICE).get_json()
    assert (changed["type"], changed["enabled"], changed["state"]) == ("event", False, "ok")
    assert changed["event_rule"] == {"event_type": "x.*", "query": []}
    assert "threshold_rule" not in changed
    assert (changed["project_id"], changed["user_id"]) == ("p1", "alice")
    assert changed["timestamp"] > alarm["timestamp"]
    assert changed["state_timestamp"] == alarm["state_timestamp"]
    assert client.get(path, headers=ALICE).get_json() == changed


def test_an_admins_change_leaves_the_owner(client: FlaskClient) -> None:
    alarm = created(client, ALICE)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    changed = client.put(path, json=definition(severity="critical"), headers=ADMIN).get_json()
    assert (changed["project_id"], changed["user_id"]) == ("p1", "alice")
    moved = client.put(path, json=definition(project_id="p9"), headers=ADMIN).get_json()
    assert moved["project_id"] == "p9"


def test_a_change_may_set_the_state(client: FlaskClient) -> None:
    alarm = created(client)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    changed = client.put(path, json=alarm | {"state": "alarm"}, headers=ADMIN).get_json()
    assert (changed["state"], changed["state_reason"]) == ("alarm", "Manually set via API")
    assert client.get(f"{path}/state", headers=ADMIN).get_json() == "alarm"


def test_a_change_does_not_bring_back_a_state_that_has_passed(client: FlaskClient) -> None:
    read = created(client)
    path = f"/v2/alarms/{read['alarm_id']}"
    client.put(f"{path}/state", json="alarm", headers=ADMIN)
    changed = client.put(path, json=read | {"severity": "critical"}, headers=ADMIN).get_json()
    assert (changed["state"], changed["severity"]) == ("alarm", "critical")


def test_a_deleted_alarm_is_gone_and_its_name_is_free(client: FlaskClient, store: Store) -> None:
    alarm = created(client, ALICE)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    answer = client.delete(path, headers=ALICE)
    assert (answer.status_code, answer.data) == (204, b"")
    assert fault(client.get(path, headers=ALICE))[0] == 404
    assert fault(client.delete(path, headers=ALICE))[0] == 404
    assert names(client, who=ALICE) == []
    assert changed_alarms(store).alarms == []
    created(client, ALICE)


def test_an_alarm_on_alarms_needs_them_to_be_there(client: FlaskClient) -> None:
    one, two = created(client, ALICE, name="1"), created(client, ALICE, name="2")
    others = created(client, BOB)
    ids = [one["alarm_id"], two["alarm_id"]]

    def ask(kind: str, *wanted: str) -> Any:
        leaves = [{"type": "alarm", "alarm_id": name} for name in wanted]
        rules = {"combination": {"alarm_ids": list(wanted)}, "composite": {"and": leaves}}
        body = {"name": kind, "type": kind, f"{kind}_rule": rules[kind]}
        return client.post("/v2/alarms", json=body, headers=ALICE)

    for kind in ("combination", "composite"):
        assert fault(ask(kind, ids[0], "x")) == (404, "Alarm x not found")
        assert fault(ask(kind, ids[0], others["alarm_id"]))[0] == 404
        assert ask(kind, *ids).status_code == 201
    assert "at least two different" in fault(ask("combination", ids[0], ids[0]))[1]


def test_alarms_do_not_go_in_circles(client: FlaskClient) -> None:
    one, two = created(client, name="1"), created(client, name="2")
    both = [one["alarm_id"], two["alarm_id"]]

    def combined(name: str, *ids: str) -> dict[str, Any]:
        return {"name": name, "type": "combination", "combination_rule": {"alarm_ids": ids}}

    upper = client.post("/v2/alarms", json=combined("upper", *both), headers=ADMIN).get_json()
    itself = combined("upper", both[0], upper["alarm_id"])
    refused = client.put(f"/v2/alarms/{upper['alarm_id']}", json=itself, headers=ADMIN)
    assert fault(refused)[1].startswith(f"Cannot specify alarm {upper['alarm_id']} itself")
    circle = combined("1", upper["alarm_id"], both[1])
    refused = client.put(f"/v2/alarms/{both[0]}", json=circle, headers=ADMIN)
    assert fault(refused) == (400, f"Alarm {both[0]} would depend on itself")
