"""The description of the API is true of alarms: what is answered is as it says."""

from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from metering.alarms.attempts import Outcome, attempted
from metering.alarms.definition import Alarm, alarm_from
from metering.alarms.transitions import Transition
from store.alarm_states import Evaluations, write_evaluations, write_transitions
from store.client import Store
from store.deliveries import write_attempts
from tests.alarm_api import ADMIN, RULES, api, created, definition
from tests.delivering import AT
from webapi.alarming import Alarming
from webapi.openapi import description


def dry_run(alarm: Alarm, start: int, end: int) -> list[Transition]:
    return [
        Transition(
            alarm_id=alarm.alarm_id,
            alarm_name=alarm.name,
            project_id="",
            severity="low",
            previous="ok",
            current="alarm",
            reason="r",
            reason_data={"count": 1},
            at=start,
            version=1,
            actions=("http://x/",),
        )
    ]


@pytest.fixture
def client(store: Store) -> FlaskClient:
    """An API over an alarm of every type, and one that has been evaluated."""
    write_evaluations(store, [Evaluations("a", "", "ok", "run", 3, 1)])
    client = api(store, Alarming(dry_run=dry_run, explain=lambda alarm: {"buckets": []}))
    for kind in RULES:
        constraint = {"name": "n", "start": "* * * * *", "duration": 1}
        created(client, kind=kind, time_constraints=[constraint])
    return client


def check(answer: Any, path: str, method: str, status: int = 200) -> Any:
    """Return what was answered, as described."""
    assert answer.status_code == status, answer.get_json()
    said = description()["paths"][path][method]["responses"][str(status)]
    schema = said["content"]["application/json"]["schema"]
    whole = {**schema, "components": description()["components"]}
    jsonschema_rs.validator_for(whole).validate(answer.get_json())
    return answer.get_json()


def test_what_is_asked_for_is_as_described(client: FlaskClient) -> None:
    found = check(client.get("/v2/alarms"), "/v2/alarms", "get")
    assert {alarm["type"] for alarm in found} == RULES.keys()
    one = f"/v2/alarms/{found[0]['alarm_id']}"
    path = "/v2/alarms/{alarm_id}"
    check(client.get(one), path, "get")
    check(client.get(f"{one}/state"), f"{path}/state", "get")
    assert check(client.get(f"{one}/history"), f"{path}/history", "get") != []
    assert check(client.post("/v2/query/alarms"), "/v2/query/alarms", "post") != []
    history = "/v2/query/alarms/history"
    assert check(client.post(history), history, "post") != []
    check(client.get("/v2/quotas?project_id=p"), "/v2/quotas", "get")
    assert check(client.get("/v2/metrics"), "/v2/metrics", "get")["evaluation_results"] != []
    explain = f"/v1/alarms/{found[0]['alarm_id']}/explain"
    check(client.get(explain), "/v1/alarms/{alarm_id}/explain", "get")


def test_what_is_written_is_as_described(client: FlaskClient) -> None:
    path = "/v2/alarms/{alarm_id}"
    made = client.post("/v2/alarms", json=definition(name="new"), headers=ADMIN)
    alarm = check(made, "/v2/alarms", "post", 201)
    one = f"/v2/alarms/{alarm['alarm_id']}"
    check(client.put(one, json=alarm, headers=ADMIN), path, "put")
    check(client.put(f"{one}/state", json="ok", headers=ADMIN), f"{path}/state", "put")
    quotas = {"project_id": "p", "quotas": [{"resource": "alarms", "limit": 1}]}
    check(client.post("/v2/quotas", json=quotas), "/v2/quotas", "post", 201)
    times = {"start": "2026-11-20T00:00:00", "end": "2026-11-21T00:00:00"}
    tried = client.post("/v1/alarms/dry-run", json={"alarm": definition(), **times})
    assert len(check(tried, "/v1/alarms/dry-run", "post")["transitions"]) == 1


def test_what_fails_is_as_described(client: FlaskClient) -> None:
    missing = client.get("/v2/alarms/x")
    assert missing.status_code == 404
    said = description()["components"]["responses"]["404"]["content"]["application/json"]
    whole = {**said["schema"], "components": description()["components"]}
    jsonschema_rs.validator_for(whole).validate(missing.get_json())


def test_deliveries_are_as_described(client: FlaskClient, store: Store) -> None:
    (one,) = write_transitions(store, dry_run(alarm_from(definition(), "a"), AT, AT))
    after, attempt = attempted(one, Outcome("404 Not Found", 404), AT, 0.5, 1.0, 60.0)
    write_attempts(store, [(after, attempt)])
    path = "/v1/alarms/{alarm_id}/deliveries"
    assert check(client.get("/v1/alarms/a/deliveries"), path, "get") != []
    own = f"/v1/alarms/a/deliveries/{one.id}"
    assert check(client.get(own), f"{path}/{{delivery_id}}", "get")["attempts_made"] != []
    resend = f"{path}/{{delivery_id}}/resend"
    check(client.post(f"{own}/resend"), resend, "post", 202)
