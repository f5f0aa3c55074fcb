"""/v2/meters and /v2/resources: what they answer and to whom."""

import base64
from typing import Any

import pytest

from store.client import Store
from tests.api import ALICE, bare_client, client, fault, fill, fleet, ms


def names(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.get_json()
    return [(one["resource_id"], one["name"]) for one in response.get_json()]


def resource_ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.get_json()
    return [one["resource_id"] for one in response.get_json()]


def test_a_meter_is_listed_for_each_resource(store: Store) -> None:
    fleet(store)
    answer = client(store).get("/v2/meters")
    assert names(answer) == [
        ("vm0", "cpu"),
        ("vm0", "disk.size"),
        ("vm1", "cpu"),
        ("vm2", "cpu"),
    ]
    assert answer.get_json()[1] == {
        "name": "disk.size",
        "type": "gauge",
        "unit": "GiB",
        "resource_id": "vm0",
        "project_id": "p1",
        "user_id": "alice",
        "source": "openstack",
        "meter_id": base64.b64encode(b"vm0+disk.size").decode(),
    }


def test_unique_meters_are_listed_once(store: Store) -> None:
    fleet(store)
    none = {"resource_id": None, "project_id": None, "user_id": None, "source": None}
    assert client(store).get("/v2/meters?unique=True").get_json() == [
        {"name": "cpu", "type": "cumulative", "unit": "ns", "meter_id": "Y3B1", **none},
        {"name": "disk.size", "type": "gauge", "unit": "GiB", "meter_id": "ZGlzay5zaXpl", **none},
    ]
    assert len(client(store).get("/v2/meters?unique=0").get_json()) == 4


def test_a_meter_belongs_to_its_newest_owner_and_is_listed_once(store: Store) -> None:
    fill(store, project_id=["new", "old"], timestamp=[ms(60), ms(0)], unit=["B", "kB"])
    found = client(store).get("/v2/meters").get_json()
    assert [(one["project_id"], one["unit"]) for one in found] == [("new", "B")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q.field=resource_id&q.value=vm1", [("vm1", "cpu")]),
        ("q.field=project&q.value=p2", [("vm2", "cpu")]),
        ("q.field=user_id&q.value=alice&limit=1", [("vm0", "cpu")]),
        ("q.field=source&q.value=elsewhere", []),
        ("q.field=meter&q.value=disk.size", [("vm0", "disk.size")]),
        ("q.field=metadata.flavor.name&q.value=m2", [("vm1", "cpu"), ("vm2", "cpu")]),
    ],
)
def test_meters_are_filtered(store: Store, query: str, found: list[tuple[str, str]]) -> None:
    fleet(store)
    assert names(client(store).get(f"/v2/meters?{query}")) == found


@pytest.mark.parametrize("field", ["timestamp", "search_offset"])
def test_meters_have_no_time(field: str) -> None:
    answer = bare_client().get(f"/v2/meters?q.field={field}&q.op=eq&q.value=2026-01-01")
    assert fault(answer) == (400, f'Unknown argument: "{field}": not valid for this resource')


def test_a_resource_has_its_times_metadata_and_links(store: Store) -> None:
    fleet(store)
    resource = {
        "resource_id": "vm0",
        "project_id": "p1",
        "user_id": "alice",
        "source": "openstack",
        "first_sample_timestamp": "2026-11-22T10:00:00",
        "last_sample_timestamp": "2026-11-22T10:02:00",
        "metadata": {"flavor.name": "m1", "instance_type": "1", "vcpus": "1"},
        "links": [
            {"rel": "self", "href": "http://localhost/v2/resources/vm0"},
            {
                "rel": "cpu",
                "href": "http://localhost/v2/meters/cpu?q.field=resource_id&q.value=vm0",
            },
            {
                "rel": "disk.size",
                "href": "http://localhost/v2/meters/disk.size?q.field=resource_id&q.value=vm0",
            },
        ],
    }
    api = client(store)
    assert api.get("/v2/resources/vm0").get_json() == resource
    assert api.get("/v2/resources").get_json()[0] == resource
    bare = api.get("/v2/resources?meter_links=0&limit=1").get_json()
    assert bare == [{**resource, "links": resource["links"][:1]}]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["vm0", "vm1", "vm2"]),
        ("q.field=resource&q.value=vm2", ["vm2"]),
        ("q.field=project_id&q.value=p1&q.field=user&q.value=bob", ["vm1"]),
        ("q.field=metadata.vcpus&q.value=4", ["vm1"]),
        ("q.field=timestamp&q.op=ge&q.value=2026-11-22T10:02:00", ["vm0", "vm1", "vm2"]),
        ("q.field=timestamp&q.op=gt&q.value=2026-11-22T10:02:00", []),
    ],
)
def test_resources_are_filtered(store: Store, query: str, found: list[str]) -> None:
    fleet(store)
    assert resource_ids(client(store).get(f"/v2/resources?{query}")) == found


def test_a_time_range_shows_resources_as_they_were_in_it(store: Store) -> None:
    fleet(store)
    query = "q.field=timestamp&q.op=lt&q.value=2026-11-22T10:02:00&q.field=resource&q.value=vm0"
    (found,) = client(store).get(f"/v2/resources?{query}").get_json()
    assert found["last_sample_timestamp"] == "2026-11-22T10:01:00"


@pytest.mark.parametrize("name", ["a/b", "/dev/sda", "x?y#z", "50%", "é ☃", "a//b/", ".."])
def test_a_resource_may_have_any_name(store: Store, name: str) -> None:
    fill(store, resource_id=[name])
    (listed,) = client(store).get("/v2/resources").get_json()
    assert listed["resource_id"] == name
    for link in listed["links"]:
        assert client(store).get(link["href"]).status_code == 200
    assert client(store).get(listed["links"][0]["href"]).get_json() == listed


def test_others_than_admins_see_their_own_resources_and_meters(store: Store) -> None:
    fleet(store)
    fill(store, project_id=["p2"], resource_id=["vm0"], meter=["secret"], timestamp=[ms(999)])
    api = client(store)
    assert names(api.get("/v2/meters", headers=ALICE)) == [
        ("vm0", "cpu"),
        ("vm0", "disk.size"),
        ("vm1", "cpu"),
    ]
    assert len(api.get("/v2/meters?unique=1", headers=ALICE).get_json()) == 2
    assert resource_ids(api.get("/v2/resources", headers=ALICE)) == ["vm0", "vm1"]
    shown = api.get("/v2/resources/vm0", headers=ALICE).get_json()
    assert [link["rel"] for link in shown["links"]] == ["self", "cpu", "disk.size"]
    assert shown["last_sample_timestamp"] == "2026-11-22T10:02:00"
    missing = api.get("/v2/resources/vm2", headers=ALICE)
    assert fault(missing) == (404, "Resource vm2 Not Found")
    other = api.get("/v2/resources?q.field=project&q.value=p2", headers=ALICE)
    assert fault(other) == (401, "Not Authorized to access project p2")
    assert api.get("/v2/meters?q.field=project_id&q.value=p2", headers=ALICE).status_code == 401
