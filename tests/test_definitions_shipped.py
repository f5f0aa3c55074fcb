"""The shipped meter definitions: what they make of notifications, recorded, made up and random."""

import json

from hypothesis import given
from hypothesis import strategies as st

from metering.definitions.meters import MeterDefinitions
from tests.corpus import example, notified


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
