"""/v2/samples, /v2/samples/{id}, /v2/meters/{name}: what they answer and to whom."""

from typing import Any

import pytest

from store.client import Store
from tests.api import ALICE, bare_client, client, fault, fill, fleet, ms

DISK = {
    "id": "disk-0",
    "meter": "disk.size",
    "type": "gauge",
    "unit": "GiB",
    "volume": 20.0,
    "user_id": "alice",
    "project_id": "p1",
    "resource_id": "vm0",
    "source": "openstack",
    "timestamp": "2026-11-22T10:00:30",
    "recorded_at": "2026-11-22T10:00:00",
    "metadata": {"flavor.name": "m1"},
}


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.get_json()
    return [one["id"] for one in response.get_json()]


def test_a_sample_has_every_field(store: Store) -> None:
    fleet(store)
    answer = client(store).get("/v2/samples?q.field=meter&q.value=disk.size")
    assert answer.get_json() == [DISK]


def test_a_meters_samples_come_in_the_old_form_newest_first(store: Store) -> None:
    fleet(store)
    answer = client(store).get(
        "/v2/meters/cpu?q.field=resource_id&q.op=eq&q.type=&q.value=vm1&limit=1"
    )
    assert answer.get_json() == [
        {
            "counter_name": "cpu",
            "counter_type": "cumulative",
            "counter_unit": "ns",
            "counter_volume": 7.0,
            "user_id": "bob",
            "project_id": "p1",
            "resource_id": "vm1",
            "source": "openstack",
            "timestamp": "2026-11-22T10:02:00",
            "recorded_at": "2026-11-22T10:00:00",
            "resource_metadata": {"flavor.name": "m2", "instance_type": "2", "vcpus": "4"},
            "message_id": "cpu-7",
        }
    ]


def test_samples_come_newest_first_up_to_the_default_limit(store: Store) -> None:
    fleet(store)
    answer = client(store, api={"default_limit": 4}).get("/v2/samples")
    assert ids(answer) == ["cpu-6", "cpu-7", "cpu-8", "cpu-3"]
    assert len(ids(client(store).get("/v2/samples/"))) == 10
    assert len(ids(client(store, api={"max_limit": 2}).get("/v2/samples?limit=50"))) == 2


def test_the_newest_are_found_whatever_the_table_of_series_says(store: Store) -> None:
    fleet(store)
    store.command(f"TRUNCATE TABLE {store.name}.latest")
    assert ids(client(store).get("/v2/samples?limit=2")) == ["cpu-6", "cpu-7"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q.field=project&q.value=p2", ["cpu-8", "cpu-5", "cpu-2"]),
        ("q.field=user&q.value=bob&q.field=timestamp&q.op=&q.op=gt&q.value=2026-11-22T10:01:00", ["cpu-7"]),
        ("q.field=timestamp&q.op=lt&q.value=2026-11-22T10:00:30Z", ["cpu-0", "cpu-1", "cpu-2"]),
        ("q.field=timestamp&q.op=le&q.value=2026-11-22T12:00:00%2B02:00", ["cpu-0", "cpu-1", "cpu-2"]),
        ("q.field=timestamp&q.op=le&q.value=2026-11-22T09:59:00&q.field=search_offset&q.value=1", ["cpu-0", "cpu-1", "cpu-2"]),
        ("q.field=timestamp&q.op=ge&q.value=2026-11-22T10:03:00&q.field=search_offset&q.value=1", ["cpu-6", "cpu-7", "cpu-8"]),
        ("q.field=metadata.flavor.name&q.value=m1", ["cpu-6", "cpu-3", "disk-0", "cpu-0"]),
        ("q.field=resource_metadata.vcpus&q.value=4", ["cpu-7", "cpu-4", "cpu-1"]),
        ("q.field=metadata.vcpus&q.value=4.0&q.type=float", ["cpu-7", "cpu-4", "cpu-1"]),
        ("q.field=metadata.vcpus&q.value=4&q.type=string", ["cpu-7", "cpu-4", "cpu-1"]),
        ("q.field=metadata.vcpus&q.value=4.0&q.type=string", []),
        ("q.field=metadata.active&q.value=True", ["cpu-8", "cpu-5", "cpu-2"]),
        ("q.field=metadata.active&q.value=yes&q.type=boolean", ["cpu-8", "cpu-5", "cpu-2"]),
        ("q.field=metadata.active&q.value=false&q.type=boolean", []),
        ("q.field=message_id&q.value=cpu-4", ["cpu-4"]),
        ("q.field=resource&q.value=vm0'%20OR%201=1", []),
    ],
)  # fmt: skip
def test_a_simple_query_takes_what_meets_all_its_conditions(
    store: Store, query: str, found: list[str]
) -> None:
    fleet(store)
    assert ids(client(store).get(f"/v2/samples?{query}")) == found


def test_a_sample_is_shown_by_its_id(store: Store) -> None:
    fleet(store)
    assert client(store).get("/v2/samples/disk-0").get_json() == DISK
    assert fault(client(store).get("/v2/samples/nope")) == (404, "Sample nope Not Found")


def test_a_sample_whose_message_id_is_forgotten_has_an_id_that_finds_it(store: Store) -> None:
    fill(
        store,
        type=["delta"] * 2,
        resource_id=["a/b?c #%é"] * 2,
        volume=[3.0, 4.0],
        timestamp=[ms(0.25)] * 2,
        message_id=["one", "two"],
    )
    store.command(
        f"ALTER TABLE {store.name}.samples UPDATE message_id = '' WHERE 1 SETTINGS mutations_sync = 2"
    )
    listed = client(store).get("/v2/samples").get_json()
    assert [one["timestamp"] for one in listed] == ["2026-11-22T10:00:00.250000"] * 2
    assert sorted(one["volume"] for one in listed) == [3.0, 4.0]
    for one in listed:
        assert one["id"].startswith("key-")
        assert client(store).get(f"/v2/samples/{one['id']}").get_json() == one
        again = client(store).get(f"/v2/meters/cpu?q.field=message_id&q.value={one['id']}")
        assert [sample["counter_volume"] for sample in again.get_json()] == [one["volume"]]


@pytest.mark.parametrize("text", ["key-", "key-%F0%9F%98%80", "key-W10", "key-bnVsbA", "key-!!!!"])
def test_an_id_of_no_sample_is_not_found(store: Store, text: str) -> None:
    assert client(store).get(f"/v2/samples/{text}").status_code == 404


def test_a_repeated_sample_is_listed_once_and_one_set_aside_never(store: Store) -> None:
    fleet(store)
    fleet(store)
    store.command(
        f"INSERT INTO {store.name}.samples SELECT * REPLACE (1 AS is_deleted, 1 AS version)"
        f" FROM {store.name}.samples FINAL WHERE message_id = 'cpu-8'"
    )
    answer = client(store).get("/v2/samples?q.field=resource&q.value=vm2")
    assert ids(answer) == ["cpu-5", "cpu-2"]
    assert client(store).get("/v2/samples/cpu-8").status_code == 404


def test_unknown_owners_are_null_and_metadata_is_text(store: Store) -> None:
    fill(
        store,
        project_id=[""],
        user_id=[""],
        metadata=['{"a":null,"b":false,"c":1.5,"d":"[1,2]","e":""}'],
    )
    found = client(store).get("/v2/samples").get_json()[0]
    assert (found["project_id"], found["user_id"]) == (None, None)
    assert found["metadata"] == {"a": "None", "b": "False", "c": "1.5", "d": "[1,2]", "e": ""}


def test_others_than_admins_see_their_own_project(store: Store) -> None:
    fleet(store)
    api = client(store)
    everything = ids(api.get("/v2/samples", headers=ALICE | {"X-Roles": "member,Admin"}))
    assert len(everything) == 10
    own = ids(api.get("/v2/samples", headers=ALICE))
    assert own == ["cpu-6", "cpu-7", "cpu-3", "cpu-4", "disk-0", "cpu-0", "cpu-1"]
    assert len(api.get("/v2/meters/cpu", headers=ALICE).get_json()) == 6
    assert api.get("/v2/samples/cpu-8", headers=ALICE).status_code == 404
    other = api.get("/v2/samples?q.field=project_id&q.value=p2", headers=ALICE)
    assert fault(other) == (401, "Not Authorized to access project p2")
    assert api.get("/v2/samples", headers={"X-User-Id": "alice"}).status_code == 401


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("samples?limit=0", "Limit must be positive"),
        ("meters/cpu?limit=-3", "Limit must be positive"),
        ("samples?limit=x", "Invalid input for field/attribute limit. Value: 'x'. unable to convert to int"),
        ("samples?wat=1", 'Unknown argument: "wat"'),
        ("samples?q.field=x&q.value=1", "Unknown argument: \"x\": unrecognized field in query, valid keys: ['message_id', 'meter', 'project', 'project_id', 'resource', 'resource_id', 'source', 'user', 'user_id']"),
        ("samples?q.field=project&q.op=ne&q.value=1", "Invalid input for field/attribute op. Value: 'ne'. unimplemented operator for project"),
        ("samples?q.field=project&q.op=like&q.value=1", "Invalid input for field/attribute op. Value: 'like'. Value should be one of: lt, le, eq, ne, ge, gt"),
        ("samples?q.field=timestamp&q.op=eq&q.value=2026-01-01", "Invalid input for field/attribute op. Value: 'eq'. unimplemented operator for timestamp"),
        ("samples?q.field=timestamp&q.op=gt&q.value=soon", "Invalid input for field/attribute timestamp. Value: 'soon'. invalid timestamp format"),
        ("samples?q.field=search_offset&q.value=3", "Invalid input for field/attribute field. Value: 'search_offset'. search_offset cannot be used without timestamp"),
        ("samples?q.field=metadata.a&q.value=x&q.type=integer", "Unable to convert the value x to the expected data type integer."),
        ("samples?q.field=metadata.a&q.value=x&q.type=blob", "The data type blob is not supported. The supported data type list is: ['integer', 'float', 'string', 'boolean', 'datetime']"),
        ("samples?q.op=eq&q.value=x", "Every condition of a query needs its q.field"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_query_is_said(path: str, text: str) -> None:
    assert fault(bare_client().get(f"/v2/{path}")) == (400, text)
