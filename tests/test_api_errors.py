"""Every failure in one shape: unknown routes, methods, types, bounds, what is away and what is unforeseen."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from metering.config import Config, Database
from store.client import Store, StoreAwayError
from tests.api import RecordingSpool, bare_client, client, fault, fleet
from webapi.app import create_app


class FailingStore(Store):
    """A store whose every use fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Database())
        self.error = error

    def client(self) -> Any:
        raise self.error


def failing(error: Exception) -> FlaskClient:
    return create_app(Config(), FailingStore(error), RecordingSpool(), dict).test_client()


def test_an_unknown_route_is_not_found() -> None:
    status, text = fault(bare_client().get("/v2/wat"))
    assert status == 404
    assert text.startswith("The requested URL was not found on the server.")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/samples", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/v2/meters", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/v2/meters/cpu", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", "/v2/resources/a/b", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/v2/query/samples", {"POST", "OPTIONS"}),
        ("POST", "/v2/meters/cpu/statistics", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_another_method_is_told_which_are_allowed(
    method: str, path: str, allowed: set[str]
) -> None:
    answer = bare_client().open(path, method=method, json=[])
    assert fault(answer)[0] == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*;q=0.1"])
def test_another_type_than_json_is_not_answered(accept: str) -> None:
    answer = bare_client().get("/v2/samples", headers={"Accept": accept})
    assert fault(answer) == (406, "Only application/json can be answered")


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "application/json", "text/html, */*;q=0.1"]
)
def test_json_is_answered_to_who_takes_it(accept: str) -> None:
    answer = bare_client().get("/v2/samples?limit=0", headers={"Accept": accept})
    assert answer.status_code == 400
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("path", ["/v2/query/samples", "/v2/meters/cpu"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_another_type_than_json_is_not_taken(path: str, kind: str) -> None:
    answer = bare_client().post(path, data="{}", content_type=kind)
    assert fault(answer) == (415, f"The body must be application/json, not {kind}")


def test_a_slash_at_the_end_makes_no_difference(store: Store) -> None:
    fleet(store)
    for path in ("meters", "samples", "resources", "meters/cpu", "meters/cpu/statistics"):
        answer = client(store).get(f"/v2/{path}")
        assert answer.status_code == 200
        assert client(store).get(f"/v2/{path}/").get_json() == answer.get_json()


def test_a_query_over_its_time_says_which_bound(store: Store) -> None:
    store.command(
        f"INSERT INTO {store.name}.samples (meter, resource_id, volume, timestamp)"
        " SELECT 'cpu', toString(number), number, toDateTime64(1795341600 + number, 3) FROM numbers(300000)"
    )
    api = client(store, api={"query_seconds": 0.001})
    status, text = fault(api.get("/v2/meters/cpu/statistics?groupby=resource_id"))
    assert (status, text) == (
        400,
        "the query took longer than api.query_seconds (0.001 s);"
        " ask for a shorter time range or fewer fields",
    )


def test_a_query_over_its_memory_says_which_bound(store: Store) -> None:
    store.command(
        f"INSERT INTO {store.name}.samples (meter, resource_id, volume, timestamp)"
        " SELECT 'cpu', toString(number), number, toDateTime64(1795341600 + number, 3) FROM numbers(300000)"
    )
    api = client(store, api={"query_memory": 1024**2})
    status, text = fault(api.get("/v2/meters/cpu/statistics?groupby=resource_id"))
    assert (status, text) == (
        400,
        "the query took more memory than api.query_memory (1048576 bytes);"
        " ask for a shorter time range or fewer rows",
    )


def test_a_store_that_is_away_is_said() -> None:
    answer = failing(StoreAwayError("the server does not answer")).get("/v2/samples")
    assert fault(answer) == (503, "the server does not answer")


def test_what_is_unforeseen_is_logged_and_told_without_its_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR, logger="webapi.errors"):
        answer = failing(ValueError("secret")).get("/v2/samples")
    assert fault(answer) == (500, "Internal server error; the log says more")
    assert "ValueError: secret" in caplog.text
