"""Every recorded notification becomes one event and the samples its definitions ask for.

corpus_counts.txt lists them by event type: notifications, and samples in all where unversioned or
where versioned notifications of servers are metered.
"""

from collections import Counter
from pathlib import Path

import pytest

from metering.definitions.events import EventDefinitions
from metering.definitions.meters import MeterDefinitions
from metering.definitions.patterns import meter_pattern
from tests.corpus import notifications

COUNTS = Path(__file__).with_name("corpus_counts.txt")


def expected() -> dict[str, tuple[int, int, int]]:
    rows = [line.split() for line in COUNTS.read_text().splitlines()]
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}


def counted(form) -> Counter[str]:
    definitions = MeterDefinitions.load(compute_notifications=form)
    counts: Counter[str] = Counter()
    for n in notifications():
        drafts, refused = definitions.samples(n)
        assert refused == []
        counts[n.event_type] += len(drafts)
    return counts


def test_every_event_type_makes_the_expected_samples():
    seen = Counter(n.event_type for n in notifications())
    legacy, versioned = counted("legacy"), counted("versioned")
    assert {t: (seen[t], legacy[t], versioned[t]) for t in seen} == expected()
    assert seen.total() == 1597


@pytest.mark.parametrize(
    ("column", "metered", "otherwise"),
    [(1, "compute.instance.", "instance."), (2, "instance.", "compute.instance.")],
)
def test_a_server_has_four_samples_a_notification_five_when_it_boots(column, metered, otherwise):
    says_nothing = meter_pattern([f"{metered}(create.start|update)"])
    for event_type, counts in expected().items():
        if event_type.startswith(metered):
            each = 5 if event_type == f"{metered}create.end" else 4
            assert counts[column] == (0 if says_nothing(event_type) else each * counts[0])
        elif event_type.startswith(otherwise):
            assert counts[column] == 0


def test_every_notification_becomes_one_event_with_whom_it_concerns():
    definitions = EventDefinitions.load()
    for n in notifications():
        event = definitions.event(n)
        assert event is not None
        assert (event.event_type, event.generated) == (n.event_type, n.generated)
        assert event.message_id == n.message_id
        assert event.text["service"]
        assert event.project_id == event.text.get("project_id", event.text.get("tenant_id", ""))


SPECIFIC = {
    "compute.instance.*": {"instance_id", "resource_id", "display_name", "state", "service"},
    "instance.*": {"instance_id", "resource_id", "display_name", "state", "host"},
    "volume.(create|exists).*": {"resource_id", "project_id", "user_id", "status", "type"},
    "snapshot.*": {"resource_id", "volume_id", "project_id", "status"},
    "image.(create|update|activate)": {"resource_id", "project_id", "name", "status"},
    "image.send": {"resource_id", "image_id", "project_id", "receiver_project", "receiver_user"},
    "(network|port|router|subnet|floatingip)\\.create.end": {"resource_id", "project_id"},
    "(network|port|router|subnet|floatingip)\\.delete": {"resource_id"},
    "identity.user.created": {"resource_id", "initiator_id", "project_id", "outcome", "target_id"},
    "identity.authenticate": {"id", "outcome", "observer_id", "target_id", "action"},
    "identity.role_assignment": {"role", "initiator_id"},
    "flavor.*|keypair.*.end|service.*": {"resource_id", "name"},
}


@pytest.mark.parametrize("pattern", SPECIFIC)
def test_events_have_the_traits_of_their_kind(pattern):
    definitions, matches = EventDefinitions.load(), meter_pattern([pattern])
    found = [n for n in notifications() if matches(n.event_type)]
    assert found
    for n in found:
        event = definitions.event(n)
        assert event is not None
        assert SPECIFIC[pattern] <= event.text.keys(), n.event_type
