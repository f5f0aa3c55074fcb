"""States set by hand, and what became of alarms, by HTTP."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from metering.alarms.states import AlarmState
from metering.alarms.transitions import Transition
from store.alarm_states import alarm_states, write_transitions
from store.alarms import changed_alarms
from store.client import Store
from tests.alarm_api import ADMIN, ALICE, BOB, api, created, definition, masked
from tests.api import fault


@pytest.fixture
def client(store: Store) -> FlaskClient:
    return api(store)


def history(client: FlaskClient, alarm: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    path = f"/v2/alarms/{alarm['alarm_id']}/history{query}"
    answer = client.get(path, headers=ADMIN)
    assert answer.status_code == 200, answer.get_json()
    found: list[dict[str, Any]] = answer.get_json()
    return found


def kinds(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["type"] for entry in entries]


def test_a_state_is_set_by_hand_and_told_to_the_job(client: FlaskClient, store: Store) -> None:
    path = f"/v2/alarms/{created(client, ALICE)['alarm_id']}/state"
    assert client.get(path, headers=ALICE).get_json() == "insufficient data"
    answer = client.put(path, json="alarm", headers=ALICE)
    assert (answer.status_code, answer.get_json()) == (200, "alarm")
    assert client.get(path, headers=ALICE).get_json() == "alarm"
    (told,) = changed_alarms(store).states
    assert (told.state, told.reason, told.manual) == ("alarm", "Manually set via API", True)
    assert told.version // 1000 == told.at


def test_a_state_given_at_creation_is_told_to_the_job(client: FlaskClient, store: Store) -> None:
    alarm = created(client, state="ok")
    (told,) = changed_alarms(store).states
    assert (told.alarm_id, told.state, told.reason) == (
        alarm["alarm_id"],
        "ok",
        "Not evaluated yet",
    )


@pytest.mark.parametrize("body", ["off", None, {"state": "ok"}, ["ok"], 1])
def test_a_state_that_is_none_is_refused(body: Any, client: FlaskClient) -> None:
    path = f"/v2/alarms/{created(client)['alarm_id']}/state"
    assert fault(client.put(path, json=body)) == (400, "state invalid")


def test_the_state_of_anothers_alarm_is_not_there(client: FlaskClient) -> None:
    path = f"/v2/alarms/{created(client, ALICE)['alarm_id']}/state"
    assert fault(client.get(path, headers=BOB))[0] == 404
    assert fault(client.put(path, json="ok", headers=BOB))[0] == 404


def test_a_later_evaluation_wins_over_a_state_set_by_hand(
    client: FlaskClient, store: Store
) -> None:
    alarm = created(client)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    client.put(f"{path}/state", json="alarm", headers=ADMIN)
    before: AlarmState = alarm_states(store)[alarm["alarm_id"]]
    write_transitions(store, [transition(alarm, before.version + 1)])
    found = client.get(path, headers=ADMIN).get_json()
    assert (found["state"], found["state_reason"]) == ("ok", "all is well")
    client.put(f"{path}/state", json="alarm", headers=ADMIN)
    assert client.get(f"{path}/state", headers=ADMIN).get_json() == "alarm"


def transition(alarm: dict[str, Any], version: int) -> Transition:
    return Transition(
        alarm_id=alarm["alarm_id"],
        alarm_name=alarm["name"],
        project_id=alarm["project_id"],
        severity=alarm["severity"],
        previous="alarm",
        current="ok",
        reason="all is well",
        reason_data={"type": "threshold"},
        at=version // 1000,
        version=version,
    )


def test_creation_change_state_and_deletion_are_in_the_history(
    client: FlaskClient, store: Store
) -> None:
    alarm = created(client, ALICE)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    client.put(path, json=definition(severity="critical", enabled=False), headers=ADMIN)
    client.put(f"{path}/state", json="alarm", headers=ALICE)
    version = alarm_states(store)[alarm["alarm_id"]].version + 1000
    write_transitions(store, [transition(alarm, version)])
    client.delete(path, headers=ALICE)
    entries = sorted(history(client, alarm), key=lambda entry: entry["timestamp"])
    by_alice = {"user_id": "alice", "project_id": "p1", "on_behalf_of": "p1"}
    by_root = {"user_id": "root", "project_id": "ops", "on_behalf_of": "p1"}
    by_itself = {"user_id": None, "project_id": None, "on_behalf_of": "p1"}
    shared = {"alarm_id": alarm["alarm_id"], "timestamp": "TIME"}
    told = [
        {name: value for name, value in masked(entry).items() if name not in ("event_id", "detail")}
        for entry in entries
    ]
    assert told == [
        {"type": "creation", "severity": "low", **shared, **by_alice},
        {"type": "rule change", "severity": "critical", **shared, **by_root},
        {"type": "state transition", "severity": "critical", **shared, **by_alice},
        {"type": "state transition", "severity": "low", **shared, **by_itself},
        {"type": "deletion", "severity": "critical", **shared, **by_alice},
    ]
    details = [masked(json.loads(entry["detail"])) for entry in entries]
    assert details[1:] == [
        {"severity": "critical", "enabled": False},
        {"state": "alarm", "state_reason": "Manually set via API"},
        {"state": "ok", "transition_reason": "all is well"},
        {"state": "ok"},
    ]
    rule = alarm.pop("threshold_rule")
    del alarm["evaluate_timestamp"]
    assert details[0] == masked(alarm | {"rule": rule})


def test_a_change_that_changes_nothing_is_not_told(client: FlaskClient) -> None:
    alarm = created(client)
    client.put(f"/v2/alarms/{alarm['alarm_id']}", json=definition(), headers=ADMIN)
    assert kinds(history(client, alarm)) == ["creation"]


def test_history_is_narrowed_and_paged(client: FlaskClient) -> None:
    alarm = created(client, ALICE)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    for state in ("ok", "alarm", "ok"):
        client.put(f"{path}/state", json=state, headers=ADMIN)
    whole = history(client, alarm)
    assert kinds(whole) == ["state transition"] * 3 + ["creation"]
    assert kinds(history(client, alarm, "?q.field=type&q.value=creation")) == ["creation"]
    assert len(history(client, alarm, "?q.field=user_id&q.value=alice")) == 1
    assert len(history(client, alarm, "?q.field=project&q.value=ops")) == 3
    since = f"?q.field=timestamp&q.op=gt&q.value={whole[1]['timestamp']}"
    assert history(client, alarm, since) == whole[:1]
    assert history(client, alarm, "?sort=timestamp:asc") == whole[::-1]
    page = history(client, alarm, "?limit=2")
    rest = history(client, alarm, f"?limit=9&marker={page[-1]['event_id']}")
    assert page + rest == whole
    assert history(client, alarm, "?sort=type&limit=1")[0]["type"] == "creation"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("q.field=colour&q.value=x", "unrecognized field in query"),
        ("q.field=on_behalf_of&q.value=x", "unrecognized field in query"),
        ("q.field=type&q.op=ne&q.value=x", "unimplemented operator for type"),
        ("q.field=timestamp&q.value=2026-01-01", "unimplemented operator for timestamp"),
        ("q.field=timestamp&q.op=gt&q.value=soon", "invalid timestamp format"),
        ("sort=detail", "the supported sort keys are"),
        ("limit=-1", "it should be a positive integer"),
        ("marker=x", "Invalid marker x."),
    ],
)
def test_a_bad_question_about_history_is_told(query: str, text: str, client: FlaskClient) -> None:
    alarm = created(client)
    status, said = fault(client.get(f"/v2/alarms/{alarm['alarm_id']}/history?{query}"))
    assert status == 400
    assert text in said


def test_history_outlives_its_alarm_and_is_its_owners(client: FlaskClient) -> None:
    alarm = created(client, ALICE)
    path = f"/v2/alarms/{alarm['alarm_id']}"
    client.delete(path, headers=ALICE)
    assert kinds(client.get(f"{path}/history", headers=ALICE).get_json()) == [
        "deletion",
        "creation",
    ]
    assert fault(client.get(f"{path}/history", headers=BOB))[0] == 404
    assert fault(client.get("/v2/alarms/x/history"))[0] == 404
    nothing = client.get(f"{path}/history?q.field=type&q.value=none", headers=ALICE)
    assert nothing.get_json() == []


def ask(client: FlaskClient, path: str, who: dict[str, str] = ADMIN, **body: Any) -> list[Any]:
    texts = {name: value if name == "limit" else json.dumps(value) for name, value in body.items()}
    answer = client.post(path, json=texts, headers=who)
    assert answer.status_code == 200, answer.get_json()
    found: list[Any] = answer.get_json()
    return found


def test_alarms_are_found_by_a_filter(client: FlaskClient) -> None:
    created(client, ALICE, name="one", severity="critical")
    created(client, BOB, name="two", enabled=False, description="spare")

    def names(who: dict[str, str] = ADMIN, **body: Any) -> list[str]:
        return [alarm["name"] for alarm in ask(client, "/v2/query/alarms", who, **body)]

    assert names(orderby=[{"name": "DESC"}]) == ["two", "one"]
    assert names(orderby=[{"name": "asc"}], limit=1) == ["one"]
    assert names() == ["two", "one"]
    assert names(filter={"=": {"name": "one"}}) == ["one"]
    assert names(filter={"=": {"enabled": False}}) == ["two"]
    assert names(filter={"=": {"project": "p2"}}) == ["two"]
    assert names(filter={"=~": {"name": "^t"}}) == ["two"]
    assert names(filter={"=": {"description": "spare"}}) == ["two"]
    assert names(filter={"=": {"state": "insufficient data"}}, orderby=[{"name": "asc"}]) == [
        "one",
        "two",
    ]
    either = {"or": [{"=": {"severity": "critical"}}, {"in": {"user_id": ["bob", "x"]}}]}
    assert names(filter=either, orderby=[{"state_timestamp": "asc"}]) == ["one", "two"]
    assert names(filter={"and": [either, {"not": {"=": {"name": "one"}}}]}) == ["two"]
    assert names(filter={">": {"timestamp": "2026-01-01T00:00:00"}}, limit=1) == ["two"]
    assert names(ALICE) == ["one"]
    assert names(ALICE, filter={"!=": {"name": "one"}}) == []


def test_history_is_found_by_a_filter(client: FlaskClient) -> None:
    one, two = created(client, ALICE), created(client, BOB)
    path = "/v2/query/alarms/history"
    assert [entry["alarm_id"] for entry in ask(client, path, ALICE)] == [one["alarm_id"]]
    found = ask(client, path, filter={"=": {"alarm_id": two["alarm_id"]}})
    assert kinds(found) == ["creation"]
    assert len(ask(client, path, filter={"=~": {"detail": "a threshold"}})) == 2
    ordered = ask(client, path, orderby=[{"timestamp": "asc"}])
    assert [entry["alarm_id"] for entry in ordered] == [one["alarm_id"], two["alarm_id"]]


@pytest.mark.parametrize(
    ("path", "said", "status"),
    [
        ("/v2/query/alarms", {"=": {"colour": "x"}}, 400),
        ("/v2/query/alarms", {"=": {"metadata.x": "x"}}, 400),
        ("/v2/query/alarms", {"=": {"enabled": "perhaps"}}, 400),
        ("/v2/query/alarms", {"=~": {"enabled": "x"}}, 400),
        ("/v2/query/alarms", {"=": {"timestamp": "soon"}}, 400),
        ("/v2/query/alarms", {"=": {"project_id": "p2"}}, 401),
        ("/v2/query/alarms/history", {"=": {"on_behalf_of": "p2"}}, 401),
        ("/v2/query/alarms/history", {"=": {"state": "ok"}}, 400),
    ],
)
def test_a_bad_filter_is_told(path: str, said: Any, status: int, client: FlaskClient) -> None:
    answer = client.post(path, json={"filter": json.dumps(said)}, headers=ALICE)
    assert fault(answer)[0] == status
