"""Samples and events in the words of Ceilometer's http and notifier publishers, decoded."""

import json
from typing import Any

import pytest

from metering.config import Decode
from metering.decode import Decoded, Decoder
from metering.signature import signature

NOW = 1_800_000_000_000  # ms
SAMPLE: dict[str, Any] = {
    "name": "image.download",
    "type": "delta",
    "unit": "B",
    "volume": 4096,
    "user_id": "u-1",
    "user_name": None,
    "project_id": "p-1",
    "project_name": None,
    "resource_id": "image-1",
    "timestamp": "2026-11-23T10:00:00+00:00",
    "resource_metadata": {"name": "small", "properties": {"os": "linux"}},
    "source": "openstack",
    "id": "11111111-1111-1111-1111-111111111111",
    "monotonic_time": None,
}
EVENT: dict[str, Any] = {
    "message_id": "e-1",
    "event_type": "volume.create.end",
    "generated": "2026-11-23T10:00:00.250000",
    "traits": [
        ["project_id", 1, "p-1"],
        ["user_id", 1, "u-1"],
        ["size", 2, 3],
        ["load", 3, 0.5],
        ["created_at", 4, "2026-11-23T09:59:00"],
        ["nothing", 0, None],
    ],
    "raw": {},
}


def decode(body: Any, **config: Any) -> Decoded:
    decoder = Decoder(Decode.model_validate(config))
    return decoder.decode("spool", [json.dumps(body).encode()], NOW)


def rows(decoded: Decoded) -> list[tuple[Any, ...]]:
    """Return meter, type, unit, volume, owner, resource, id and metadata of each sample."""
    names = (
        *("meter", "type", "unit", "volume", "project_id", "user_id", "resource_id"),
        *("message_id", "metadata"),
    )
    return [tuple(row[name] for name in names) for row in decoded.samples.to_pylist()]


ROW = (
    *("image.download", "delta", "B", 4096.0, "p-1", "u-1", "image-1", SAMPLE["id"]),
    '{"name":"small","properties.os":"linux"}',
)


@pytest.mark.parametrize("body", [[SAMPLE], SAMPLE])
def test_a_sample_of_the_http_publisher_is_a_sample(body: Any) -> None:
    decoded = decode(body)
    assert rows(decoded) == [ROW]
    assert decoded.newest == 1_795_428_000_000
    assert (decoded.events.num_rows, decoded.invalid.num_rows) == (0, 0)


def test_a_sample_is_the_same_by_every_publisher() -> None:
    sent = {f"counter_{name}": SAMPLE[name] for name in ("name", "type", "unit", "volume")}
    kept = ("user_id", "project_id", "resource_id", "timestamp", "resource_metadata", "source")
    sent |= {name: SAMPLE[name] for name in kept} | {"message_id": SAMPLE["id"]}
    by_notifier = decode(notification("metering", [sent])).samples
    assert by_notifier.to_pylist() == decode([SAMPLE]).samples.to_pylist()


def test_samples_and_events_of_one_body_are_all_taken() -> None:
    other = {**SAMPLE, "id": "2"}
    decoded = decode([SAMPLE, EVENT, other])
    assert [row[7] for row in rows(decoded)] == [SAMPLE["id"], "2"]
    assert decoded.events.num_rows == 1


def event_row(decoded: Decoded) -> dict[str, Any]:
    (row,) = decoded.events.to_pylist()
    return {name: value for name, value in row.items() if name not in ("content", "recorded_at")}


@pytest.mark.parametrize("body", [[EVENT], EVENT])
def test_an_event_has_the_traits_that_the_agent_gave_it(body: Any) -> None:
    row = event_row(decode(body))
    times = {name: row[name][0][1].isoformat() for name in ("datetime_traits",)}
    assert (row["event_type"], row["message_id"]) == ("volume.create.end", "e-1")
    assert (row["project_id"], row["user_id"]) == ("p-1", "u-1")
    assert row["generated"].isoformat() == "2026-11-23T10:00:00.250000+00:00"
    assert row["text_traits"] == [("project_id", "p-1"), ("user_id", "u-1")]
    assert (row["integer_traits"], row["float_traits"]) == ([("size", 3)], [("load", 0.5)])
    assert times == {"datetime_traits": "2026-11-23T09:59:00+00:00"}
    assert row["raw"] == ""


def test_a_trait_that_does_not_fit_its_type_is_left_out() -> None:
    traits = [["size", 2, "much"], ["state", 1, "ok"], ["at", 4, "soon"]]
    row = event_row(decode([{**EVENT, "traits": traits}]))
    assert (row["integer_traits"], row["datetime_traits"]) == ([], [])
    assert row["text_traits"] == [("state", "ok")]


def test_the_notification_that_an_agent_keeps_with_an_event_is_kept() -> None:
    row = event_row(decode([{**EVENT, "raw": {"payload": {"size": 3}}}]))
    assert json.loads(row["raw"]) == {"payload": {"size": 3}}


def notification(event_type: str, payload: Any) -> dict[str, Any]:
    inner = {
        "message_id": "m-1",
        "publisher_id": "telemetry.publisher.host",
        "event_type": event_type,
        "priority": "SAMPLE",
        "timestamp": "2026-11-23 10:00:01",
        "payload": payload,
    }
    return {"oslo.version": "2.0", "oslo.message": json.dumps(inner)}


METERED = {
    "counter_name": "image.size",
    "counter_type": "gauge",
    "counter_unit": "B",
    "counter_volume": 7,
    "project_id": "p-1",
    "user_id": None,
    "resource_id": "image-1",
    "timestamp": "2026-11-23T10:00:00",
    "resource_metadata": {},
    "message_id": "s-1",
    "source": "openstack",
}


@pytest.mark.parametrize("event_type", ["metering", "metering.image.size", "mine"])
def test_samples_of_the_notifier_publisher_are_samples_whatever_its_topic(event_type: str) -> None:
    decoded = decode(notification(event_type, [METERED, {**METERED, "message_id": "s-2"}]))
    row = ("image.size", "gauge", "B", 7.0, "p-1", "", "image-1", "s-1", "{}")
    assert rows(decoded) == [row, (*row[:7], "s-2", "{}")]
    assert (decoded.events.num_rows, decoded.invalid.num_rows) == (0, 0)


def test_events_of_the_notifier_publisher_are_events() -> None:
    decoded = decode(notification("event", [EVENT, {**EVENT, "message_id": "e-2"}]))
    assert decoded.events["message_id"].to_pylist() == ["e-1", "e-2"]
    assert (decoded.samples.num_rows, decoded.invalid.num_rows) == (0, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"volume": "much"}, "bad_volume"),
        ({"type": "meter"}, "bad_type"),
        ({"timestamp": None}, "missing_field"),
        ({"resource_id": ""}, "missing_field"),
        ({"timestamp": "2199-01-01T00:00:00"}, "future_timestamp"),
    ],
)
def test_a_sample_that_cannot_be_taken_is_set_aside_and_the_others_go_on(
    change: dict[str, Any], reason: str
) -> None:
    decoded = decode([{**SAMPLE, **change}, SAMPLE])
    assert rows(decoded) == [ROW]
    assert decoded.invalid["reason"].to_pylist() == [reason]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"generated": "soon"}, "bad_timestamp"),
        ({"generated": "2199-01-01T00:00:00"}, "future_timestamp"),
        ({"message_id": None}, "missing_field"),
        ({"traits": {}}, "bad_field"),
        ({"traits": [["name", 1]]}, "bad_field"),
        ({"traits": [[3, 1, "x"]]}, "bad_field"),
    ],
)
def test_an_event_that_cannot_be_taken_is_set_aside_and_the_others_go_on(
    change: dict[str, Any], reason: str
) -> None:
    decoded = decode([{**EVENT, **change}, EVENT])
    assert decoded.events["message_id"].to_pylist() == ["e-1"]
    assert decoded.invalid["reason"].to_pylist() == [reason]


def test_a_secret_refuses_samples_that_are_not_signed() -> None:
    good = {**METERED, "message_signature": signature(METERED, "s3cret")}
    decoded = decode([good, SAMPLE], telemetry_secret="s3cret")
    assert [row[7] for row in rows(decoded)] == ["s-1"]
    assert decoded.invalid["reason"].to_pylist() == ["bad_signature"]
