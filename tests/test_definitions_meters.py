"""metering.definitions.meters: samples of notifications, as the definitions say."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metering.definitions.meters import Draft, MeterDefinitions
from metering.definitions.patterns import CACHED
from metering.metadata import flatten
from metering.notification import Notification
from tests.corpus import example

GENERATED = 1_795_000_000_000


def notified(payload, event_type="thing.create", **context) -> Notification:
    body = {"event_type": event_type, "publisher_id": "thing.host", "payload": payload, **context}
    return Notification("m-1", event_type, "thing.host", "info", GENERATED, payload, body)


def definitions(tmp_path: Path, *metrics: dict, **kwargs) -> MeterDefinitions:
    path = tmp_path / "meters.yaml"
    path.write_text(yaml.safe_dump({"metric": list(metrics)}))
    return MeterDefinitions.load(path, **kwargs)


def metric(**changes) -> dict:
    plain = {
        "name": "thing.size",
        "event_type": "thing.*",
        "type": "gauge",
        "unit": "B",
        "volume": "$.payload.size",
        "resource_id": "$.payload.id",
    }
    return plain | changes


def sampled(tmp_path, n, *metrics):
    """Return what the samples say, without ids, and why others are refused."""
    drafts, refused = definitions(tmp_path, *metrics).samples(n)
    return [d._replace(message_id="") for d in drafts], [str(error) for error in refused]


def draft(**changes) -> Draft:
    plain = Draft("thing.size", "gauge", "B", 5.0, "", "", "r", GENERATED, "{}", "openstack", "")
    return plain._replace(**changes)


def default_metadata(n: Notification) -> str:
    return flatten({**n.payload, "event_type": n.event_type, "host": n.publisher_id})


def test_a_sample_has_the_requests_owner_and_the_payload_as_metadata(tmp_path):
    n = notified(
        {"id": "r", "size": 5, "tags": ["a"]}, _context_project_id="p", _context_user_id="u"
    )
    metadata = (
        '{"event_type":"thing.create","host":"thing.host","id":"r","size":5,"tags":"[\\"a\\"]"}'
    )
    assert sampled(tmp_path, n, metric()) == (
        [draft(project_id="p", user_id="u", metadata=metadata)],
        [],
    )


def test_a_definition_says_whose_and_when(tmp_path):
    own = metric(
        project_id="$.payload.owner",
        user_id="$.payload.by",
        timestamp="$.payload.at",
        metadata={"name": "$.payload.name", "none": "$.payload.none", "zone": "$.payload.zone"},
        user_metadata="$.payload.metadata",
    )
    payload = {
        "id": "r", "size": "5", "owner": "p", "by": 7, "at": "2026-11-22T00:00:00+01:00",
        "name": {"first": "n"}, "none": None, "zone": "",
        "metadata": {"metering.stack.x": "s", "metering.long": "l" * 300, "other": "o"},
    }  # fmt: skip
    n = notified(payload, _context_project_id="not", _context_user_id="not")
    drafts, refused = definitions(tmp_path, own).samples(n)
    assert refused == []
    assert (drafts[0].project_id, drafts[0].user_id) == ("p", "7")
    assert drafts[0].timestamp == 1_795_302_000_000
    assert json.loads(drafts[0].metadata) == {
        "name.first": "n",
        "user_metadata.stack_x": "s",
        "user_metadata.long": "l" * 256,
    }


def test_the_payload_is_the_metadata_where_nothing_asked_for_is_there(tmp_path):
    n = notified({"id": "r", "size": 5})
    [d], _ = sampled(tmp_path, n, metric(metadata={"name": "$.payload.name"}))
    assert d.metadata == default_metadata(n)


def test_an_older_context_names_the_project_tenant(tmp_path):
    n = notified({"id": "r", "size": 5}, _context_tenant="t", _context_user="u")
    [d], _ = sampled(tmp_path, n, metric())
    assert (d.project_id, d.user_id) == ("t", "u")


@pytest.mark.parametrize("volume", [None, ""])
def test_a_notification_without_the_volume_says_nothing(tmp_path, volume):
    assert sampled(tmp_path, notified({"id": "r", "size": volume}), metric()) == ([], [])
    assert sampled(tmp_path, notified({}), metric()) == ([], [])
    assert sampled(tmp_path, notified(["no", "mapping"]), metric()) == ([], [])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"id": "r", "size": "many"}, "bad_volume: meter thing.size: 'many'"),
        ({"id": "r", "size": "nan"}, "bad_volume: meter thing.size: 'nan'"),
        ({"id": "r", "size": "1_0"}, "bad_volume: meter thing.size: '1_0'"),
        ({"id": "r", "size": True}, "bad_volume: meter thing.size: 'True'"),
        ({"id": "r", "size": {}}, "bad_volume: meter thing.size: '{}'"),
        ({"id": "r", "size": 10**400}, "bad_volume: meter thing.size: "),
        ({"size": 1}, "missing_field: meter thing.size: no resource_id"),
        ({"id": "", "size": 1}, "missing_field: meter thing.size: no resource_id"),
        ({"id": ["r"], "size": 1}, "bad_field: meter thing.size: resource_id is no text: list"),
        ({"id": "r", "size": 1, "at": "then"}, "bad_timestamp: meter thing.size: 'then'"),
        ({"id": "r", "size": 1, "at": 5}, "bad_timestamp: meter thing.size: '5'"),
    ],
)
def test_a_bad_sample_is_refused_with_its_reason(tmp_path, payload, reason):
    drafts, refused = sampled(tmp_path, notified(payload), metric(timestamp="$.payload.at"))
    assert drafts == []
    assert [error[: len(reason)] for error in refused] == [reason]


def test_one_bad_sample_does_not_spoil_the_others(tmp_path):
    n = notified({"id": "r", "size": 5, "weight": "x"})
    drafts, refused = sampled(
        tmp_path, n, metric(), metric(name="thing.weight", volume="$.payload.weight")
    )
    assert [d.meter for d in drafts] == ["thing.size"]
    assert refused == ["bad_volume: meter thing.weight: 'x' is no finite number"]


def test_a_path_that_fails_refuses_the_sample(tmp_path):
    n = notified({"id": "r", "size": 5, "by": 0})
    _, refused = sampled(tmp_path, n, metric(volume="$.payload.size / $.payload.by"))
    assert refused == ["definition_failed: meter thing.size: ZeroDivisionError: division by zero"]


LOOKUP = metric(
    name="$.payload.metrics.[*].name",
    unit="$.payload.metrics.[*].unit",
    volume="$.payload.metrics.[*].value",
    lookup=["name", "unit", "volume"],
)
TWO = [{"name": "a", "unit": "B", "value": 1}, {"name": "b", "unit": "s", "value": 2}]


@pytest.mark.parametrize("key", ["lookup", "multi"])
def test_a_lookup_makes_a_sample_of_each_match(tmp_path, key):
    n = notified({"id": "r", "metrics": TWO})
    looked_up = {key: LOOKUP["lookup"]} | {k: v for k, v in LOOKUP.items() if k != "lookup"}
    drafts, refused = sampled(tmp_path, n, looked_up)
    metadata = default_metadata(n)
    assert drafts == [
        draft(meter="a", unit="B", volume=1.0, metadata=metadata),
        draft(meter="b", unit="s", volume=2.0, metadata=metadata),
    ]
    assert refused == []


def test_a_lookup_of_nothing_makes_nothing(tmp_path):
    assert sampled(tmp_path, notified({"id": "r", "metrics": []}), LOOKUP) == ([], [])
    assert sampled(tmp_path, notified({"id": "r"}), LOOKUP) == ([], [])


def test_a_lookup_whose_lists_differ_is_refused(tmp_path):
    n = notified({"id": "r", "metrics": [*TWO, {"name": "c", "value": 3}]})
    drafts, refused = sampled(tmp_path, n, LOOKUP)
    assert drafts == []
    assert [error.split(":")[0] for error in refused] == ["definition_failed"]
    assert "unit has 2 values where there are 3 samples" in refused[0]


def test_a_bad_row_of_a_lookup_is_refused_alone(tmp_path):
    rows = [
        *TWO,
        {"name": "c", "unit": "B", "value": "x"},
        {"name": "d", "unit": "", "value": None},
    ]
    drafts, refused = sampled(tmp_path, notified({"id": "r", "metrics": rows}), LOOKUP)
    assert [d.meter for d in drafts] == ["a", "b"]
    assert [error.split(":")[0] for error in refused] == ["bad_volume"]


def test_type_and_resource_can_be_looked_up(tmp_path):
    rows = [{"t": "delta", "id": 1, "v": 1}, {"t": "odd", "id": 2, "v": 2}]
    drafts, refused = sampled(
        tmp_path,
        notified({"rows": rows}),
        metric(
            type="$.payload.rows[*].t",
            volume="$.payload.rows[*].v",
            resource_id="$.payload.rows[*].id",
            lookup=["type", "volume", "resource_id"],
        ),
    )
    assert [(d.type, d.resource_id, d.volume) for d in drafts] == [("delta", "1", 1.0)]
    assert [error.split(":")[0] for error in refused] == ["bad_type"]


def test_a_name_can_be_put_together(tmp_path):
    n = notified({"id": "r", "outcome": "success"})
    drafts, _ = sampled(tmp_path, n, metric(name="'login.' + $.payload.outcome", volume=1))
    assert [(d.meter, d.volume) for d in drafts] == [("login.success", 1.0)]
    _, refused = sampled(
        tmp_path, notified({"id": "r"}), metric(name="'x' + $.payload.y", volume=1)
    )
    assert [error.split(":")[0] for error in refused] == ["missing_field"]


def test_the_same_notification_gives_the_same_ids_and_each_sample_its_own(tmp_path):
    n = notified({"id": "r", "size": 1, "metrics": [TWO[0], TWO[0], TWO[1]]})
    both = (metric(), LOOKUP)
    ids = [d.message_id for d in definitions(tmp_path, *both).samples(n)[0]]
    assert len(set(ids)) == len(ids) == 4
    again = [d.message_id for d in definitions(tmp_path, *both).samples(n)[0]]
    assert again == ids
    other = dataclasses.replace(n, message_id="m-2")
    assert not set(ids) & {d.message_id for d in definitions(tmp_path, *both).samples(other)[0]}
    alone = [d.message_id for d in definitions(tmp_path, metric()).samples(n)[0]]
    assert alone == ids[:1]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("thing.create", ["thing.create", "thing.create.end"], ["thing.delete"]),
        ("thing.*", ["thing.create"], ["other.thing.create"]),
        ("*.end", ["a.end", "a.b.end"], ["a.start"]),
        (["a", "b.c"], ["a", "b.c"], ["c"]),
        (
            "compute.instance.(?!create.start|update).*",
            ["compute.instance.create.end", "compute.instance.exists"],
            ["compute.instance.create.start", "compute.instance.update", "compute.x"],
        ),
    ],
)
def test_event_types_are_prefixes_globs_or_regular_expressions(tmp_path, pattern, matching, other):
    made = definitions(tmp_path, metric(event_type=pattern))
    payload = {"id": "r", "size": 1}
    assert [len(made.samples(notified(payload, t))[0]) for t in matching] == [1] * len(matching)
    assert [len(made.samples(notified(payload, t))[0]) for t in other] == [0] * len(other)


def test_of_two_definitions_with_one_name_the_later_counts(tmp_path):
    n = notified({"id": "r", "size": 1, "other": 2})
    drafts, _ = sampled(tmp_path, n, metric(), metric(volume="$.payload.other"))
    assert [d.volume for d in drafts] == [2.0]


def test_a_definition_for_the_other_form_is_left_out(tmp_path):
    n = notified({"id": "r", "old": 1, "new": 2})
    both = (
        metric(volume="$.payload.old", form="legacy"),
        metric(volume="$.payload.new", form="versioned"),
        metric(name="thing.always", volume=3),
    )
    legacy = definitions(tmp_path, *both).samples(n)[0]
    versioned = definitions(tmp_path, *both, compute_notifications="versioned").samples(n)[0]
    assert [d.volume for d in legacy] == [1.0, 3.0]
    assert [d.volume for d in versioned] == [2.0, 3.0]


def test_event_types_without_end_do_not_fill_the_memory(tmp_path):
    made = definitions(tmp_path, metric())
    for i in range(CACHED + 10):
        made.samples(notified({"id": "r", "size": 1}, f"thing.{i}"))
    assert len(made._plans._plans) == 10


def test_the_samples_of_a_server():
    n = example("compute.instance.exists")
    drafts, refused = MeterDefinitions.load().samples(n)
    assert refused == []
    assert [(d.meter, d.type, d.unit, d.volume) for d in drafts] == [
        ("vcpus", "gauge", "vcpu", 1.0),
        ("memory", "gauge", "MiB", 512.0),
        ("disk.root.size", "gauge", "GiB", 1.0),
        ("disk.ephemeral.size", "gauge", "GiB", 0.0),
    ]
    assert {d[4:8] for d in drafts} == {
        (
            "6f70656e737461636b20342065766572",
            "fake",
            "fc1f8d29-cb8c-4814-b9ec-b7ba6fe60ea5",
            1_351_518_131_000,
        )
    }
    assert json.loads(drafts[0].metadata) == {
        "architecture": "x86_64",
        "availability_zone": "nova",
        "created_at": "2012-10-29 13:42:11+00:00",
        "display_name": "some-server",
        "event_type": "compute.instance.exists",
        "flavor_id": "a22d5517-147c-4147-a0d1-e698df5cd4e3",
        "flavor_name": "test_flavor",
        "host": "compute",
        "image_ref": "155d900f-4e14-4e4c-a73d-069cbf4541e6",
        "launched_at": "2012-10-29T13:42:11.000000",
        "node": "fake-mini",
        "state": "active",
    }


def test_both_forms_of_a_servers_notification_say_the_same():
    legacy, _ = MeterDefinitions.load().samples(example("compute.instance.create.end"))
    load = MeterDefinitions.load(compute_notifications="versioned")
    versioned, _ = load.samples(example("instance.create.end"))
    assert [d[:8] for d in legacy] == [d[:8] for d in versioned]
    assert load.samples(example("compute.instance.create.end")) == ([], [])


def test_both_forms_of_a_nodes_metrics_say_the_same():
    legacy, _ = MeterDefinitions.load().samples(example("compute.metrics.update"))
    load = MeterDefinitions.load(compute_notifications="versioned")
    versioned, _ = load.samples(example("metrics.update"))
    assert [d[:8] for d in legacy] == [d[:8] for d in versioned]
    assert {d.meter: d.volume for d in legacy}["compute.node.cpu.idle.percent"] == 97.0


SENSOR = {"Sensor Reading": "26 (+/- 0.500) degrees C", "Sensor ID": "DIMM GH VR Temp (0x3b)"}


def test_sensors_of_bare_metal():
    readings = {
        "Temperature": {
            "a": SENSOR,
            "b": {"Sensor Reading": "Disabled", "Sensor ID": "x"},
            "c": {"Sensor ID": "y"},
        },
        "Voltage": {"a": {"Sensor Reading": "3.137 (+/- 0) Volts", "Sensor ID": "3.3V (0x10)"}},
        "Fan": {"a": {"Sensor Reading": "6900 (+/- 0) RPM", "Sensor ID": "FAN 4 (0x46)"}},
        "Current": {
            "a": {"Sensor Reading": "130 (+/- 0) Watts", "Sensor ID": "Avg Power (0x2e)"},
            "b": {"Sensor Reading": "120 (+/- 0) Watts", "Sensor ID": "Pwr Consumption (0x76)"},
        },
    }
    payload = {"node_uuid": "n-1", "timestamp": "2026-11-22T00:00:00", "payload": readings}
    n = notified(payload, "hardware.ipmi.metrics.update")
    drafts, refused = MeterDefinitions.load().samples(n)
    assert refused == []
    assert [(d.meter, d.unit, d.volume, d.resource_id) for d in drafts] == [
        ("hardware.ipmi.temperature", "C", 26.0, "n-1-dimm_gh_vr_temp_(0x3b)"),
        ("hardware.ipmi.fan", "RPM", 6900.0, "n-1-fan_4_(0x46)"),
        ("hardware.ipmi.voltage", "V", 3.137, "n-1-3.3v_(0x10)"),
        ("hardware.ipmi.current", "W", 130.0, "n-1-avg_power_(0x2e)"),
    ]
    assert {d.timestamp for d in drafts} == {1_795_305_600_000}
    assert json.loads(drafts[0].metadata)["node"] == "n-1"


def test_bytes_of_object_storage():
    metrics = [
        {"metric": {"name": f"storage.objects.{way}.bytes", "unit": "B"}, "result": size}
        for way, size in (("incoming", 28), ("outgoing", 7))
    ]
    payload = {
        "measurements": metrics,
        "target": {"id": "account"},
        "initiator": {"id": "u", "project_id": "p"},
    }
    drafts, refused = MeterDefinitions.load().samples(notified(payload, "objectstore.http.request"))
    assert refused == []
    assert [d[:7] for d in drafts] == [
        ("storage.objects.incoming.bytes", "delta", "B", 28.0, "p", "u", "account"),
        ("storage.objects.outgoing.bytes", "delta", "B", 7.0, "p", "u", "account"),
    ]


def test_a_request_to_a_service():
    request = {
        "HTTP_X_SERVICE_NAME": "nova",
        "HTTP_X_USER_ID": "u",
        "HTTP_X_PROJECT_ID": "p",
    }
    drafts, _ = MeterDefinitions.load().samples(notified({"request": request}, "http.request"))
    assert [d[:7] for d in drafts] == [("http.request", "delta", "request", 1.0, "p", "u", "nova")]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
SCALARS |= st.sampled_from(["\ud800", "2026-11-22T00:00:00Z", 10**400, "26 (+/- 1) degrees C"])
KEYS = st.sampled_from(
    ["size", "id", "metrics", "name", "value", "unit", "metadata", "instance_id", "vcpus", "initiator",
     "memory_mb", "created_at", "launched_at", "measurements", "metric", "result", "target", "payload",
     "host", "nodename", "outcome", "bytes_sent", "image_id", "Temperature", "Sensor Reading",
     "Sensor ID", "glance_metadata", "key", "volume_id", "name_to_id", "total", "\udfff"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=6)
)
EVENT_TYPES = st.sampled_from(
    ["compute.instance.create.end", "compute.metrics.update", "identity.authenticate", "image.send",
     "objectstore.http.request", "magnum.bay.metrics.update", "hardware.ipmi.metrics", "volume.exists",
     "capacity.pool.x", "http.request", "dns.domain.exists", "\ud800"]
)  # fmt: skip
SHIPPED = MeterDefinitions.load()


@given(JSON, EVENT_TYPES, JSON)
def test_any_payload_makes_samples_or_reasons(payload, event_type, owner):
    n = notified(payload, event_type, _context_project_id=owner, _context_user_id=owner)
    drafts, refused = SHIPPED.samples(n)
    for d in drafts:
        assert json.loads(d.metadata) is not None
        "".join([*d[:3], *d[4:7], *d[8:]]).encode()
    assert all(error.reason for error in refused)
    assert SHIPPED.samples(n)[0] == drafts
