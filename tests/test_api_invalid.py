"""Refused payloads by HTTP: listing, showing and feeding them again; and how the service is."""

import base64
import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient

from metering.config import Config, Database
from metering.schema import INVALID
from store.client import Store
from store.rows import insert_invalid
from tests.api import ALICE, RecordingSpool, bare_client, client, fault, ms
from webapi.app import create_app

AT = ms(0) // 1000


def refused(*rows: dict[str, Any]) -> pa.Table:
    """Return rows of metering.schema.INVALID; what a row leaves out has a plain value."""
    plain = {"feed": "spool", "reason": "bad_json", "detail": "no JSON", "recorded_at": AT}
    full = [plain | {"size": len(row["payload"])} | row for row in rows]
    return pa.Table.from_pylist(full, INVALID)


@pytest.fixture
def spool() -> RecordingSpool:
    return RecordingSpool()


@pytest.fixture
def api(store: Store, spool: RecordingSpool) -> FlaskClient:
    """An API over four refused payloads: text, bytes, one that was cut, one of another feed."""
    insert_invalid(
        store,
        refused(
            {"id": "a", "payload": b"{oops", "recorded_at": AT},
            {"id": "b", "payload": b"\xff\x00", "reason": "not_utf8", "recorded_at": AT + 1},
            {
                "id": "c",
                "payload": b"xx",
                "size": 900,
                "reason": "too_large",
                "recorded_at": AT + 2,
            },
            {"id": "d", "payload": b"{", "feed": "rabbit", "recorded_at": AT + 3},
        ),
    )
    return client(store, spool)


def ids(api: FlaskClient, query: str = "") -> list[str]:
    return [row["id"] for row in api.get(f"/v1/invalid{query}").get_json()]


def test_the_newest_comes_first(api: FlaskClient) -> None:
    assert ids(api) == ["d", "c", "b", "a"]
    assert api.get("/v1/invalid?limit=1").get_json() == [
        {
            "id": "d",
            "feed": "rabbit",
            "reason": "bad_json",
            "detail": "no JSON",
            "size": 1,
            "kept": 1,
            "recorded_at": "2026-11-22T10:00:03",
            "redriven_at": None,
        }
    ]


def test_the_list_is_narrowed_and_paged(api: FlaskClient) -> None:
    assert ids(api, "?reason=bad_json") == ["d", "a"]
    assert ids(api, "?feed=spool") == ["c", "b", "a"]
    assert ids(api, "?limit=2&marker=c") == ["b", "a"]
    assert ids(api, "?marker=a") == []


def test_a_payload_is_shown_as_text_or_base64(api: FlaskClient) -> None:
    shown = api.get("/v1/invalid/a").get_json()
    assert (shown["payload"], shown["encoding"]) == ("{oops", "text")
    shown = api.get("/v1/invalid/b").get_json()
    assert base64.b64decode(shown["payload"]) == b"\xff\x00"
    assert shown["encoding"] == "base64"


def test_a_redriven_payload_is_in_the_spool_and_marked(
    api: FlaskClient, spool: RecordingSpool
) -> None:
    answer = api.post("/v1/invalid/b/redrive")
    assert (answer.status_code, spool.bodies) == (200, [b"\xff\x00"])
    marked = api.get("/v1/invalid/b").get_json()
    assert marked["redriven_at"] == answer.get_json()["redriven_at"]
    assert dt.datetime.fromisoformat(marked["redriven_at"])
    assert marked["recorded_at"] == "2026-11-22T10:00:01"
    assert (marked["payload"], marked["size"]) == (base64.b64encode(b"\xff\x00").decode(), 2)


def test_a_payload_that_is_refused_anew_is_unmarked(api: FlaskClient, store: Store) -> None:
    api.post("/v1/invalid/a/redrive")
    insert_invalid(store, refused({"id": "a", "payload": b"{oops", "recorded_at": AT + 60}))
    assert api.get("/v1/invalid/a").get_json()["redriven_at"] is None


def test_many_are_redriven_at_once_but_none_twice(api: FlaskClient, spool: RecordingSpool) -> None:
    assert api.post("/v1/invalid/redrive", json={"reason": "bad_json"}).get_json() == {
        "redriven": 2
    }
    assert sorted(spool.bodies) == [b"{", b"{oops"]
    assert api.post("/v1/invalid/redrive").get_json() == {"redriven": 1}
    assert sorted(spool.bodies) == [b"{", b"{oops", b"\xff\x00"]
    assert api.post("/v1/invalid/redrive", json={}).get_json() == {"redriven": 0}


def test_what_was_cut_cannot_be_redriven(api: FlaskClient, spool: RecordingSpool) -> None:
    status, text = fault(api.post("/v1/invalid/c/redrive"))
    assert (status, spool.bodies) == (409, [])
    assert "900 bytes only 2 were kept" in text


def test_what_the_spool_does_not_take_is_not_marked(
    api: FlaskClient, spool: RecordingSpool
) -> None:
    spool.error = RuntimeError("full")
    assert api.post("/v1/invalid/a/redrive").status_code == 500
    assert api.get("/v1/invalid/a").get_json()["redriven_at"] is None


def test_what_is_not_there_is_404(api: FlaskClient) -> None:
    assert fault(api.get("/v1/invalid/x")) == (404, "Invalid payload x Not Found")
    assert fault(api.post("/v1/invalid/x/redrive"))[0] == 404


@pytest.mark.parametrize(
    "body", [[], {"reason": "nonsense"}, {"reason": 1}, {"limit": 0}, {"limit": "2"}, {"x": 1}]
)
def test_a_bad_redrive_is_told(body: Any) -> None:
    assert fault(bare_client().post("/v1/invalid/redrive", json=body))[0] == 400


def test_an_unknown_reason_is_told() -> None:
    assert (
        "Value should be one of: too_large" in fault(bare_client().get("/v1/invalid?reason=x"))[1]
    )


@pytest.mark.parametrize("path", ["/v1/invalid", "/v1/invalid/a", "/v1/status", "/metrics"])
def test_these_are_for_admins(path: str) -> None:
    assert fault(bare_client().get(path, headers=ALICE))[0] == 401
    assert fault(bare_client().post("/v1/invalid/redrive", headers=ALICE))[0] == 401


def test_the_status_is_what_the_service_says(store: Store) -> None:
    says = {"running": True, "feeds": {"spool": {"last_error": None}}}
    app = create_app(Config(), store, RecordingSpool(), lambda: says)
    assert app.test_client().get("/v1/status").get_json() == says


def test_metrics_are_in_prometheus_format() -> None:
    answer = bare_client().get("/metrics")
    assert answer.content_type.startswith("text/plain")
    assert "# TYPE " in answer.text


def test_health_follows_the_store(store: Store) -> None:
    assert client(store).get("/healthcheck").text == "OK"
    gone = Store(Database.model_validate({"url": "http://x@127.0.0.1:9", "password": "y"}))
    answer = create_app(Config(), gone, RecordingSpool(), dict).test_client().get("/healthcheck")
    assert fault(answer)[0] == 503
