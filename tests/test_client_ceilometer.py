"""What the unmodified `ceilometer` client prints of meters, samples, resources and statistics."""

import json
from collections.abc import Iterator

import pytest

from store.client import Store
from tests.api import fill, fleet, ms
from tests.ceilometer import Client, properties, rows, running, table


@pytest.fixture
def ceilometer(store: Store) -> Iterator[Client]:
    with running(store) as client:
        yield client


def test_meters_are_listed(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("meter-list")) == [
        ["Name", "Type", "Unit", "Resource ID", "User ID", "Project ID"],
        ["cpu", "cumulative", "ns", "vm0", "alice", "p1"],
        ["cpu", "cumulative", "ns", "vm1", "bob", "p1"],
        ["cpu", "cumulative", "ns", "vm2", "carol", "p2"],
        ["disk.size", "gauge", "GiB", "vm0", "alice", "p1"],
    ]
    assert rows(ceilometer("meter-list", "-q", "project=p2", "-l", "5")) == [
        ["cpu", "cumulative", "ns", "vm2", "carol", "p2"]
    ]
    assert rows(ceilometer("meter-list", "--unique", "True")) == [
        ["cpu", "cumulative", "ns", "None", "None", "None"],
        ["disk.size", "gauge", "GiB", "None", "None", "None"],
    ]


def test_samples_are_listed_and_shown(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("sample-list", "-m", "cpu", "-q", "resource=vm1", "-l", "2")) == [
        ["Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["vm1", "cpu", "cumulative", "7.0", "ns", "2026-11-22T10:02:00"],
        ["vm1", "cpu", "cumulative", "4.0", "ns", "2026-11-22T10:01:00"],
    ]
    timed = "metadata.vcpus=integer::1;timestamp>2026-11-22T10:01:00"
    assert table(ceilometer("sample-list", "-q", timed)) == [
        ["ID", "Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["cpu-6", "vm0", "cpu", "cumulative", "6.0", "ns", "2026-11-22T10:02:00"],
    ]
    shown = properties(ceilometer("sample-show", "disk-0"))
    assert shown == {
        "id": "disk-0",
        "meter": "disk.size",
        "metadata": '{"flavor.name": "m1"}',
        "project_id": "p1",
        "recorded_at": "2026-11-22T10:00:00",
        "resource_id": "vm0",
        "source": "openstack",
        "timestamp": "2026-11-22T10:00:30",
        "type": "gauge",
        "unit": "GiB",
        "user_id": "alice",
        "volume": "20.0",
    }
    assert "Sample not found: nope" in ceilometer("sample-show", "nope", fails=True)


def test_samples_are_created(ceilometer: Client) -> None:
    created = ceilometer(
        *("sample-create", "-r", "vm9", "-m", "gpu", "--meter-type", "gauge"),
        *("--meter-unit", "GPU", "--sample-volume", "48", "--project-id", "p9"),
        *("--timestamp", "2026-11-22T10:00:00", "--resource-metadata", '{"rack":"r1"}'),
    )
    sample = properties(created)
    assert sample == {
        "message_id": sample["message_id"],
        "name": "gpu",
        "project_id": "p9",
        "resource_id": "vm9",
        "resource_metadata": '{"rack": "r1"}',
        "source": "p9:openstack",
        "timestamp": "2026-11-22T10:00:00",
        "type": "gauge",
        "unit": "GPU",
        "user_id": "None",
        "volume": "48.0",
    }
    assert rows(ceilometer("sample-list", "-m", "gpu")) == [
        ["vm9", "gpu", "gauge", "48.0", "GPU", "2026-11-22T10:00:00"]
    ]
    bad = ("sample-create", "-r", "v", "-m", "gpu", "--meter-type", "wat", "--meter-unit", "h")
    said = ceilometer(*bad, "--sample-volume", "1", fails=True)
    assert "The counter type must be: gauge, delta, cumulative (HTTP 400)" in said


def test_lists_of_samples_are_created(ceilometer: Client) -> None:
    listed = [
        {
            "counter_name": name,
            "counter_type": "delta",
            "counter_unit": "h",
            "counter_volume": volume,
            "resource_id": "vm9",
            "timestamp": "2026-11-22T10:00:00",
        }
        for name, volume in (("gpu", 1), ("gpu", 2), ("fpga", 3))
    ]
    created = ceilometer("sample-create-list", json.dumps(listed))
    assert table(created) == [
        ["Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["vm9", "gpu", "delta", "1.0", "h", "2026-11-22T10:00:00"],
        ["vm9", "gpu", "delta", "2.0", "h", "2026-11-22T10:00:00"],
        ["vm9", "fpga", "delta", "3.0", "h", "2026-11-22T10:00:00"],
    ]
    assert len(rows(ceilometer("sample-list"))) == 3


def test_statistics_are_printed(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("statistics", "-m", "cpu", "-p", "60", "-q", "user=bob"))[:2] == [
        [
            *("Period", "Period Start", "Period End", "Max", "Min", "Avg", "Sum", "Count"),
            *("Duration", "Duration Start", "Duration End"),
        ],
        [
            *("60", "2026-11-22T10:00:00", "2026-11-22T10:01:00", "1.0", "1.0", "1.0", "1.0", "1"),
            *("0.0", "2026-11-22T10:00:00", "2026-11-22T10:00:00"),
        ],
    ]


def test_statistics_are_grouped(ceilometer: Client, store: Store) -> None:
    fleet(store)
    # On Python 3 the client cannot print groups that share all their times.
    columns = {"meter": ["cpu"], "project_id": ["p2"], "timestamp": [ms(150)], "volume": [9.0]}
    fill(store, **columns)
    grouped = ceilometer(
        *("statistics", "-m", "cpu", "-g", "project_id"),
        *("-a", "cardinality<-resource_id", "-a", "max"),
    )
    start = "2026-11-22T10:00:00"
    assert table(grouped) == [
        [
            *("Period", "Period Start", "Period End", "Group By", "cardinality/resource_id"),
            *("Max", "Duration", "Duration Start", "Duration End"),
        ],
        [
            *("0", start, "2026-11-22T10:02:00", "{'project_id': 'p1'}", "2.0"),
            *("7.0", "120.0", start, "2026-11-22T10:02:00"),
        ],
        [
            *("0", start, "2026-11-22T10:02:30", "{'project_id': 'p2'}", "2.0"),
            *("9.0", "150.0", start, "2026-11-22T10:02:30"),
        ],
    ]


def test_resources_are_listed_and_shown(ceilometer: Client, store: Store) -> None:
    fleet(store)
    assert table(ceilometer("resource-list", "-q", "project=p1")) == [
        ["Resource ID", "Source", "User ID", "Project ID"],
        ["vm0", "openstack", "alice", "p1"],
        ["vm1", "openstack", "bob", "p1"],
    ]
    assert properties(ceilometer("resource-show", "vm1")) == {
        "metadata": '{"flavor.name": "m2", "instance_type": "2", "vcpus": "4"}',
        "project_id": "p1",
        "resource_id": "vm1",
        "source": "openstack",
        "user_id": "bob",
    }
    assert "Resource not found: vm8" in ceilometer("resource-show", "vm8", fails=True)


def test_samples_are_queried(ceilometer: Client, store: Store) -> None:
    fleet(store)
    printed = ceilometer(
        *("query-samples", "-f", '{"and": [{"=": {"meter": "cpu"}}, {">": {"volume": 6}}]}'),
        *("-o", '[{"volume": "asc"}]', "-l", "5"),
    )
    assert table(printed) == [
        ["ID", "Resource ID", "Meter", "Type", "Volume", "Unit", "Timestamp"],
        ["cpu-7", "vm1", "cpu", "cumulative", "7.0", "ns", "2026-11-22T10:02:00"],
        ["cpu-8", "vm2", "cpu", "cumulative", "8.0", "ns", "2026-11-22T10:02:00"],
    ]
    said = ceilometer("query-samples", "-f", "{", fails=True)
    assert "Filter expression not valid" in said
