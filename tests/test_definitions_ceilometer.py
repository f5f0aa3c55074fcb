"""Definition files of a running cloud load unchanged: those that Ceilometer 27 ships.

They are fetched from the package index into a folder of the system's temporary ones, kept there.
"""

from pathlib import Path

import pytest

from metering.definitions.events import EventDefinitions
from metering.definitions.meters import MeterDefinitions
from tests.corpus import example, notifications
from tests.packages import fetched

VERSION = "27.0.0"


@pytest.fixture(scope="module")
def ceilometer() -> Path:
    """The folder of Ceilometer's package."""
    return fetched("ceilometer", VERSION) / "ceilometer"


@pytest.fixture(scope="module")
def meters(ceilometer: Path) -> MeterDefinitions:
    return MeterDefinitions.load(ceilometer / "data" / "meters.d" / "meters.yaml")


@pytest.fixture(scope="module")
def events(ceilometer: Path) -> EventDefinitions:
    return EventDefinitions.load(ceilometer / "pipeline" / "data" / "event_definitions.yaml")


def test_all_their_definitions_are_read(meters: MeterDefinitions, events: EventDefinitions):
    assert len(meters.meters) == 38
    assert len(events.definitions) == 47
    assert sum(len(d.event_types) for d in events.definitions) == 104


def test_their_meters_are_ours_with_the_same_samples(meters: MeterDefinitions):
    ours = MeterDefinitions.load()
    for n in notifications():
        drafts, refused = meters.samples(n)
        mine, _ = ours.samples(n)
        assert refused == []
        assert sorted(d[:4] + d[6:8] for d in drafts) == sorted(d[:4] + d[6:8] for d in mine)
        # Ours knows the project of some log-ins too.
        assert {d.project_id for d in drafts} - {""} <= {d.project_id for d in mine}


def test_every_meter_of_theirs_is_in_our_file(meters: MeterDefinitions):
    def named(definitions: MeterDefinitions) -> set[str]:
        return {m.name for m in definitions.meters if "outcome" not in m.name}

    for form in ("legacy", "versioned"):
        ours = MeterDefinitions.load(compute_notifications=form)
        assert named(meters) <= named(ours)
        assert any("identity.authenticate." in m.name for m in ours.meters)


def test_every_notification_is_an_event_by_their_definitions(events: EventDefinitions):
    for n in notifications():
        assert events.event(n) is not None


def test_the_traits_of_their_definitions(events: EventDefinitions):
    event = events.event(example("compute.instance.exists"))
    assert event is not None
    assert event.text == {
        "service": "compute",
        "request_id": "req-5b6c791d-5709-4f36-8fbe-c3e02869e35d",
        "project_id": "6f70656e737461636b20342065766572",
        "tenant_id": "6f70656e737461636b20342065766572",
        "user_id": "fake",
        "instance_id": "fc1f8d29-cb8c-4814-b9ec-b7ba6fe60ea5",
        "resource_id": "fc1f8d29-cb8c-4814-b9ec-b7ba6fe60ea5",
        "display_name": "some-server",
        "cell_name": "",
        "host": "compute",
        "instance_type": "test_flavor",
        "instance_type_id": "7",
        "instance_flavor_id": "a22d5517-147c-4147-a0d1-e698df5cd4e3",
        "state": "active",
    }
    assert event.integer == {
        "memory_mb": 512, "disk_gb": 1, "root_gb": 1, "ephemeral_gb": 0, "vcpus": 1
    }  # fmt: skip
    assert event.datetime == {
        "launched_at": 1_351_518_131_000,
        "audit_period_beginning": 1_349_049_600_000,
        "audit_period_ending": 1_351_518_131_000,
    }
