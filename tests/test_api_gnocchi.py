"""The routes of Gnocchi's that Ceilometer's agents call: measures become samples in the spool."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from metering.config import Database, Decode
from metering.decode import Decoded, Decoder
from metering.definitions.meters import MeterDefinitions
from metering.meter_types import meter_types, type_of
from sources.spool import SpoolFullError
from store.client import Store
from tests.api import ALICE, RecordingSpool, client
from webapi.register import MOST_NAMES, Register, Resource

BATCH = "/gnocchi/v1/batch/resources/metrics/measures?create_metrics=True"
NOW = 1_800_000_000_000  # ms
INSTANCE: dict[str, Any] = {
    "id": "vm-1",
    "user_id": "u-1",
    "project_id": "p-1",
    "display_name": "web",
    "flavor_id": "2",
}


class Api:
    """A client, and what it spooled."""

    def __init__(self, **config: Any) -> None:
        self.spool = RecordingSpool()
        self.client: FlaskClient = client(Store(Database()), self.spool, **config)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        sent = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        answer = self.client.open(path, method=method, data=data, headers=sent)
        return answer.status_code, answer.get_json()

    def decoded(self, **config: Any) -> Decoded:
        """Return what the job makes of what was spooled."""
        decoder = Decoder(Decode.model_validate(config))
        return decoder.decode("spool", self.spool.bodies, NOW)

    def samples(self) -> list[tuple[Any, ...]]:
        """Return meter, type, unit, volume, resource, owner, time and metadata of each sample."""
        names = (
            *("meter", "type", "unit", "volume", "resource_id", "project_id", "user_id"),
            *("timestamp", "metadata"),
        )
        rows = self.decoded().samples.to_pylist()
        return [
            tuple(f"{row[name]:%H:%M:%S}" if name == "timestamp" else row[name] for name in names)
            for row in rows
        ]


@pytest.fixture
def api() -> Api:
    return Api()


def measured(*values: Any, unit: str = "ns", policy: str = "ceilometer-low-rate") -> dict[str, Any]:
    """Return measures of one metric, a minute apart."""
    measures = [
        {"timestamp": f"2026-11-23T10:0{n}:00+00:00", "value": value}
        for n, value in enumerate(values)
    ]
    return {"measures": measures, "archive_policy_name": policy, "unit": unit}


def test_measures_of_known_resources_are_samples_with_their_owner_and_attributes(api: Api) -> None:
    assert api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)[0] == 201
    batch = {"vm-1": {"cpu": measured(10, 20), "vcpus": measured(4, unit="vcpu", policy="low")}}
    assert api.send("POST", BATCH, batch) == (202, {})
    owner = ("vm-1", "p-1", "u-1")
    told = '{"display_name":"web","flavor_id":"2"}'
    assert api.samples() == [
        ("cpu", "cumulative", "ns", 10.0, *owner, "10:00:00", told),
        ("cpu", "cumulative", "ns", 20.0, *owner, "10:01:00", told),
        ("vcpus", "gauge", "vcpu", 4.0, *owner, "10:00:00", told),
    ]
    assert api.decoded().invalid.num_rows == 0


def test_resources_that_are_not_known_are_all_named_and_nothing_is_taken(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    batch = {name: {"cpu": measured(1)} for name in ("vm-1", "vm-2", "vm-3")}
    unknown = [{"resource_id": name, "original_resource_id": name} for name in ("vm-2", "vm-3")]
    description = {"cause": "Unknown resources", "detail": unknown}
    assert api.send("POST", BATCH, batch) == (
        400,
        {"code": 400, "title": "Bad Request", "description": description},
    )
    assert api.spool.bodies == []


def test_a_change_of_owner_counts_from_then_on(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/volume", {"id": "v", "project_id": "a", "user_id": "u"})
    api.send("POST", BATCH, {"v": {"volume.size": measured(1, unit="GiB")}})
    changed = {"project_id": "b", "display_name": "data"}
    assert api.send("PATCH", "/gnocchi/v1/resource/volume/v", changed)[0] == 200
    api.send("POST", BATCH, {"v": {"volume.size": measured(2, unit="GiB")}})
    assert [(*row[:6], row[8]) for row in api.samples()] == [
        ("volume.size", "gauge", "GiB", 1.0, "v", "a", "{}"),
        ("volume.size", "gauge", "GiB", 2.0, "v", "b", '{"display_name":"data"}'),
    ]


def test_measures_sent_again_are_the_same_samples(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/image", {"id": "i", "project_id": "p", "name": "x"})
    batch = {"i": {"image.download": measured(5, 5, unit="B"), "image.size": measured(9)}}
    api.send("POST", BATCH, batch)
    first = names_of(api)
    assert [len(named) for named in first.values()] == [2, 1]
    api.send("POST", BATCH, batch)
    assert names_of(api) == first
    # A delta is the same whatever its resource has come to be meanwhile.
    api.send("PATCH", "/gnocchi/v1/resource/image/i", {"name": "y"})
    api.send("POST", BATCH, batch)
    assert names_of(api)["image.download"] == first["image.download"]


def names_of(api: Api) -> dict[str, set[str]]:
    """Return the ids of the samples that were spooled, by meter."""
    found: dict[str, set[str]] = {}
    for row in api.decoded().samples.to_pylist():
        found.setdefault(row["meter"], set()).add(row["message_id"])
    return found


def test_measures_may_be_a_bare_list(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    assert api.send("POST", BATCH, {"vm-1": {"cpu": measured(1)["measures"]}})[0] == 202
    assert [row[:4] for row in api.samples()] == [("cpu", "cumulative", "", 1.0)]


def test_a_value_that_is_none_is_set_aside_and_the_others_go_on(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    odd = measured("much", 20)
    odd["measures"] += [{"timestamp": time, "value": 1} for time in ("soon", None, 1e300)]
    assert api.send("POST", BATCH, {"vm-1": {"cpu": odd}})[0] == 202
    decoded = api.decoded()
    assert decoded.samples["volume"].to_pylist() == [20.0]
    assert sorted(decoded.invalid["reason"].to_pylist()) == [
        *("bad_timestamp", "bad_timestamp", "bad_volume", "missing_field")
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "The body is no JSON: "),
        ([], "The body must be an object"),
        ({"vm-1": 3}, "Invalid input: bad_field: vm-1: must be an object"),
        ({"vm-1": {"cpu": 3}}, "Invalid input: bad_field: vm-1/cpu: must be an object"),
        ({"vm-1": {"cpu": [3]}}, "Invalid input: bad_field: vm-1/cpu: measures are"),
        ({"vm-1": {"cpu": {}}}, "Invalid input: bad_field: vm-1/cpu: measures are"),
        ({"vm-1": {"cpu": [{"value": 3}]}}, "Invalid input: bad_field: vm-1/cpu: measures are"),
        ({"vm-1": {"": []}}, "Invalid input: bad_field: vm-1/: names, unit"),
        ({"vm-1": {"cpu": {"measures": [], "unit": 3}}}, "Invalid input: bad_field: vm-1/cpu: na"),
    ],
)
def test_what_is_no_batch_is_refused_in_gnocchis_shape(api: Api, body: Any, text: str) -> None:
    status, answer = api.send("POST", BATCH, body)
    assert (status, answer["code"], answer["title"]) == (400, 400, "Bad Request")
    assert answer["description"].startswith(text)
    assert api.spool.bodies == []


def test_a_large_batch_is_several_payloads(api: Api) -> None:
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    many = [{"timestamp": 1_795_428_000.5 + n, "value": n} for n in range(450)]
    assert api.send("POST", BATCH, {"vm-1": {"cpu": {"measures": many}}})[0] == 202
    assert len(api.spool.bodies) == 3
    samples = api.decoded().samples
    assert samples["volume"].to_pylist() == [float(n) for n in range(450)]
    assert samples["timestamp"][0].as_py().isoformat() == "2026-11-23T10:00:00.500000+00:00"


def test_attributes_too_large_for_a_payload_are_refused() -> None:
    api = Api(decode={"max_payload_bytes": 1024})
    api.send("POST", "/gnocchi/v1/resource/instance", {"id": "vm-1", "display_name": "x" * 2000})
    assert api.send("POST", BATCH, {"vm-1": {"cpu": measured(1)}})[0] == 413
    assert api.spool.bodies == []


def test_where_samples_must_be_signed_these_are() -> None:
    api = Api(decode={"telemetry_secret": "s3cret"})
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    api.send("POST", BATCH, {"vm-1": {"cpu": measured(1)}})
    decoded = api.decoded(telemetry_secret="s3cret")
    assert (decoded.samples.num_rows, decoded.invalid.num_rows) == (1, 0)


def test_a_full_spool_is_said_in_gnocchis_shape() -> None:
    api = Api()
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    api.spool.error = SpoolFullError("the spool is full")
    assert api.send("POST", BATCH, {"vm-1": {"cpu": measured(1)}}) == (
        503,
        {"code": 503, "title": "Service Unavailable", "description": "the spool is full"},
    )


def test_a_resource_is_created_once_and_read_and_changed(api: Api) -> None:
    shown = {**INSTANCE, "original_resource_id": "vm-1", "type": "instance", "metrics": {}}
    assert api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE) == (201, shown)
    status, answer = api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    assert (status, answer["description"]) == (409, "Resource vm-1 already exists")
    assert api.send("GET", "/gnocchi/v1/resource/instance/vm-1") == (200, shown)
    assert api.send("GET", "/gnocchi/v1/resource/generic/vm-1") == (200, shown)
    ended = {"ended_at": "2026-11-23T10:00:00"}
    changed = api.send("PATCH", "/gnocchi/v1/resource/instance/vm-1", ended)
    assert changed == (200, {**shown, **ended})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/gnocchi/v1/resource/instance/vm-2", None),
        ("GET", "/gnocchi/v1/resource/volume/vm-1", None),
        ("PATCH", "/gnocchi/v1/resource/instance/vm-2", {"ended_at": "2026-11-23T10:00:00"}),
    ],
)
def test_a_resource_that_is_not_known_is_not_there(
    api: Api, method: str, path: str, body: Any
) -> None:
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    status, answer = api.send(method, path, body)
    name = path.rpartition("/")[2]
    assert (status, answer["description"]) == (404, f"Resource {name} does not exist")


def test_what_is_kept_of_a_resource_is_bounded(api: Api) -> None:
    large = {**INSTANCE, "display_name": "x" * 20_000}
    assert api.send("POST", "/gnocchi/v1/resource/instance", large)[0] == 413
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    many = {f"a{n}": "x" for n in range(97)}  # and the four it has
    path = "/gnocchi/v1/resource/instance/vm-1"
    assert api.send("PATCH", path, many)[0] == 400
    assert api.send("PATCH", path, {name: many[name] for name in list(many)[:96]})[0] == 200


def test_an_id_may_hold_any_character(api: Api) -> None:
    name = "a b/c@d"
    api.send("POST", "/gnocchi/v1/resource/volume_provider_pool", {"id": name})
    path = "/gnocchi/v1/resource/volume_provider_pool/a%20b/c@d"
    assert api.send("PATCH", path, {"provider": "x"})[0] == 200


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 3}])
def test_a_resource_without_an_id_is_refused(api: Api, body: Any) -> None:
    status, answer = api.send("POST", "/gnocchi/v1/resource/instance", body)
    assert (status, answer["description"]) == (400, "Invalid input: id must be a text")


DISKS = [
    {"id": f"vm-{n}-{disk}", "instance_id": f"vm-{n}", "name": disk}
    for n in (1, 2)
    for disk in ("vda", "vdb")
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"=": {"instance_id": "vm-1"}}, ["vm-1-vda", "vm-1-vdb"]),
        ({"=": {"id": "vm-2-vda"}}, ["vm-2-vda"]),
        (
            {"and": [{"=": {"instance_id": "vm-2"}}, {"eq": {"name": "vdb"}}]},
            ["vm-2-vdb"],
        ),
        ({"or": [{"=": {"name": "vdb"}}]}, ["vm-1-vdb", "vm-2-vdb"]),
        ({}, ["vm-1-vda", "vm-1-vdb", "vm-2-vda", "vm-2-vdb"]),
        ({"=": {"instance_id": "vm-3"}}, []),
    ],
)
def test_resources_are_searched_by_their_attributes(
    api: Api, wanted: Any, found: list[str]
) -> None:
    for disk in DISKS:
        api.send("POST", "/gnocchi/v1/resource/instance_disk", disk)
    api.send("POST", "/gnocchi/v1/resource/instance", INSTANCE)
    status, answer = api.send("POST", "/gnocchi/v1/search/resource/instance_disk", wanted)
    assert (status, [each["id"] for each in answer]) == (200, found)


def test_a_search_answers_no_more_than_it_may() -> None:
    api = Api(api={"max_limit": 3, "default_limit": 3})
    for disk in DISKS:
        api.send("POST", "/gnocchi/v1/resource/instance_disk", disk)
    assert len(api.send("POST", "/gnocchi/v1/search/resource/generic", {})[1]) == 3


@pytest.mark.parametrize(
    "wanted",
    [
        {"like": {"name": "x"}},
        {"=": {"a": 1, "b": 2}},
        {"and": 3},
        {"and": [[]]},
        {"or": [{"or": [{"or": [{"or": [{"or": [{"or": [{"or": [{"or": [{"or": [{"or": [{}]}]}]}]}
            ]}]}]}]}]}, 3]},
    ],
)  # fmt: skip
def test_a_filter_that_is_none_is_refused(api: Api, wanted: Any) -> None:
    status, answer = api.send("POST", "/gnocchi/v1/search/resource/generic", wanted)
    assert status == 400
    assert answer["description"].startswith("Invalid input: ")


@pytest.mark.parametrize(
    ("path", "kind"), [("archive_policy", "Archive policy"), ("resource_type", "Resource type")]
)
def test_policies_and_types_are_created_once_and_listed(api: Api, path: str, kind: str) -> None:
    described = [{"name": name, "attributes": {}} for name in ("b", "a")]
    for each in described:
        assert api.send("POST", f"/gnocchi/v1/{path}/", each) == (201, each)
    status, answer = api.send("POST", f"/gnocchi/v1/{path}/", described[0])
    assert (status, answer["description"]) == (409, f"{kind} b already exists")
    assert api.send("GET", f"/gnocchi/v1/{path}/") == (200, described[::-1])
    assert api.send("GET", f"/gnocchi/v1/{path}/a") == (200, described[1])
    status, answer = api.send("GET", f"/gnocchi/v1/{path}/c")
    assert (status, answer["description"]) == (404, f"{kind} c does not exist")


def test_attributes_are_added_to_a_type_and_removed(api: Api) -> None:
    text = {"type": "string", "required": True}
    api.send("POST", "/gnocchi/v1/resource_type", {"name": "t", "attributes": {"old": text}})
    filled = {**text, "options": {"fill": ""}}
    change = [
        {"op": "add", "path": "/attributes/new", "value": filled},
        {"op": "remove", "path": "/attributes/old"},
    ]
    expected = {"name": "t", "attributes": {"new": text}}
    assert api.send("PATCH", "/gnocchi/v1/resource_type/t", change) == (200, expected)
    assert api.send("PATCH", "/gnocchi/v1/resource_type/u", change)[0] == 404
    for bad in ([3], [{"op": "add", "path": "/name"}], [{"op": "add", "path": "/attributes/x"}]):
        assert api.send("PATCH", "/gnocchi/v1/resource_type/t", bad)[0] == 400


def test_no_more_names_are_kept_than_there_may_be(api: Api) -> None:
    for n in range(MOST_NAMES):
        api.send("POST", "/gnocchi/v1/archive_policy", {"name": str(n)})
    assert api.send("POST", "/gnocchi/v1/archive_policy", {"name": "more"})[0] == 400


def test_no_more_resources_are_kept_than_there_may_be_and_the_one_not_used_goes() -> None:
    register = Register(most=2)
    for name in "ab":
        assert register.create(Resource(name, "t", {}))
    register.find(["a"])
    assert register.create(Resource("c", "t", {}))
    assert sorted(register.find("abc")) == ["a", "c"]


def test_versions_and_capabilities_are_told(api: Api) -> None:
    status, answer = api.send("GET", "/gnocchi/")
    assert (status, answer["build"], answer["versions"][0]["id"]) == (200, "4.7.0", "v1.0")
    assert answer["versions"][0]["links"][0]["href"] == "http://localhost/gnocchi/v1/"
    assert api.send("GET", "/gnocchi")[0] == 200
    assert api.send("GET", "/gnocchi/v1/")[1]["links"][1] == {
        "rel": "archive_policy",
        "href": "http://localhost/gnocchi/v1/archive_policy",
    }
    methods = api.send("GET", "/gnocchi/v1/capabilities/")[1]["aggregation_methods"]
    assert {"mean", "rate:mean"} <= set(methods)


def test_a_route_of_gnocchis_that_is_not_served_says_so_in_its_shape(api: Api) -> None:
    status, answer = api.send("GET", "/gnocchi/v1/metric")
    assert (status, answer["code"], answer["title"]) == (404, 404, "Not Found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", BATCH),
        ("POST", "/gnocchi/v1/resource/instance"),
        ("GET", "/gnocchi/v1/resource/instance/vm-1"),
        ("PATCH", "/gnocchi/v1/resource/instance/vm-1"),
        ("POST", "/gnocchi/v1/search/resource/instance"),
        ("GET", "/gnocchi/v1/archive_policy"),
        ("POST", "/gnocchi/v1/archive_policy"),
        ("GET", "/gnocchi/v1/archive_policy/a"),
        ("GET", "/gnocchi/v1/resource_type"),
        ("POST", "/gnocchi/v1/resource_type"),
        ("GET", "/gnocchi/v1/resource_type/a"),
        ("PATCH", "/gnocchi/v1/resource_type/a"),
    ],
)
def test_only_an_admin_may(api: Api, method: str, path: str) -> None:
    status, answer = api.send(method, path, {}, **ALICE)
    assert (status, answer["code"]) == (401, 401)


@pytest.mark.parametrize(
    ("meter", "policy", "kind"),
    [
        ("cpu", "ceilometer-low", "cumulative"),
        ("network.incoming.bytes", "", "cumulative"),
        ("volume.size", "ceilometer-low-rate", "gauge"),
        ("image.download", "", "delta"),
        ("identity.authenticate.success", "", "delta"),
        ("network.incoming.bytes.delta", "", "delta"),
        ("compute.node.cpu.idle.time", "", "cumulative"),
        ("of.our.own", "ceilometer-high-rate", "cumulative"),
        ("of.our.own", "ceilometer-high", "gauge"),
    ],
)
def test_a_meter_has_the_type_of_its_definition(meter: str, policy: str, kind: str) -> None:
    types = meter_types(MeterDefinitions.load().meters)
    assert type_of(meter, types, policy) == kind
