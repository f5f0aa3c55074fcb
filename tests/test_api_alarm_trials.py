"""Quotas, metrics, trusts, dry runs and explanations by HTTP."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient

from metering.alarms.definition import Alarm
from metering.alarms.transitions import Transition
from metering.alarms.trusts import TrustsError
from store.alarm_states import Evaluations, write_evaluations
from store.alarms import changed_alarms
from store.client import Store
from tests.alarm_api import ADMIN, ALICE, BOB, api, created, definition
from tests.api import bare_client, fault
from webapi.alarming import Alarming


class Keystone:
    """Trusts that are remembered; fails with `error` where one is set."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.deleted: list[tuple[str, str | None]] = []
        self.error: Exception | None = None
        self.meanwhile: Callable[[], None] | None = None  # happens while a trust is made

    def create(self, user_id: str, project_id: str, roles: Sequence[str], token: str | None) -> str:
        self._fail()
        if self.meanwhile is not None:
            self.meanwhile()
        self.made.append((user_id, project_id, tuple(roles), token))
        return f"T{len(self.made)}"

    def delete(self, trust_id: str, token: str | None) -> None:
        self._fail()
        self.deleted.append((trust_id, token))

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


TRUSTED = {"ok_actions": ["http://x/", "trust+http://h/a"], "alarm_actions": ["trust+http://h/b"]}
WITH_TOKEN = ALICE | {"X-Auth-Token": "secret"}


def stored_actions(store: Store) -> list[str]:
    (alarm,) = changed_alarms(store).alarms
    return [*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions]


def test_a_trust_is_made_once_scrubbed_and_deleted_with_its_alarm(store: Store) -> None:
    keystone = Keystone()
    client = api(store, Alarming(trusts=keystone))
    alarm = created(client, WITH_TOKEN, **TRUSTED)
    assert keystone.made == [("alice", "p1", ("member",), "secret")]
    assert stored_actions(store) == [
        "http://x/",
        "trust+http://T1:delete@h/a",
        "trust+http://T1@h/b",
    ]
    path = f"/v2/alarms/{alarm['alarm_id']}"
    for told in (
        alarm,
        client.get(path, headers=ALICE).get_json(),
        client.get("/v2/alarms", headers=ALICE).get_json()[0],
        client.post("/v2/query/alarms", json={}, headers=ALICE).get_json()[0],
    ):
        assert {name: told[name] for name in TRUSTED} == TRUSTED
    assert "//T1" not in client.get(f"{path}/history", headers=ALICE).text
    assert client.delete(path, headers=WITH_TOKEN).status_code == 204
    assert keystone.deleted == [("T1", "secret")]


def test_a_change_keeps_the_trust_while_an_action_needs_it(store: Store) -> None:
    keystone = Keystone()
    client = api(store, Alarming(trusts=keystone))
    path = f"/v2/alarms/{created(client, WITH_TOKEN, **TRUSTED)['alarm_id']}"
    body = definition(insufficient_data_actions=["trust+https://h/c"])
    assert client.put(path, json=body, headers=WITH_TOKEN).status_code == 200
    assert stored_actions(store) == ["trust+https://T1:delete@h/c"]
    assert (len(keystone.made), keystone.deleted) == (1, [])
    assert client.put(path, json=definition(), headers=WITH_TOKEN).status_code == 200
    assert stored_actions(store) == []
    assert keystone.deleted == [("T1", "secret")]


def test_a_trust_needs_a_connection_to_openstack(store: Store) -> None:
    refused = api(store).post("/v2/alarms", json=definition(**TRUSTED), headers=ALICE)
    assert fault(refused) == (
        503,
        "trust+ actions need a connection to OpenStack, and none is configured here",
    )
    assert changed_alarms(store).alarms == []


def test_an_alarm_stays_while_keystone_does_not_take_its_trust_back(store: Store) -> None:
    keystone = Keystone()
    client = api(store, Alarming(trusts=keystone))
    path = f"/v2/alarms/{created(client, ALICE, **TRUSTED)['alarm_id']}"
    keystone.error = TrustsError("Keystone does not answer")
    assert fault(client.delete(path, headers=ALICE)) == (503, "Keystone does not answer")
    refused = client.post("/v2/alarms", json=definition(name="b", **TRUSTED), headers=ALICE)
    assert fault(refused)[0] == 503
    assert [alarm["name"] for alarm in client.get("/v2/alarms", headers=ALICE).get_json()] == [
        "a threshold"
    ]
    keystone.error = None
    assert client.delete(path, headers=ALICE).status_code == 204


def test_a_trust_for_what_is_refused_in_the_end_is_given_back(store: Store) -> None:
    keystone = Keystone()
    client = api(store, Alarming(trusts=keystone))
    before = created(client, ALICE)

    def taken_meanwhile() -> None:
        created(client, ALICE, name="late")
        keystone.meanwhile = None

    for method, path in (("POST", "/v2/alarms"), ("PUT", f"/v2/alarms/{before['alarm_id']}")):
        keystone.meanwhile = taken_meanwhile
        body = definition(name="late", **TRUSTED)
        refused = client.open(path, method=method, json=body, headers=WITH_TOKEN)
        assert fault(refused) == (409, "Alarm with name='late' exists")
        (late,) = (one for one in changed_alarms(store).alarms if one.name == "late")
        client.delete(f"/v2/alarms/{late.alarm_id}", headers=ALICE)
    assert keystone.deleted == [("T1", "secret"), ("T2", "secret")]
    assert stored_actions(store) == []


def test_without_a_connection_an_alarm_can_still_be_deleted(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    alarm = created(api(store, Alarming(trusts=Keystone())), ALICE, **TRUSTED)
    answer = api(store).delete(f"/v2/alarms/{alarm['alarm_id']}", headers=ALICE)
    assert answer.status_code == 204
    assert "trust T1 is left" in caplog.text


def limits(client: FlaskClient, query: str = "", who: dict[str, str] = ADMIN) -> Any:
    return client.get(f"/v2/quotas{query}", headers=who).get_json()


def test_a_project_has_the_configured_quota_until_it_has_its_own(store: Store) -> None:
    client = api(store, alarms={"project_quota": 7})
    told = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": 7}]}
    assert limits(client, who=ALICE) == limits(client, "?project_id=p1") == told
    body = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": "3"}]}
    answer = client.post("/v2/quotas", json=body, headers=ADMIN)
    told = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": 3}]}
    assert (answer.status_code, answer.get_json()) == (201, told)
    assert limits(client, who=ALICE) == told
    assert limits(client, who=BOB)["quotas"][0]["limit"] == 7
    assert client.delete("/v2/quotas/p1", headers=ADMIN).status_code == 204
    assert limits(client, who=ALICE)["quotas"][0]["limit"] == 7


def test_quotas_are_an_admins_to_set_and_a_projects_own_to_read() -> None:
    client = bare_client()
    body = {"project_id": "p1", "quotas": []}
    forbidden = (403, "RBAC Authorization Failed")
    assert fault(client.post("/v2/quotas", json=body, headers=ALICE)) == forbidden
    assert fault(client.delete("/v2/quotas/p1", headers=ALICE)) == forbidden
    assert fault(client.get("/v2/quotas?project_id=p2", headers=ALICE)) == forbidden


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"project_id": "p", "quotas": [{"resource": "cores", "limit": 1}]},
        {"project_id": "p", "quotas": [{"resource": "alarms", "limit": -2}]},
        {"project_id": "p", "quotas": [{"resource": "alarms"}]},
        {"project_id": "p", "x": 1},
    ],
)
def test_a_bad_quota_is_told(body: Any) -> None:
    assert fault(bare_client().post("/v2/quotas", json=body))[0] == 400


def test_a_projects_quota_counts_the_projects_alarms(store: Store) -> None:
    client = api(store)
    body = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": 2}]}
    client.post("/v2/quotas", json=body, headers=ADMIN)
    carol = ALICE | {"X-User-Id": "carol"}
    created(client, ALICE, name="1")
    created(client, carol, name="2")
    refused = client.post("/v2/alarms", json=definition(name="3"), headers=carol)
    text = "Alarm quota exceeded for user carol on project p1"
    assert fault(refused) == (403, text)
    created(client, BOB, name="3")
    created(client, ADMIN, name="of alice elsewhere", user_id="alice", project_id="p3")


def test_a_users_quota_counts_the_users_alarms(store: Store) -> None:
    client = api(store, alarms={"user_quota": 1})
    first = created(client, ALICE, name="1")
    elsewhere = ALICE | {"X-Project-Id": "p9"}
    assert fault(client.post("/v2/alarms", json=definition(), headers=elsewhere))[0] == 403
    created(client, ALICE | {"X-User-Id": "carol"}, name="2")
    client.delete(f"/v2/alarms/{first['alarm_id']}", headers=ALICE)
    created(client, ALICE, name="3")


def test_a_quota_of_minus_one_is_any_number(store: Store) -> None:
    client = api(store, alarms={"project_quota": 1})
    body = {"project_id": "p1", "quotas": [{"resource": "alarms", "limit": -1}]}
    client.post("/v2/quotas", json=body, headers=ADMIN)
    created(client, ALICE, name="1")
    created(client, ALICE, name="2")


def test_metrics_count_evaluations_over_all_runs(store: Store) -> None:
    client = api(store)
    counted = [
        Evaluations("a", "p1", "ok", "run1", 3, 1),
        Evaluations("a", "p1", "ok", "run1", 5, 2),
        Evaluations("a", "p1", "ok", "run2", 1, 3),
        Evaluations("a", "p1", "alarm", "run2", 2, 3),
        Evaluations("b", "p2", "insufficient data", "run2", 9, 3),
    ]
    write_evaluations(store, counted)
    of_a = {
        "alarm_id": "a",
        "project_id": "p1",
        "state_counters": {"alarm": 2, "insufficient data": 0, "ok": 6},
    }
    assert client.get("/v2/metrics", headers=ALICE).get_json() == {"evaluation_results": [of_a]}
    everything = client.get("/v2/metrics?all_projects=true", headers=ADMIN).get_json()
    assert [one["alarm_id"] for one in everything["evaluation_results"]] == ["a", "b"]
    assert fault(client.get("/v2/metrics?all_projects=true", headers=ALICE))[0] == 403


def test_a_dry_run_answers_what_would_have_been(store: Store) -> None:
    asked: list[tuple[Alarm, int, int]] = []

    def evaluate(alarm: Alarm, start: int, end: int) -> list[Transition]:
        asked.append((alarm, start, end))
        return [
            Transition(
                alarm_id=alarm.alarm_id,
                alarm_name=alarm.name,
                project_id=alarm.project_id,
                severity=alarm.severity,
                previous="ok",
                current="alarm",
                reason="too high",
                reason_data={"count": 1},
                at=start + 1000,
                version=1,
                actions=("trust+http://T:delete@h/",),
            )
        ]

    client = api(store, Alarming(dry_run=evaluate))
    times = {"start": "2026-11-22T10:00:00", "end": "2026-11-22T11:00:00"}
    body = {"alarm": definition(), **times}
    assert client.post("/v1/alarms/dry-run", json=body, headers=ALICE).get_json() == {
        "transitions": [
            {
                "at": "2026-11-22T10:00:01",
                "previous": "ok",
                "current": "alarm",
                "reason": "too high",
                "reason_data": {"count": 1},
                "actions": ["trust+http://h/"],
            }
        ]
    }
    ((alarm, start, end),) = asked
    assert (alarm.name, alarm.scope, end - start) == ("a threshold", "p1", 3_600_000)
    assert changed_alarms(store).alarms == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"alarm": definition(), "start": "2026-11-22", "end": "2026-11-21"},
        {"alarm": definition(), "start": "soon", "end": "2026-11-21"},
        {"alarm": {}, "start": "2026-11-20", "end": "2026-11-21"},
        {"alarm": definition(), "start": "2026-11-20", "end": "2026-11-21", "x": 1},
    ],
)
def test_a_bad_dry_run_is_told(body: Any) -> None:
    assert fault(bare_client().post("/v1/alarms/dry-run", json=body))[0] == 400


def test_an_explanation_is_told_beside_its_alarm(store: Store) -> None:
    client = api(store, Alarming(explain=lambda alarm: {"buckets": [alarm.name]}))
    alarm = created(client, ALICE)
    path = f"/v1/alarms/{alarm['alarm_id']}/explain"
    assert client.get(path, headers=ALICE).get_json() == {
        "alarm": alarm,
        "buckets": ["a threshold"],
    }
    assert fault(client.get(path, headers=BOB))[0] == 404


def test_without_an_evaluation_there_is_neither(store: Store) -> None:
    client = api(store)
    alarm = created(client)
    nothing = (503, "Alarms are not evaluated by this process")
    assert fault(client.get(f"/v1/alarms/{alarm['alarm_id']}/explain")) == nothing
    body = {"alarm": definition(), "start": "2026-11-20", "end": "2026-11-21"}
    assert fault(client.post("/v1/alarms/dry-run", json=body)) == nothing
