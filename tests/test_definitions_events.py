"""metering.definitions.events: events and their traits, as the definitions say."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given

from metering.definitions.events import Event, EventDefinitions
from tests.corpus import GENERATED, example, notified
from tests.test_definitions_shipped import EVENT_TYPES, JSON


def definitions(tmp_path: Path, *entries: dict, **kwargs) -> EventDefinitions:
    path = tmp_path / "events.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return EventDefinitions.load(path, **kwargs)


def traits(tmp_path, traits: dict, payload: dict) -> Event:
    made = definitions(tmp_path, {"event_type": "*", "traits": traits}).event(notified(payload))
    assert made is not None
    return made


def test_every_event_has_the_default_traits(tmp_path):
    n = notified(
        {"tenant_id": "t", "user_id": "u"},
        _context_request_id="req",
        _context_project_id="not",
        _context_user_id="not",
    )
    assert definitions(tmp_path).event(n) == Event(
        event_type="thing.create",
        generated=GENERATED,
        message_id="m-1",
        project_id="t",
        user_id="u",
        text={
            "service": "thing.host",
            "request_id": "req",
            "project_id": "t",
            "tenant_id": "t",
            "user_id": "u",
        },
        integer={},
        float={},
        datetime={},
    )


def test_the_context_says_whose_where_the_payload_does_not(tmp_path):
    n = notified({}, _context_project_id="p", _context_user_id="u")
    event = definitions(tmp_path).event(n)
    assert event is not None
    assert (event.project_id, event.user_id) == ("p", "u")
    older = definitions(tmp_path).event(notified({}, _context_tenant="t"))
    assert older is not None
    assert older.project_id == "t"


def test_a_definition_replaces_a_default_trait(tmp_path):
    own = {"project_id": {"fields": "payload.owner"}, "service": {"fields": "payload.none"}}
    event = traits(tmp_path, own, {"owner": "o", "tenant_id": "t"})
    assert (event.project_id, event.text["project_id"], event.text["tenant_id"]) == ("o", "o", "t")
    assert "service" not in event.text


def test_traits_have_their_type(tmp_path):
    event = traits(
        tmp_path,
        {
            "name": {"fields": "payload.name"},
            "short": "payload.name",
            "first": {"fields": ["payload.none", "payload.empty", "payload.name"]},
            "number": {"type": "text", "fields": "payload.number"},
            "size": {"type": "int", "fields": "payload.number"},
            "ratio": {"type": "float", "fields": "payload.ratio"},
            "at": {"type": "datetime", "fields": "payload.at"},
            "flags": {
                "type": "int",
                "fields": ["payload.name", "payload.none"],
                "plugin": {
                    "name": "bitfield",
                    "parameters": {"flags": [{"path": "payload.name", "bit": 2}]},
                },
            },
            "public": "payload.public",
            "nested": {"fields": "payload.nested"},
            "constant": {"type": "int", "fields": 7},
        },
        {
            "name": "n",
            "none": None,
            "empty": "",
            "number": 48,
            "ratio": "0.5",
            "at": "2026-11-22T00:00:00+00:00",
            "public": True,
            "nested": {"b": [1], "a": None},
        },
    )
    defaults = {"service": "thing.host"}
    assert event.text == defaults | {
        "name": "n",
        "short": "n",
        "first": "",
        "number": "48",
        "public": "True",
        "nested": '{"a":null,"b":[1]}',
    }
    assert event.integer == {"size": 48, "flags": 4, "constant": 7}
    assert event.float == {"ratio": 0.5}
    assert event.datetime == {"at": 1_795_305_600_000}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "many"), ("int", ""), ("int", 2**63), ("int", -(2**63) - 1), ("int", [1]),
        ("int", "9" * 5000), ("int", float("inf")), ("float", "x"), ("float", "nan"), ("float", ""),
        ("float", {}), ("float", 10**400), ("datetime", "then"), ("datetime", ""), ("datetime", 5),
        ("text", None),
    ],
)  # fmt: skip
def test_a_trait_that_does_not_fit_its_type_is_left_out(tmp_path, kind, value):
    event = traits(tmp_path, {"x": {"type": kind, "fields": "payload.x"}}, {"x": value})
    assert (event.text, event.integer, event.float, event.datetime) == (
        {"service": "thing.host"}, {}, {}, {}
    )  # fmt: skip


def test_the_largest_integers_fit(tmp_path):
    pair = {n: {"type": "int", "fields": f"payload.{n}"} for n in ("low", "high")}
    event = traits(tmp_path, pair, {"low": -(2**63), "high": 2**63 - 1})
    assert event.integer == {"low": -(2**63), "high": 2**63 - 1}


def test_a_path_that_fails_leaves_its_trait_out(tmp_path):
    event = traits(
        tmp_path, {"x": {"type": "float", "fields": "payload.a / payload.b"}}, {"a": 1, "b": 0}
    )
    assert event.float == {}


def test_the_last_definition_that_matches_counts_alone(tmp_path):
    made = definitions(
        tmp_path,
        {"event_type": "*", "traits": {"every": "payload.x"}},
        {"event_type": ["thing.*", "!thing.delete"], "traits": {"thing": "payload.x"}},
        {"event_type": "thing.create.end", "traits": {"ended": "payload.x"}},
    )
    for event_type, trait in (
        ("other", "every"),
        ("thing.create", "thing"),
        ("thing.create.end", "ended"),
        ("thing.delete", "every"),
    ):
        event = made.event(notified({"x": "x"}, event_type))
        assert event is not None
        assert set(event.text) == {"service", trait}


def test_what_no_definition_matches_can_be_dropped(tmp_path):
    only = {"event_type": "!thing.*", "traits": {}}
    n = notified({})
    kept = definitions(tmp_path, only).event(n)
    assert kept is not None
    assert kept.text == {"service": "thing.host"}
    dropping = definitions(tmp_path, only, drop_unmatched=True)
    assert dropping.event(n) is None
    assert dropping.event(notified({}, "other")) is not None


def test_anchors_and_merge_keys(tmp_path):
    path = tmp_path / "events.yaml"
    path.write_text(
        "- event_type: a.*\n"
        "  traits: &a {x: {fields: payload.x}}\n"
        "- event_type: b.*\n"
        "  traits: &b {y: {fields: payload.y}}\n"
        "- event_type: c.*\n"
        "  traits:\n"
        "    <<: [*a, *b]\n"
        "    y: {fields: payload.z}\n"
    )
    event = EventDefinitions.load(path).event(notified({"x": "1", "y": "2", "z": "3"}, "c.d"))
    assert event is not None
    assert event.text == {"service": "thing.host", "x": "1", "y": "3"}


def test_a_payload_that_is_no_mapping_has_the_default_traits():
    for payload in ([1], "Failed to upload", None):
        event = EventDefinitions.load().event(notified(payload, "image.upload"))
        assert event is not None
        assert event.text == {"service": "thing.host"}


def test_the_event_of_a_server():
    event = EventDefinitions.load().event(example("instance.volume_attach.error"))
    assert event is not None
    assert event.text["fault"] == "CinderConnectionFailed"
    assert event.text["volume_id"] == "227cc671-f30b-4488-96fd-7d0bf13648d8"
    assert event.text["resource_id"] == event.text["instance_id"]
    assert event.integer == {"vcpus": 1, "memory_mb": 512, "root_gb": 1, "ephemeral_gb": 0}


SHIPPED = EventDefinitions.load()


@given(JSON, EVENT_TYPES, JSON)
def test_any_payload_makes_an_event(payload, event_type, owner):
    n = notified(payload, event_type, _context_project_id=owner, _context_user_id=owner)
    event = SHIPPED.event(n)
    assert event is not None
    "".join([event.project_id, event.user_id, *event.text.values()]).encode()
    assert all(-(2**63) <= value < 2**63 for value in event.integer.values())
