"""POST /v1/events: every mode of CloudEvents over HTTP, on disk before it is answered."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.config import Config, Database
from sources.spool import SpoolFeed, SpoolFullError, SpoolSettings
from store.client import Store
from tests.api import ALICE, RecordingSpool, client, fault
from webapi.app import create_app

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/racks/7",
    "type": "com.example.gpu.used",
    "time": "2026-11-22T10:00:00Z",
    "data": {"seconds": 12.5},
}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/racks/7",
    "ce-type": "com.example.gpu.used",
    "ce-time": "2026-11-22T10:00:00Z",
}
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def send(
    body: Any, content_type: str | None, headers: dict[str, str] | None = None, **config: Any
) -> tuple[Any, list[Any]]:
    """Return the answer and the events that were spooled."""
    spool = RecordingSpool()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    api = client(Store(Database()), spool, **config)
    answer = api.post("/v1/events", data=data, content_type=content_type, headers=headers)
    return answer, [json.loads(each) for each in spool.bodies]


@pytest.mark.parametrize("content_type", [STRUCTURED, f"{STRUCTURED}; charset=UTF-8"])
def test_a_structured_event_is_spooled_as_it_is(content_type: str) -> None:
    answer, spooled = send(EVENT, content_type)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 1})
    assert spooled == [EVENT]


def test_a_batch_is_spooled_event_by_event() -> None:
    other = {**EVENT, "id": "e-2"}
    answer, spooled = send([EVENT, other], BATCH)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 2})
    assert spooled == [EVENT, other]


def test_an_empty_batch_is_taken() -> None:
    answer, spooled = send([], BATCH)
    assert (answer.status_code, answer.get_json(), spooled) == (201, {"accepted": 0}, [])


def test_an_event_in_binary_mode_is_spooled_as_a_structured_one() -> None:
    headers = {**HEADERS, "ce-subject": "Euro%20%E2%82%AC", "ce-rack": "7"}
    answer, spooled = send({"seconds": 12.5}, "application/json", headers)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 1})
    assert spooled == [
        {**EVENT, "datacontenttype": "application/json", "subject": "Euro €", "rack": "7"}
    ]


def test_an_event_in_binary_mode_may_have_no_data() -> None:
    answer, spooled = send(b"", None, HEADERS)
    assert answer.status_code == 201
    assert spooled == [{name: value for name, value in EVENT.items() if name != "data"}]


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"{", STRUCTURED, "The body is no JSON: "),
        (b"[{", BATCH, "The body is no JSON: "),
        (b'{"a": NaN}', STRUCTURED, "The body is no JSON: "),
        ([EVENT], STRUCTURED, "bad_field: an event is an object"),
        (EVENT, BATCH, "A batch must be a list of events"),
        ([EVENT, 3], BATCH, "event 1: bad_field: an event is an object"),
        ({**EVENT, "specversion": "0.3"}, STRUCTURED, "bad_field: specversion '0.3' is not 1.0"),
        ({**EVENT, "id": ""}, STRUCTURED, "missing_field: id"),
        ({**EVENT, "source": None}, STRUCTURED, "missing_field: source"),
        ({**EVENT, "type": 3}, STRUCTURED, "bad_field: type is no text"),
        ({**EVENT, "time": None}, STRUCTURED, "missing_field: time"),
        ([EVENT, {**EVENT, "time": "soon"}], BATCH, "event 1: bad_timestamp: 'soon' is no time"),
        (
            {**EVENT, "time": "2199-01-01T00:00:00Z"},
            STRUCTURED,
            "its time lies more than 86400 s ahead (decode.max_ahead)",
        ),
    ],
)
def test_what_is_no_event_refuses_the_whole_request(
    body: Any, content_type: str, text: str
) -> None:
    answer, spooled = send(body, content_type)
    status, said = fault(answer)
    assert (status, spooled) == (400, [])
    assert said.startswith(text)


@pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
def test_what_does_not_say_that_it_is_an_event_is_refused(content_type: str | None) -> None:
    answer, spooled = send(EVENT, content_type)
    assert (fault(answer)[0], spooled) == (415, [])


def test_an_event_too_large_to_be_a_payload_is_refused() -> None:
    large = {**EVENT, "data": "x" * 2000}
    answer, spooled = send(large, STRUCTURED, decode={"max_payload_bytes": 1024})
    assert (fault(answer)[0], spooled) == (413, [])


def test_only_an_admin_sends_events() -> None:
    answer, spooled = send(EVENT, STRUCTURED, ALICE)
    assert (fault(answer)[0], spooled) == (401, [])


def test_a_full_spool_is_said() -> None:
    full = RecordingSpool(SpoolFullError("the spool holds 4 GiB, as much as it may"))
    answer = client(Store(Database()), full).post("/v1/events", json=EVENT, content_type=STRUCTURED)
    assert fault(answer) == (503, "the spool holds 4 GiB, as much as it may")


def test_what_was_answered_is_on_disk(tmp_path: Path) -> None:
    spool = SpoolFeed(SpoolSettings(path=tmp_path))
    spool.open()
    api = create_app(Config(), Store(Database()), spool, dict).test_client()
    answer = api.post("/v1/events", data=json.dumps([EVENT, EVENT]), content_type=BATCH)
    assert answer.status_code == 201
    assert spool.status()["records"] == 2
    segment = next(tmp_path.glob("*.segment")).read_bytes()
    assert segment.count(b'"id":"e-1"') == 2
    spool.close()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*EVENT, "data_base64", "subject"]), _JSON))
def test_any_event_is_taken_or_refused(change: dict[str, Any]) -> None:
    answer, spooled = send({**EVENT, **change}, STRUCTURED)
    assert (answer.status_code, len(spooled)) in {(201, 1), (400, 0)}
