"""The description of the API is true: every route is in it, and every answer is as it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema_rs
import orjson
import pytest
import schemathesis
from flask import Flask
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from metering.config import Config, Database
from metering.restatement import Restatement, RestateScope, SumChange
from store.client import Store
from store.rows import insert_events, insert_invalid, insert_usage, sample_rows
from tests.api import RecordingSpool, bare_client, fleet, ms
from tests.stores import migrated
from tests.tables import samples, usage_rows
from tests.test_api_events import events
from tests.test_api_invalid import refused
from webapi.app import create_app
from webapi.openapi import description

schemathesis.serializer.alias("application/x-ndjson", "text/plain")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def _routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _restate(scope: RestateScope, apply: bool) -> Restatement:
    return Restatement(1, [SumChange("cpu", "", 3600, 1, 0.0, 1.5)], apply)


def _app(store: Store) -> Flask:
    return create_app(Config(), store, RecordingSpool(), lambda: {"running": True}, _restate)


@pytest.fixture(scope="module")
def app(engine_path: Path) -> Iterator[Flask]:
    """The application over a store with some of everything."""
    with migrated(Database(path=engine_path, name="described")) as store:
        fill(store)
        yield _app(store)


def fill(store: Store) -> None:
    """Write some of everything."""
    fleet(store)
    traits = {
        "integer_traits": {"n": 1},
        "datetime_traits": {"at": ms(0)},
        "float_traits": {"f": 1.5},
    }
    insert_events(
        store, events({"message_id": "m1", "raw": "{}", "text_traits": {"a": "b"}, **traits})
    )
    insert_invalid(store, refused({"id": "i1", "payload": b"{"}, {"id": "i2", "payload": b"\xff"}))
    insert_usage(store, usage_rows({}, {"type": "delta", "meter": "x", "project_id": ""}))
    store.insert("samples", sample_rows(samples(meter=["x"], project_id=[""]), late=1))


def test_every_route_is_described_and_no_other() -> None:
    described = {
        (method, path) for path, methods in description()["paths"].items() for method in methods
    }
    assert described == _routes(_app(Store(Database())))


def test_it_is_served_as_it_is() -> None:
    answer = bare_client().get("/openapi.json")
    assert orjson.loads(answer.data) == description()
    assert description()["openapi"].startswith("3.1")


def _answers_of(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = description()["paths"][path][method]["responses"]
    return found


def _check_answer(answer: Any, path: str, method: str) -> None:
    said = _answers_of(path, method)[str(answer.status_code)]
    if "$ref" in said:
        said = description()["components"]["responses"][said["$ref"].rsplit("/", 1)[1]]
    content = said["content"]["application/json"]
    whole = {**content["schema"], "components": description()["components"]}
    jsonschema_rs.validator_for(whole).validate(answer.get_json())


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/", "/"),
        ("/v2", "/v2"),
        ("/v2/capabilities", "/v2/capabilities"),
        ("/v2/meters", "/v2/meters"),
        ("/v2/meters", "/v2/meters?unique=true"),
        ("/v2/meters/{meter}", "/v2/meters/cpu"),
        ("/v2/meters/{meter}/statistics", "/v2/meters/cpu/statistics"),
        ("/v2/meters/{meter}/statistics", "/v2/meters/cpu/statistics?groupby=project_id&period=60"),
        (
            "/v2/meters/{meter}/statistics",
            "/v2/meters/cpu/statistics?aggregate.func=stddev&aggregate.func=cardinality"
            "&aggregate.param=&aggregate.param=resource_id",
        ),
        ("/v2/samples", "/v2/samples"),
        ("/v2/samples/{sample}", "/v2/samples/cpu-1"),
        ("/v2/resources", "/v2/resources"),
        ("/v2/resources/{resource}", "/v2/resources/vm0"),
        ("/v2/events", "/v2/events"),
        ("/v2/events/{message_id}", "/v2/events/m1"),
        ("/v2/event_types", "/v2/event_types"),
        (
            "/v2/event_types/{event_type}/traits",
            "/v2/event_types/compute.instance.create.end/traits",
        ),
        (
            "/v2/event_types/{event_type}/traits/{trait}",
            "/v2/event_types/compute.instance.create.end/traits/n",
        ),
        ("/v1/invalid", "/v1/invalid"),
        ("/v1/invalid/{name}", "/v1/invalid/i2"),
        ("/v1/status", "/v1/status"),
        ("/v1/usage", "/v1/usage?limit=1"),
        ("/v1/usage", "/v1/usage?groupby=project_id&groupby=start"),
        ("/v1/usage/gaps", "/v1/usage/gaps?start=2026-11-01&end=2026-12-01&limit=3"),
        ("/v1/late", "/v1/late"),
    ],
)
def test_an_answer_is_as_described(path: str, asked: str, app: Flask) -> None:
    answer = app.test_client().get(asked)
    assert answer.status_code == 200
    assert answer.get_json() not in ([], {})
    _check_answer(answer, path, "get")


def test_pushed_and_queried_samples_are_as_described(app: Flask) -> None:
    client = app.test_client()
    sample = {
        "counter_name": "a.b",
        "counter_type": "gauge",
        "counter_unit": "x",
        "resource_id": "r",
    }
    pushed = client.post("/v2/meters/a.b", json=[{**sample, "counter_volume": 1}])
    assert pushed.status_code == 201
    _check_answer(pushed, "/v2/meters/{meter}", "post")
    queried = client.post("/v2/query/samples", json={"filter": '{"=": {"meter": "cpu"}}'})
    assert len(queried.get_json()) == 9
    _check_answer(queried, "/v2/query/samples", "post")


def test_a_restatement_is_as_described(app: Flask) -> None:
    body = {"start": "2026-11-22", "end": "2026-11-23", "apply": True}
    answer = app.test_client().post("/v1/usage/restate", json=body)
    assert answer.get_json()["rows"] == 1
    _check_answer(answer, "/v1/usage/restate", "post")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v2/samples", "/v2/samples?limit=0"),
        ("/v2/events/{message_id}", "/v2/events/none"),
        ("/v2/event_types/{event_type}", "/v2/event_types/x"),
        ("/v1/invalid/{name}", "/v1/invalid/none"),
    ],
)
def test_a_failure_is_as_described(path: str, asked: str, app: Flask) -> None:
    answer = app.test_client().get(asked)
    assert answer.status_code >= 400
    _check_answer(answer, path, "get")


OPERATIONS = [
    (path, method) for path, methods in description()["paths"].items() for method in methods
]


@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_asked_is_answered_as_described(
    path: str, method: str, mode: schemathesis.GenerationMode, app: Flask
) -> None:
    operation = schemathesis.openapi.from_wsgi("/openapi.json", app)[path][method]

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing can be wrong with it
