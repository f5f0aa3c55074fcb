"""POST /v2/meters/{name}: what is taken, with which defaults, and what is refused."""

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from metering.config import Database
from metering.signature import is_signed
from sources.spool import SpoolFullError
from store.client import Store
from tests.api import ALICE, RecordingSpool, bare_client, client, fault

SAMPLE: dict[str, Any] = {
    "counter_name": "gpu.hours",
    "counter_type": "delta",
    "counter_unit": "h",
    "counter_volume": "48",
    "resource_id": "vm0",
}


def push(
    *samples: Any, headers: dict[str, str] | None = None, query: str = "", **config: Any
) -> tuple[Any, RecordingSpool]:
    spool = RecordingSpool()
    api = client(Store(Database()), spool, **config)
    url, body = f"/v2/meters/gpu.hours{query}", json.dumps(samples)
    answer = api.post(url, data=body, content_type="application/json", headers=headers)
    return answer, spool


def spooled(spool: RecordingSpool) -> dict[str, Any]:
    (body,) = spool.bodies
    notification = json.loads(body)
    assert isinstance(notification, dict)
    return notification


def test_pushed_samples_are_spooled_as_one_notification() -> None:
    whole = {
        **SAMPLE,
        "user_id": "u",
        "project_id": "p",
        "source": "lab",
        "timestamp": "2026-11-22T12:00:00.5+02:00",
        "resource_metadata": {"flavor": {"name": "m1"}, "n": 2},
    }
    response, spool = push(whole, {**SAMPLE, "timestamp": "2026-11-22T10:00:00"})
    assert response.status_code == 201
    first, second = response.get_json()
    assert first == {
        "counter_name": "gpu.hours",
        "counter_type": "delta",
        "counter_unit": "h",
        "counter_volume": 48.0,
        "resource_id": "vm0",
        "user_id": "u",
        "project_id": "p",
        "source": "p:lab",
        "timestamp": "2026-11-22T10:00:00.500000",
        "resource_metadata": {"flavor": {"name": "m1"}, "n": 2},
        "message_id": first["message_id"],
    }
    assert second == {
        **SAMPLE,
        "counter_volume": 48.0,
        "user_id": None,
        "project_id": None,
        "source": "openstack",
        "timestamp": "2026-11-22T10:00:00",
        "resource_metadata": {},
        "message_id": second["message_id"],
    }
    notification = spooled(spool)
    assert notification == {
        "message_id": notification["message_id"],
        "publisher_id": "streamgauge-api",
        "event_type": "telemetry.api",
        "priority": "SAMPLE",
        "timestamp": notification["timestamp"],
        "payload": {"samples": [first, second]},
    }
    ids = [notification["message_id"], first["message_id"], second["message_id"]]
    assert len({uuid.UUID(one) for one in ids}) == 3


def test_owner_and_time_have_defaults() -> None:
    before = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    response, _ = push(SAMPLE, headers=ALICE)
    after = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    (sample,) = response.get_json()
    assert (sample["user_id"], sample["project_id"]) == ("alice", "p1")
    assert sample["source"] == "p1:openstack"
    millisecond = dt.timedelta(milliseconds=1)
    assert before - millisecond < dt.datetime.fromisoformat(sample["timestamp"]) <= after


@pytest.mark.parametrize("query", ["", "?direct=True", "?direct=false"])
def test_direct_changes_nothing(query: str) -> None:
    response, spool = push(SAMPLE, query=query)
    assert response.status_code == 201
    assert spooled(spool)["payload"]["samples"] == response.get_json()


def test_samples_are_signed_where_a_secret_is_configured() -> None:
    _, spool = push({**SAMPLE, "counter_volume": 0.1}, decode={"telemetry_secret": "s3cret"})
    (sample,) = spooled(spool)["payload"]["samples"]
    assert is_signed(sample, "s3cret")


def test_others_than_admins_push_into_their_own_project_only() -> None:
    assert push({**SAMPLE, "project_id": "p1"}, headers=ALICE)[0].status_code == 201
    response, spool = push(SAMPLE, {**SAMPLE, "project_id": "p2"}, headers=ALICE)
    assert fault(response) == (
        400,
        "Invalid input for field/attribute project_id. Value: 'p2'."
        " can not post samples to other projects",
    )
    assert spool.bodies == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"counter_name": "cpu"}, "Invalid input for field/attribute counter_name. Value: 'cpu'. should be gpu.hours"),
        ({"message_id": "x"}, "Invalid input for field/attribute message_id. Value: 'x'. The message_id must not be set"),
        ({"counter_type": "rate"}, "Invalid input for field/attribute counter_type. Value: 'rate'. The counter type must be: gauge, delta, cumulative"),
        ({"counter_type": []}, "Invalid input for field/attribute counter_type. Value: '[]'. The counter type must be: gauge, delta, cumulative"),
        ({"counter_volume": None}, "Invalid input for field/attribute counter_volume. Value: 'None'. Mandatory field missing."),
        ({"resource_id": None}, "Invalid input for field/attribute resource_id. Value: 'None'. Mandatory field missing."),
        ({"counter_unit": None}, "Invalid input for field/attribute counter_unit. Value: 'None'. Mandatory field missing."),
        ({"resource_id": ""}, "Invalid input for field/attribute resource_id. Value: ''."),
        ({"counter_volume": "NaN"}, "Invalid input for field/attribute counter_volume. Value: 'NaN'."),
        ({"counter_volume": "much"}, "Invalid input for field/attribute counter_volume. Value: 'much'."),
        ({"timestamp": "soon"}, "Invalid input for field/attribute timestamp. Value: 'soon'."),
        ({"timestamp": 17}, "Invalid input for field/attribute timestamp. Value: '17'."),
        ({"timestamp": "2199-01-01"}, "Invalid input for field/attribute timestamp. Value: '2199-01-01T00:00:00'. it lies more than 86400 s ahead (decode.max_ahead)"),
        ({"resource_metadata": [1]}, "bad_field: resource_metadata is no object"),
        ({"project_id": {}, "user_id": [1]}, "bad_field: user_id is no text"),
        ({"wat": 1}, "Unknown attribute: wat"),
    ],
)  # fmt: skip
def test_a_bad_sample_refuses_the_whole_push(change: dict[str, Any], text: str) -> None:
    response, spool = push(SAMPLE, {**SAMPLE, **change})
    status, said = fault(response)
    assert status == 400
    assert said.startswith(text)
    assert spool.bodies == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The body is no JSON: "),
        (b"[{", "The body is no JSON: "),
        (b'[{"resource_id": "\\ud800"}]', "The body is no JSON: "),
        (b"[" * 100_000, "The body is no JSON: "),
        (b"{}", "The body must be a list of samples"),
        (b"[]", "Samples should be included in request body"),
        (b"[3]", "Each sample must be an object"),
    ],
)
def test_a_body_that_is_no_list_of_samples_is_refused(body: bytes, text: str) -> None:
    answer = bare_client().post("/v2/meters/a", data=body, content_type="application/json")
    status, said = fault(answer)
    assert status == 400
    assert said.startswith(text)


def test_a_push_too_large_to_be_one_notification_is_refused() -> None:
    response, spool = push(
        {**SAMPLE, "resource_metadata": {"a": "x" * 2000}}, decode={"max_payload_bytes": 1024}
    )
    assert fault(response)[0] == 413
    assert spool.bodies == []
    large = bare_client(api={"max_body": 1024}).post("/v2/meters/a", json=["x" * 2000])
    assert fault(large)[0] == 413


def test_a_full_spool_is_said() -> None:
    full = RecordingSpool(SpoolFullError("the spool holds 4 GiB, as much as it may"))
    answer = client(Store(Database()), full).post("/v2/meters/gpu.hours", json=[SAMPLE])
    assert fault(answer) == (503, "the spool holds 4 GiB, as much as it may")


@pytest.fixture(scope="module")
def api() -> tuple[FlaskClient, RecordingSpool]:
    spool = RecordingSpool()
    return client(Store(Database()), spool), spool


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    change=st.dictionaries(st.sampled_from([*SAMPLE, "timestamp", "project_id", "source"]), _JSON)
)
def test_any_sample_is_taken_or_refused(
    api: tuple[FlaskClient, RecordingSpool], change: dict[str, Any]
) -> None:
    test_client, spool = api
    spool.bodies.clear()
    body = json.dumps([{**SAMPLE, **change}])
    response = test_client.post("/v2/meters/gpu.hours", data=body, content_type="application/json")
    assert (response.status_code, len(spool.bodies)) in {(201, 1), (400, 0)}
