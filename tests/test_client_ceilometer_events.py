"""What the unmodified `ceilometer` client prints of events, traits and capabilities."""

from collections.abc import Iterator

import pytest

from store.client import Store
from store.rows import insert_events
from tests.api import ms
from tests.ceilometer import Client, properties, rows, running, table
from tests.test_api_events import events


@pytest.fixture
def ceilometer(store: Store) -> Iterator[Client]:
    insert_events(
        store,
        events(
            {
                "message_id": "m1",
                "text_traits": {"state": "active"},
                "integer_traits": {"memory_mb": 512},
                "raw": '{"priority":"error"}',
            },
            {"message_id": "m2", "generated": ms(60), "text_traits": {"state": "error"}},
            {"message_id": "m3", "generated": ms(90.5), "event_type": "volume.delete.end"},
        ),
    )
    with running(store) as client:
        yield client


def test_events_are_listed_and_shown(ceilometer: Client) -> None:
    assert table(ceilometer("event-list", "--no-traits")) == [
        ["Message ID", "Event Type", "Generated"],
        ["m1", "compute.instance.create.end", "2026-11-22T10:00:00"],
        ["m2", "compute.instance.create.end", "2026-11-22T10:01:00"],
        ["m3", "volume.delete.end", "2026-11-22T10:01:30.500000"],
    ]
    found = ceilometer("event-list", "-q", "memory_mb>=integer::512;state=active", "--no-traits")
    assert [row[0] for row in rows(found)] == ["m1"]
    timed = ceilometer("event-list", "-q", "start_timestamp=2026-11-22T10:00:30", "-l", "1")
    assert "| m2 " in timed
    shown = ceilometer("event-show", "m1")
    assert properties(shown)["event_type"] == "compute.instance.create.end"
    assert properties(shown)["raw"] == '{"priority": "error"}'
    assert "memory_mb" in shown
    assert "Event not found: nope" in ceilometer("event-show", "nope", fails=True)


def test_event_types_and_traits_are_listed(ceilometer: Client) -> None:
    assert table(ceilometer("event-type-list")) == [
        ["Event Type"],
        ["compute.instance.create.end"],
        ["volume.delete.end"],
    ]
    creation = ("-e", "compute.instance.create.end")
    assert table(ceilometer("trait-description-list", *creation)) == [
        ["Trait Name", "Data Type"],
        ["memory_mb", "integer"],
        ["state", "string"],
    ]
    assert table(ceilometer("trait-list", *creation, "-t", "state")) == [
        ["Trait Name", "Value", "Data Type"],
        ["state", "active", "string"],
        ["state", "error", "string"],
    ]


def test_capabilities_are_printed(ceilometer: Client) -> None:
    printed = ceilometer("capabilities")
    assert '"meters:query:simple": true' in printed
    assert '"statistics:aggregation:selectable:stddev": true' in printed
    assert '"storage:production_ready": true' in printed
