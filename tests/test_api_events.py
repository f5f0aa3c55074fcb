"""Events, their types and traits, versions and capabilities, as clients see them."""

from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient

from metering.schema import EVENTS
from store.client import Store
from store.rows import insert_events
from tests.api import ALICE, bare_client, client, fault, ms


def events(*rows: dict[str, Any]) -> pa.Table:
    """Return events (metering.schema.EVENTS); what a row leaves out has a plain value."""
    plain = {
        "event_type": "compute.instance.create.end",
        "generated": ms(0),
        "message_id": "m",
        "project_id": "p1",
        "user_id": "alice",
        "text_traits": {},
        "integer_traits": {},
        "float_traits": {},
        "datetime_traits": {},
        "raw": "",
        "content": 1,
        "recorded_at": ms(0) // 1000,
    }
    full = [plain | row for row in rows]
    columns = [pa.array([_items(row[field.name]) for row in full], field.type) for field in EVENTS]
    return pa.table(columns, schema=EVENTS)


def _items(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value


@pytest.fixture
def api(store: Store) -> FlaskClient:
    """An API over three events: two creations in p1 and p2, a deletion without a project."""
    insert_events(
        store,
        events(
            {
                "message_id": "m1",
                "text_traits": {"state": "active", "host": "h/1"},
                "integer_traits": {"memory_mb": 512},
                "float_traits": {"load": 0.5},
                "datetime_traits": {"launched_at": ms(-60)},
                "raw": '{"priority":"error"}',
            },
            {
                "message_id": "m2",
                "generated": ms(60),
                "project_id": "p2",
                "text_traits": {"state": "error"},
                "integer_traits": {"memory_mb": 2048},
            },
            {
                "message_id": "m/3",
                "generated": ms(120),
                "project_id": "",
                "event_type": "volume.delete.end",
                "text_traits": {"size": "big"},
            },
        ),
    )
    return client(store)


def ids(api: FlaskClient, query: str = "", **headers: Any) -> list[str]:
    answer = api.get(f"/v2/events{query}", **headers)
    assert answer.status_code == 200, answer.text
    return [event["message_id"] for event in answer.get_json()]


def asked(field: str, op: str, value: object, kind: str = "") -> str:
    return f"?q.field={field}&q.op={op}&q.value={value}&q.type={kind}"


def test_an_event_has_its_traits_by_name(api: FlaskClient) -> None:
    assert api.get("/v2/events/m1").get_json() == {
        "message_id": "m1",
        "event_type": "compute.instance.create.end",
        "generated": "2026-11-22T10:00:00",
        "traits": [
            {"name": "host", "type": "string", "value": "h/1"},
            {"name": "launched_at", "type": "datetime", "value": "2026-11-22T09:59:00"},
            {"name": "load", "type": "float", "value": "0.5"},
            {"name": "memory_mb", "type": "integer", "value": "512"},
            {"name": "state", "type": "string", "value": "active"},
        ],
        "raw": {"priority": "error"},
    }


def test_events_come_oldest_first(api: FlaskClient) -> None:
    assert ids(api) == ["m1", "m2", "m/3"]
    assert ids(api, "?limit=2") == ["m1", "m2"]


def test_an_id_may_hold_a_slash(api: FlaskClient) -> None:
    assert api.get("/v2/events/m/3").get_json()["raw"] == {}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (asked("event_type", "eq", "volume.delete.end"), ["m/3"]),
        (asked("message_id", "eq", "m2"), ["m2"]),
        (asked("start_timestamp", "ge", "2026-11-22T10:01:00"), ["m2", "m/3"]),
        (asked("end_timestamp", "le", "2026-11-22T10:01:00"), ["m1", "m2"]),
        (asked("state", "eq", "active"), ["m1"]),
        (asked("state", "ne", "active"), ["m2"]),
        (asked("state", "gt", "active", "string"), ["m2"]),
        (asked("memory_mb", "gt", 512, "integer"), ["m2"]),
        (asked("memory_mb", "le", 512, "integer"), ["m1"]),
        (asked("memory_mb", "eq", 512), []),  # as a string it is not there
        (asked("load", "lt", 0.6, "float"), ["m1"]),
        (asked("launched_at", "eq", "2026-11-22T09:59:00", "datetime"), ["m1"]),
        (asked("nothing", "ne", "x"), []),
        ("?q.field=state&q.op=eq&q.value=error&q.field=memory_mb&q.op=ge&q.value=1&q.type=&q.type=integer", ["m2"]),
    ],
)  # fmt: skip
def test_a_query_takes_what_it_says(query: str, found: list[str], api: FlaskClient) -> None:
    assert ids(api, query) == found


@pytest.mark.parametrize(
    "query",
    [
        asked("event_type", "ne", "x"),
        asked("message_id", "gt", "x"),
        asked("start_timestamp", "lt", "2026-11-22"),
        asked("end_timestamp", "ge", "2026-11-22"),
        asked("start_timestamp", "ge", "yesterday"),
        asked("state", "like", "x"),
        asked("state", "eq", "x", "boolean"),
        asked("state", "eq", "x", "integer"),
        asked("state", "eq", str(2**63), "integer"),
        asked("state", "eq", "nan", "float"),
        "?limit=0",
        "?limit=x",
        "?sort=x",
    ],
)
def test_a_bad_query_is_told(query: str) -> None:
    assert fault(bare_client().get(f"/v2/events{query}"))[0] == 400


def test_anyone_sees_the_events_of_their_project_only(api: FlaskClient) -> None:
    assert ids(api, headers=ALICE) == ["m1"]
    assert api.get("/v2/events/m1", headers=ALICE).status_code == 200
    assert fault(api.get("/v2/events/m2", headers=ALICE)) == (404, "Event m2 Not Found")


def test_types_and_their_traits_are_described(api: FlaskClient) -> None:
    create = "/v2/event_types/compute.instance.create.end"
    assert api.get("/v2/event_types").get_json() == [
        "compute.instance.create.end",
        "volume.delete.end",
    ]
    assert api.get(f"{create}/traits").get_json() == [
        {"name": "host", "type": "string"},
        {"name": "launched_at", "type": "datetime"},
        {"name": "load", "type": "float"},
        {"name": "memory_mb", "type": "integer"},
        {"name": "state", "type": "string"},
    ]
    assert api.get(f"{create}/traits/memory_mb").get_json() == [
        {"name": "memory_mb", "type": "integer", "value": "512"},
        {"name": "memory_mb", "type": "integer", "value": "2048"},
    ]
    assert fault(api.get(create)) == (404, "EventType compute.instance.create.end Not Found")
    assert api.get("/v2/event_types/none/traits").get_json() == []


@pytest.mark.parametrize("path", ["", "/x", "/x/traits", "/x/traits/y"])
def test_types_and_traits_are_for_admins(path: str) -> None:
    answer = bare_client().get(f"/v2/event_types{path}", headers=ALICE)
    assert fault(answer)[0] == 401


def test_the_root_lists_the_versions() -> None:
    (version,) = bare_client().get("/").get_json()["versions"]["values"]
    assert (version["id"], version["status"]) == ("v2", "stable")
    assert version["links"] == [{"rel": "self", "href": "http://localhost/v2"}]
    assert bare_client().get("/v2").get_json() == {"version": version}


@pytest.mark.parametrize("path", ["/v2/capabilities", "/v2/capabilities/"])
def test_capabilities_are_flat(path: str) -> None:
    found = bare_client().get(path).get_json()
    assert set(found) == {"api", "storage", "event_storage", "alarm_storage"}
    assert found["api"]["alarms:history:query:complex"] is True
    assert found["api"]["statistics:aggregation:selectable:cardinality"] is True
    assert found["api"]["samples:query:complex"] is True
    ready = {"storage:production_ready": True}
    assert found["storage"] == found["event_storage"] == found["alarm_storage"] == ready
