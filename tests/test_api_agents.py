"""POST /v1/ceilometer: what Ceilometer's http publisher posts is on disk before it is answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from metering.config import Config, Database, Decode
from metering.decode import Decoder
from sources.spool import SpoolFeed, SpoolFullError, SpoolSettings
from store.client import Store
from tests.api import ALICE, RecordingSpool, client, fault
from tests.test_published import EVENT, METERED, SAMPLE
from webapi.app import create_app


def send(
    body: Any, headers: dict[str, str] | None = None, **config: Any
) -> tuple[Any, list[bytes]]:
    """Return the answer and the bodies that were spooled."""
    spool = RecordingSpool()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    api = client(Store(Database()), spool, **config)
    # The publisher's own header.
    sent = {"Content-type": "application/json", **(headers or {})}
    return api.post("/v1/ceilometer", data=data, headers=sent), spool.bodies


@pytest.mark.parametrize(
    ("body", "count"), [([SAMPLE, SAMPLE], 2), (SAMPLE, 1), ([EVENT], 1), ([EVENT, SAMPLE], 2)]
)
def test_a_body_is_spooled_as_it_came(body: Any, count: int) -> None:
    answer, spooled = send(body)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": count})
    assert spooled == [json.dumps(body).encode()]


def test_nothing_to_take_is_taken() -> None:
    answer, spooled = send([])
    assert (answer.status_code, answer.get_json(), spooled) == (201, {"accepted": 0}, [])


def test_what_one_sample_lacks_is_no_reason_to_refuse_the_others() -> None:
    answer, spooled = send([{**SAMPLE, "volume": "much"}, SAMPLE])
    assert (answer.status_code, len(spooled)) == (201, 1)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "The body is no JSON: bad_json: "),
        (b"\xff", "The body is no JSON: not_utf8: "),
        ([SAMPLE, 3], "entry 1: neither a sample"),
        ([{"size": 3}], "entry 0: neither a sample"),
        ("text", "entry 0: neither a sample"),
        ([METERED], "entry 0: neither a sample"),
    ],
)
def test_what_is_neither_sample_nor_event_refuses_the_whole_request(body: Any, text: str) -> None:
    answer, spooled = send(body)
    status, said = fault(answer)
    assert (status, spooled) == (400, [])
    assert said.startswith(text)


def test_a_body_too_large_to_be_a_payload_is_refused() -> None:
    answer, spooled = send([SAMPLE] * 10, decode={"max_payload_bytes": 1024})
    assert (fault(answer)[0], spooled) == (413, [])


def test_only_an_admin_publishes() -> None:
    answer, spooled = send([SAMPLE], ALICE)
    assert (fault(answer)[0], spooled) == (401, [])


def test_a_full_spool_is_said() -> None:
    full = RecordingSpool(SpoolFullError("the spool holds 4 GiB, as much as it may"))
    answer = client(Store(Database()), full).post("/v1/ceilometer", json=[SAMPLE])
    assert fault(answer) == (503, "the spool holds 4 GiB, as much as it may")


def test_where_samples_must_be_signed_these_are() -> None:
    answer, spooled = send([SAMPLE, EVENT], decode={"telemetry_secret": "s3cret"})
    assert answer.status_code == 201
    decoded = Decoder(Decode.model_validate({"telemetry_secret": "s3cret"})).decode(
        "spool", spooled, 1_800_000_000_000
    )
    assert decoded.samples["message_id"].to_pylist() == [SAMPLE["id"]]
    assert (decoded.events.num_rows, decoded.invalid.num_rows) == (1, 0)


def test_what_was_answered_is_on_disk(tmp_path: Path) -> None:
    spool = SpoolFeed(SpoolSettings(path=tmp_path))
    spool.open()
    api = create_app(Config(), Store(Database()), spool, dict).test_client()
    assert api.post("/v1/ceilometer", json=[SAMPLE]).status_code == 201
    assert spool.status()["records"] == 1
    assert SAMPLE["id"].encode() in next(tmp_path.glob("*.segment")).read_bytes()
    spool.close()
