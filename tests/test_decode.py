"""From payloads to samples, events and refusals: what is taken, what is refused and why."""

import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.config import Decode
from metering.decode import Decoded, Decoder
from metering.signature import signature

NOW = 1_795_400_000_000  # ms: 2026-11-23T02:13:20Z
SAMPLE: dict[str, Any] = {
    "counter_name": "cpu",
    "counter_type": "cumulative",
    "counter_unit": "ns",
    "counter_volume": 12.5,
    "user_id": "u",
    "project_id": "p",
    "resource_id": "r",
    "timestamp": "2026-11-22T10:00:00.123456+00:00",
    "resource_metadata": {"flavor": {"name": "m1.small", "vcpus": 1}, "host": "h"},
    "message_id": "id-1",
    "source": "openstack",
}
ROW = {
    "meter": "cpu",
    "type": "cumulative",
    "unit": "ns",
    "volume": 12.5,
    "project_id": "p",
    "user_id": "u",
    "resource_id": "r",
    "source": "openstack",
    "metadata": '{"flavor.name":"m1.small","flavor.vcpus":1,"host":"h"}',
    "message_id": "id-1",
}


def decoder(**config: Any) -> Decoder:
    return Decoder(Decode(**config))


SHIPPED = decoder()


def message(event_type: str, payload: Any, **fields: Any) -> dict[str, Any]:
    head = {"message_id": "m", "publisher_id": "host", "event_type": event_type, "priority": "INFO"}
    return {**head, "timestamp": "2026-11-22 10:00:00", "payload": payload, **fields}


def enveloped(inner: dict[str, Any] | str) -> bytes:
    text = inner if isinstance(inner, str) else json.dumps(inner)
    return json.dumps({"oslo.version": "2.0", "oslo.message": text}).encode()


def batch(*samples: Any, event_type: str = "telemetry.polling") -> dict[str, Any]:
    return message(event_type, {"samples": list(samples)})


def rows(decoded: Decoded) -> list[dict[str, Any]]:
    plain = decoded.samples.drop(["timestamp", "recorded_at"]).to_pylist()
    return sorted(plain, key=lambda row: row["message_id"])


def refusals(decoded: Decoded) -> list[str]:
    return decoded.invalid["reason"].to_pylist()


FORMS = {
    "enveloped": enveloped(batch(SAMPLE)),
    "bare": json.dumps(batch(SAMPLE)).encode(),
    "as recorded": json.dumps({"body": json.loads(enveloped(batch(SAMPLE)))}).encode(),
    "from the API": enveloped(batch(SAMPLE, event_type="telemetry.api")),
    "one sample": json.dumps(SAMPLE).encode(),
    "a list of samples": json.dumps([SAMPLE]).encode(),
    "volume as text": enveloped(batch({**SAMPLE, "counter_volume": "12.5"})),
    "with a neighbour that is refused": enveloped(
        batch({**SAMPLE, "counter_volume": None}, SAMPLE)
    ),
    "naive time": enveloped(batch({**SAMPLE, "timestamp": "2026-11-22 10:00:00.123456"})),
    "with Z": enveloped(batch({**SAMPLE, "timestamp": "2026-11-22T10:00:00.123456Z"})),
    "other order of metadata": enveloped(
        batch({**SAMPLE, "resource_metadata": dict(reversed(SAMPLE["resource_metadata"].items()))})
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_is_the_same_in_every_form(form: str) -> None:
    decoded = SHIPPED.decode("feed", [FORMS[form]], NOW)
    assert rows(decoded) == [ROW]
    assert decoded.samples["timestamp"][0].value == 1_795_341_600_123
    assert decoded.samples["recorded_at"][0].value == NOW // 1000
    assert decoded.newest == 1_795_341_600_123


REFUSED = {
    "no JSON": (b"{", "bad_json"),
    "no UTF-8": (b'{"a": "\xff"}', "not_utf8"),
    "a lone surrogate": (b'{"a": "\\ud800"}', "not_utf8"),
    "nested deeply": (b"[" * 10_000 + b"]" * 10_000, "bad_json"),
    "ten megabytes": (b'"' + b"x" * 10_000_000 + b'"', "too_large"),
    "a number": (b"7", "bad_envelope"),
    "null": (b"null", "bad_envelope"),
    "an empty object": (b"{}", "bad_envelope"),
    "an envelope of a number": (b'{"oslo.version": "2.0", "oslo.message": 3}', "bad_envelope"),
    "an envelope of no JSON": (enveloped("nonsense"), "bad_json"),
    "no payload": (enveloped({"event_type": "x", "message_id": "m", "timestamp": "2026-11-22"}), "missing_field"),
    "no event type": (enveloped({"payload": {}, "message_id": "m"}), "missing_field"),
    "no message id": (enveloped({**message("x", {}), "message_id": None}), "missing_field"),
    "no time": (enveloped({**message("x", {}), "timestamp": None}), "bad_timestamp"),
    "time is no time": (enveloped({**message("x", {}), "timestamp": "soon"}), "bad_timestamp"),
    "time far ahead": (enveloped({**message("x", {}), "timestamp": "2026-11-25 00:00:00"}), "future_timestamp"),
    "no samples": (enveloped(message("telemetry.polling", {})), "missing_field"),
    "a sample that is text": (enveloped(batch("cpu")), "bad_field"),
    "no meter": (enveloped(batch({**SAMPLE, "counter_name": ""})), "missing_field"),
    "no resource": (enveloped(batch({**SAMPLE, "resource_id": None})), "missing_field"),
    "unknown type": (enveloped(batch({**SAMPLE, "counter_type": "count"})), "bad_type"),
    "no volume": (enveloped(batch({**SAMPLE, "counter_volume": None})), "missing_field"),
    "volume is text": (enveloped(batch({**SAMPLE, "counter_volume": "much"})), "bad_volume"),
    "volume is true": (enveloped(batch({**SAMPLE, "counter_volume": True})), "bad_volume"),
    "volume is NaN": (enveloped(batch({**SAMPLE, "counter_volume": float("nan")})), "bad_volume"),
    "volume is infinite": (enveloped(batch({**SAMPLE, "counter_volume": float("inf")})), "bad_volume"),
    "volume overflows": (enveloped(json.dumps(batch(SAMPLE)).replace("12.5", "1e999")), "bad_volume"),
    "volume is huge": (enveloped(json.dumps(batch(SAMPLE)).replace("12.5", "9" * 400)), "bad_volume"),
    "sample's time is none": (enveloped(batch({**SAMPLE, "timestamp": "x"})), "bad_timestamp"),
    "sample's time far ahead": (enveloped(batch({**SAMPLE, "timestamp": "2030-01-01T00:00:00"})), "future_timestamp"),
    "metadata is a list": (enveloped(batch({**SAMPLE, "resource_metadata": [1]})), "bad_field"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_taken_is_refused_with_its_reason_and_the_rest_goes_on(what: str) -> None:
    body, reason = REFUSED[what]
    decoded = SHIPPED.decode("feed", [body, enveloped(batch(SAMPLE))], NOW)
    assert refusals(decoded) == [reason]
    assert rows(decoded) == [ROW]


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_again_later_is_the_same_refusal(what: str) -> None:
    body, _ = REFUSED[what]
    first, again = (SHIPPED.decode("f", [body], NOW + wait).invalid for wait in (0, 60_000))
    assert first["id"] == again["id"]


def test_a_refusal_keeps_the_payload_up_to_its_bound() -> None:
    decoded = decoder(invalid_payload_bytes=256).decode("feed", [b"{" + b" " * 999], NOW)
    (row,) = decoded.invalid.to_pylist()
    assert (row["payload"], row["size"], row["feed"]) == (b"{" + b" " * 255, 1000, "feed")


def test_a_sample_without_an_id_is_named_by_its_content() -> None:
    nameless = {**SAMPLE, "message_id": None}
    decoded = SHIPPED.decode("f", [enveloped(batch(nameless)), json.dumps(nameless).encode()], NOW)
    first, second = decoded.samples["message_id"].to_pylist()
    assert first == second
    assert len(first) == 32


def test_a_notification_becomes_an_event_and_its_samples() -> None:
    payload = {"volume_id": "v", "size": 5, "tenant_id": "p", "user_id": "u", "status": "available"}
    decoded = SHIPPED.decode("f", [enveloped(message("volume.create.end", payload))], NOW)
    (event,) = decoded.events.select(
        ["event_type", "message_id", "project_id", "user_id"]
    ).to_pylist()
    assert event == {
        "event_type": "volume.create.end",
        "message_id": "m",
        "project_id": "p",
        "user_id": "u",
    }
    assert [(r["meter"], r["volume"], r["resource_id"]) for r in rows(decoded)] == [
        ("volume.size", 5.0, "v")
    ]


def test_a_raw_notification_is_kept_where_its_priority_is_asked_for() -> None:
    body = message("x.y", {"a": 1})
    kept = decoder(store_raw=["info"]).decode("f", [enveloped(body)], NOW).events["raw"][0].as_py()
    assert json.loads(kept) == body
    assert SHIPPED.decode("f", [enveloped(body)], NOW).events["raw"].to_pylist() == [""]


def test_signed_samples_are_taken_and_others_refused() -> None:
    signed = {**SAMPLE, "message_signature": signature(SAMPLE, "secret")}
    forged = {**signed, "counter_volume": 13, "message_id": "id-2"}
    decoded = decoder(telemetry_secret="secret").decode(
        "f", [enveloped(batch(signed, forged, SAMPLE))], NOW
    )
    assert rows(decoded) == [ROW]
    assert refusals(decoded) == ["bad_signature", "bad_signature"]


def test_a_signature_covers_names_and_values_in_order_nested_ones_joined_by_a_colon() -> None:
    sample = {"d": [3], "b": {"c": 2}, "a": 1, "message_signature": "x"}
    expected = hmac.new(b"secret", b"a1b:c2d[3]", "sha256").hexdigest()
    assert signature(sample, "secret") == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=15,
)
SAMPLES_ = st.fixed_dictionaries(
    {}, optional={name: JSON | st.just(value) for name, value in SAMPLE.items()}
)
MESSAGES = st.one_of(
    JSON,
    SAMPLES_,
    st.builds(batch, SAMPLES_, SAMPLES_),
    st.builds(
        message,
        st.sampled_from(["compute.instance.create.end", "volume.exists", "http.request", "x"]),
        JSON,
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.binary(max_size=60), MESSAGES), max_size=4), st.booleans())
def test_nothing_that_comes_stops_the_stream(bodies: list[Any], wrapped: bool) -> None:
    sent = []
    for body in bodies:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent.append(enveloped(text.decode()) if wrapped and not isinstance(body, bytes) else text)
    decoded = SHIPPED.decode("f", [*sent, enveloped(batch(SAMPLE))], NOW)
    assert ROW in rows(decoded)
    assert set(refusals(decoded)) <= set(
        __import__("metering.refusal", fromlist=["REASONS"]).REASONS
    )
    for volume in decoded.samples["volume"].to_pylist():
        assert abs(volume) < float("inf")


@settings(max_examples=200, deadline=None)
@given(st.lists(SAMPLES_, max_size=5))
def test_the_hot_path_takes_what_the_slow_path_takes(samples: list[dict[str, Any]]) -> None:
    together = SHIPPED.decode("f", [enveloped(batch(*samples))], NOW)
    one_by_one = SHIPPED.decode(
        "f", [json.dumps(sample).encode() for sample in samples if "counter_name" in sample], NOW
    )
    assert rows(together) == rows(one_by_one)
