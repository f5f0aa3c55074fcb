"""CloudEvents: both modes are one event, definitions make samples of it, and it counts once."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.cloudevent import event_notification, structured
from metering.config import Decode
from metering.decode import Decoded, Decoder
from metering.refusal import RefusedError

NOW = 1_795_400_000_000  # ms: 2026-11-23T02:13:20Z
METERS = """
metric:
  - name: gpu.seconds
    event_type: com.example.gpu.used
    type: delta
    unit: s
    volume: $.data.seconds
    resource_id: $.subject
    project_id: $.data.owner.project
    user_id: $.data.owner.user
    metadata:
      model: $.data.model
      reporter: $.source
"""
DATA: dict[str, Any] = {
    "seconds": 12.5,
    "model": "A100",
    "owner": {"project": "p1", "user": "u1"},
}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/racks/7",
    "type": "com.example.gpu.used",
    "subject": "gpu-3",
    "time": "2026-11-22T10:00:00.5Z",
    "datacontenttype": "application/json",
    "data": DATA,
}
ATTRIBUTES = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/racks/7",
    "ce-type": "com.example.gpu.used",
    "ce-subject": "gpu-3",
    "ce-time": "2026-11-22T10:00:00.5Z",
    "content-type": "application/json",
}
ROW = {
    "meter": "gpu.seconds",
    "type": "delta",
    "unit": "s",
    "volume": 12.5,
    "project_id": "p1",
    "user_id": "u1",
    "resource_id": "gpu-3",
    "source": "openstack",
    "metadata": '{"model":"A100","reporter":"/racks/7"}',
}


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    meters = tmp_path_factory.mktemp("definitions") / "meters.yaml"
    meters.write_text(METERS)
    return Decoder(Decode(meters=meters, store_raw=[""]))


def decode(decoder: Decoder, *bodies: Any) -> Decoded:
    texts = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
    return decoder.decode("feed", texts, NOW)


def rows(decoded: Decoded) -> list[dict[str, Any]]:
    return list(decoded.samples.drop(["timestamp", "recorded_at", "message_id"]).to_pylist())


def refusals(decoded: Decoded) -> list[tuple[str, str]]:
    return [(row["reason"], row["detail"]) for row in decoded.invalid.to_pylist()]


def binary(data: bytes, **changes: str) -> bytes:
    body = structured({**ATTRIBUTES, **changes}, data)
    assert body is not None
    return body


FORMS = {
    "structured": json.dumps(EVENT).encode(),
    "structured, its data as bytes": json.dumps(
        {k: v for k, v in EVENT.items() if k != "data"}
        | {"data_base64": base64.b64encode(json.dumps(DATA).encode()).decode()}
    ).encode(),
    "a batch": json.dumps([EVENT]).encode(),
    "binary": binary(json.dumps(DATA).encode()),
    "binary, with charset": binary(
        json.dumps(DATA).encode(), **{"content-type": "application/json; charset=utf-8"}
    ),
    "binary, other case": structured(
        {k.title(): v for k, v in ATTRIBUTES.items()}, json.dumps(DATA).encode()
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_event_makes_the_same_samples_in_every_form(form: str, decoder: Decoder) -> None:
    decoded = decode(decoder, FORMS[form])
    assert rows(decoded) == [ROW]
    assert decoded.samples["timestamp"][0].value == 1_795_341_600_500
    assert decoded.samples["message_id"] == decode(decoder, EVENT).samples["message_id"]
    assert decoded.events["event_type"].to_pylist() == ["com.example.gpu.used"]
    assert decoded.invalid.num_rows == 0


def test_binary_and_structured_are_one_event_of_one_content(decoder: Decoder) -> None:
    decoded = decode(decoder, FORMS["structured"], FORMS["binary"], FORMS["a batch"])
    kept = decoded.events.drop(["recorded_at", "raw"]).to_pylist()
    assert kept == [kept[0]] * 3
    assert json.loads(decoded.events["raw"][0].as_py()) == EVENT


def test_source_and_id_together_name_an_event() -> None:
    def name(source: str, event_id: str) -> str:
        return event_notification({**EVENT, "source": source, "id": event_id}).message_id

    assert name("/a", "1") == name("/a", "1")
    others = {name("/a", "1"), name("/a", "2"), name("/b", "1"), name("/a\x1f1", "2")}
    assert len(others | {name("/a", "1\x1f2")}) == 5


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_two_pairs_of_source_and_id_share_a_name(a: str, b: str, c: str, d: str) -> None:
    first = event_notification({**EVENT, "source": a, "id": b})
    second = event_notification({**EVENT, "source": c, "id": d})
    assert (first.message_id == second.message_id) == ((a, b) == (c, d))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"specversion": "0.3"}, ("bad_field", "specversion '0.3' is not 1.0")),
        ({"specversion": 1}, ("bad_field", "specversion is no text")),
        ({"id": ""}, ("missing_field", "id")),
        ({"id": 7}, ("bad_field", "id is no text")),
        ({"source": None}, ("missing_field", "source")),
        ({"type": None}, ("missing_field", "type")),
        ({"time": None}, ("missing_field", "time")),
        ({"time": "soon"}, ("bad_timestamp", "'soon' is no time")),
        (
            {"time": "2026-11-25T00:00:00Z"},
            ("future_timestamp", "2026-11-25T00:00:00+00:00 lies too far ahead"),
        ),
        ({"data": {**DATA, "seconds": "many"}}, ("bad_volume", "meter gpu.seconds: 'many' is no finite number")),
        ({"subject": None}, ("missing_field", "meter gpu.seconds: no resource_id")),
        ({"data_base64": "%"}, ("bad_field", "data_base64 is no base64")),
        ({"data_base64": 7}, ("bad_field", "data_base64 is no base64")),
        ({"data_base64": "eyI="}, ("bad_json", "Unterminated string starting at: line 1 column 2 (char 1)")),
    ],
)  # fmt: skip
def test_a_bad_event_is_refused_alone(
    change: dict[str, Any], why: tuple[str, str], decoder: Decoder
) -> None:
    decoded = decode(decoder, [EVENT, {**EVENT, "id": "e-2", **change}])
    assert rows(decoded) == [ROW]
    assert refusals(decoded) == [why]


def test_what_is_no_event_in_a_batch_is_refused_alone(decoder: Decoder) -> None:
    decoded = decode(decoder, [EVENT, 3, {"id": "e-2"}])
    assert rows(decoded) == [ROW]
    assert refusals(decoded) == [
        ("bad_field", "an event is an object"),
        ("missing_field", "specversion"),
    ]


def test_a_refused_event_is_kept_so_that_it_can_be_fed_again(decoder: Decoder) -> None:
    refused = decode(decoder, binary(b'{"seconds": "many"}')).invalid["payload"][0].as_py()
    again = decode(decoder, refused)
    assert refusals(again) == [("bad_volume", "meter gpu.seconds: 'many' is no finite number")]


def test_binary_data_of_any_kind_is_carried() -> None:
    def carried(data: bytes, kind: str) -> Any:
        event = json.loads(binary(data, **{"content-type": kind}))
        return event.get("data"), event.get("data_base64")

    assert carried(b'{"a": 1}', "") == ({"a": 1}, None)
    assert carried(b'{"a": 1}', "application/vnd.x+json") == ({"a": 1}, None)
    assert carried(b"{", "application/json") == (None, "ew==")
    assert carried(b'"a"', "text/plain") == ('"a"', None)
    assert carried(b"\xff", "image/png") == (None, "/w==")
    assert carried(b"", "application/json") == (None, None)


def test_a_message_without_a_specversion_is_no_event_in_binary_mode() -> None:
    assert structured({"ce-id": "1", "ce-source": "/"}, b"{}") is None
    assert structured({}, b"{}") is None


@pytest.mark.parametrize("name", ["ce-data", "ce-data_base64", "ce-datacontenttype"])
def test_an_attribute_cannot_stand_for_the_data(name: str) -> None:
    assert binary(b"{}", **{name: "x"}) == binary(b"{}")


@given(
    st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=5)),
    st.binary(max_size=20),
)
def test_whatever_comes_in_binary_mode_is_taken_or_refused(
    changes: dict[str, str], data: bytes
) -> None:
    assert outcome(json.loads(binary(data, **changes))) in (
        *("taken", "missing_field", "bad_field", "bad_timestamp", "bad_json", "not_utf8"),
    )


def outcome(event: Any) -> str:
    try:
        event_notification(event)
    except RefusedError as error:
        return error.reason
    return "taken"


def test_a_message_of_shipped_definitions_is_still_a_notification() -> None:
    decoded = decode(Decoder(Decode()), {**EVENT, "type": "volume.create.end"})
    assert rows(decoded) == []
    assert decoded.events["event_type"].to_pylist() == ["volume.create.end"]
