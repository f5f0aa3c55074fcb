"""metering.definitions.meters: samples of notifications, as the definitions say."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from metering.definitions.meters import MeterDefinitions
from metering.definitions.patterns import CACHED
from metering.draft import Draft
from metering.metadata import flatten
from metering.notification import Notification
from tests.corpus import GENERATED, notified


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
