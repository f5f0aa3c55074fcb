"""Deliveries of an alarm's actions by REST: what became of them, and one more time by hand."""

import dataclasses

import pytest
from flask.testing import FlaskClient

from metering.alarms.attempts import Outcome, attempted
from metering.alarms.transitions import Delivery
from store.alarm_states import write_transitions
from store.client import Store
from store.deliveries import pending_deliveries, write_attempts
from tests.alarm_api import ADMIN, ALICE, BOB, api, created
from tests.api import fault
from tests.delivering import AT, delivering, transition
from tests.servers.receiver import receiving
from webapi.alarming import Alarming

HERE = "2096-10-02T07:06:40"  # AT


@pytest.fixture
def client(store: Store) -> FlaskClient:
    return api(store)


def settled(store: Store, one: Delivery, *outcomes: Outcome, age: float = 1000.0) -> Delivery:
    """Write attempts at a delivery, a second apart."""
    for number, outcome in enumerate(outcomes, 1):
        one, attempt = attempted(one, outcome, AT + 1000 * number, 0.25, 1.0, age)
        write_attempts(store, [(one, attempt)])
    return one


GONE = Outcome("404 Not Found", 404)


def test_deliveries_are_listed_the_newest_first_without_their_trusts(
    store: Store, client: FlaskClient
) -> None:
    (first,) = write_transitions(
        store, [transition(1, "a", "trust+http://T:delete@heat:8004/signal", project_id="p1")]
    )
    later = transition(2, "a", "http://u:p@host/", project_id="p1", at=AT + 5)
    (second,) = write_transitions(store, [later])
    settled(store, first, GONE, Outcome(status=204))
    settled(store, second, Outcome("no answer in 10 s"))
    answer = client.get("/v1/alarms/a/deliveries", headers=ALICE)
    assert answer.get_json() == [
        {
            "delivery_id": second.id,
            "alarm_id": "a",
            "event_id": later.id,
            "timestamp": "2096-10-02T07:06:40.005000",
            "action": "http://u:p@host/",
            "state": "pending",
            "attempts": 1,
            "next_attempt_at": "2096-10-02T07:06:42",
            "last_status": None,
            "last_error": "no answer in 10 s",
        },
        {
            "delivery_id": first.id,
            "alarm_id": "a",
            "event_id": first.transition_id,
            "timestamp": HERE,
            "action": "trust+http://heat:8004/signal",
            "state": "delivered",
            "attempts": 2,
            "next_attempt_at": None,
            "last_status": 204,
            "last_error": None,
        },
    ]


def test_one_delivery_has_its_body_and_the_attempts_at_it(
    store: Store, client: FlaskClient
) -> None:
    (one,) = write_transitions(store, [transition(1, "a", "http://host/")])
    settled(store, one, GONE, Outcome(status=200))
    found = client.get(f"/v1/alarms/a/deliveries/{one.id}").get_json()
    assert found["state"] == "delivered"
    assert found["body"]["reason_data"]["number"] == 1
    assert found["attempts_made"] == [
        {
            "number": 1,
            "at": "2096-10-02T07:06:41",
            "status": 404,
            "error": "404 Not Found",
            "seconds": 0.25,
        },
        {"number": 2, "at": "2096-10-02T07:06:42", "status": 200, "error": None, "seconds": 0.25},
    ]


def test_a_list_is_cut_into_pages_and_by_state(store: Store, client: FlaskClient) -> None:
    made = write_transitions(
        store, [transition(n, "a", "http://host/", at=AT + n) for n in range(1, 6)]
    )
    settled(store, made[2], Outcome("never", hopeless=True))

    def ids(query: str) -> list[str]:
        answer = client.get(f"/v1/alarms/a/deliveries?{query}")
        assert answer.status_code == 200, answer.get_json()
        return [one["delivery_id"] for one in answer.get_json()]

    newest = [one.id for one in reversed(made)]
    assert ids("") == newest
    assert ids("limit=2") == newest[:2]
    assert ids(f"limit=2&marker={newest[1]}") == newest[2:4]
    assert ids("sort=timestamp:asc&limit=1") == newest[-1:]
    assert ids("state=dead") == [made[2].id]
    assert ids("state=delivered") == []


@pytest.mark.parametrize("query", ["state=lost", "sort=action", "limit=0", "marker=x", "q.field=a"])
def test_a_question_that_cannot_be_answered_is_refused(
    store: Store, client: FlaskClient, query: str
) -> None:
    write_transitions(store, [transition(1, "a", "http://host/")])
    assert fault(client.get(f"/v1/alarms/a/deliveries?{query}"))[0] == 400


def test_others_deliveries_are_not_there(store: Store, client: FlaskClient) -> None:
    (one,) = write_transitions(store, [transition(1, "a", "http://host/", project_id="p1")])
    path = "/v1/alarms/a/deliveries"
    for who in (ALICE, ADMIN, {}):
        assert client.get(f"{path}/{one.id}", headers=who).status_code == 200
    assert fault(client.get(path, headers=BOB)) == (404, "Alarm a not found")
    for answer in (
        client.get(f"{path}/{one.id}", headers=BOB),
        client.post(f"{path}/{one.id}/resend", headers=BOB),
        client.get(f"/v1/alarms/b/deliveries/{one.id}", headers=ADMIN),
    ):
        assert fault(answer)[0] == 404
    assert pending_deliveries(store, 0, 10)[0] == [one]


def test_an_alarm_without_deliveries_has_an_empty_list_and_one_never_known_is_404(
    client: FlaskClient,
) -> None:
    alarm = created(client, ALICE)
    path = f"/v1/alarms/{alarm['alarm_id']}/deliveries"
    assert client.get(path, headers=ALICE).get_json() == []
    assert fault(client.get("/v1/alarms/never/deliveries"))[0] == 404


def test_a_dead_delivery_is_pending_once_it_is_resent(store: Store, client: FlaskClient) -> None:
    (one,) = write_transitions(store, [transition(1, "a", "http://host/")])
    dead = settled(store, one, Outcome("never", hopeless=True))
    answer = client.post(f"/v1/alarms/a/deliveries/{one.id}/resend")
    assert answer.status_code == 202
    told = answer.get_json()
    assert (told["state"], told["attempts"], told["last_error"]) == ("pending", 1, "never")
    ((pending,), _) = pending_deliveries(store, 0, 10)
    assert pending.version > dead.version
    assert pending == dataclasses.replace(
        dead,
        state="pending",
        version=pending.version,
        next_attempt_at=pending.next_attempt_at,
    )


def test_a_delivery_that_is_resent_goes_out_at_once(store: Store) -> None:
    with receiving() as receiver, delivering(store) as bench:
        client = api(store, Alarming(deliver=bench.pool.offer))
        (one,) = bench.change(transition(1, "a", receiver.url))
        bench.await_states(delivered=1)
        client.post(f"/v1/alarms/a/deliveries/{one.id}/resend")
        receiver.await_calls(2)
        bench.await_rows("state::String, attempts", [("delivered", 2)])
    assert [call.key for call in receiver.calls] == [one.id, one.id]
