"""POST /v1/usage/restate: what is asked of the engine, and how its answers are told."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from metering.config import Config, Database
from metering.restatement import RestateError, Restatement, RestateScope, SumChange
from store.client import Store
from tests.api import ALICE, RecordingSpool, bare_client, fault, ms
from webapi.app import create_app

RANGE = {"start": "2026-11-22T10:00:00", "end": "2026-11-22T12:00:00"}


class Engine:
    """Remembers what it was asked; refuses with `error` where one is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[RestateScope, bool]] = []
        self.error: str | None = None

    def __call__(self, scope: RestateScope, apply: bool) -> Restatement:
        self.asked.append((scope, apply))
        if self.error:
            raise RestateError(self.error)
        return Restatement(2, [SumChange("cpu", "", 3600, 2, 1.5, 2.0)], apply)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def api(engine: Engine) -> FlaskClient:
    app = create_app(Config(), Store(Database()), RecordingSpool(), dict, engine)
    return app.test_client()


def test_what_would_change_is_told(api: FlaskClient, engine: Engine) -> None:
    answer = api.post("/v1/usage/restate", json=RANGE | {"meter": "cpu", "project": "p1"})
    change = {"meter": "cpu", "project_id": None, "period": 3600}
    assert answer.get_json() == {
        "rows": 2,
        "sums": [change | {"rows": 2, "before": 1.5, "after": 2.0}],
        "applied": False,
    }
    assert engine.asked == [(RestateScope(ms(0), ms(7200), "cpu", "p1"), False)]


def test_it_is_written_where_asked(api: FlaskClient, engine: Engine) -> None:
    answer = api.post("/v1/usage/restate", json=RANGE | {"apply": True, "meter": None})
    assert answer.get_json()["applied"] is True
    assert engine.asked == [(RestateScope(ms(0), ms(7200)), True)]


def test_what_cannot_be_done_is_told(api: FlaskClient, engine: Engine) -> None:
    engine.error = "another restatement runs; wait for it"
    assert fault(api.post("/v1/usage/restate", json=RANGE)) == (409, engine.error)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "The body must be an object with start, end, meter, project, apply"),
        ({}, "The body needs start, a time"),
        ({"start": "2026-01-01"}, "The body needs end, a time"),
        (RANGE | {"start": "x"}, "Invalid input for field/attribute start. Value: 'x'. invalid timestamp format"),
        (RANGE | {"end": 5}, "Invalid input for field/attribute end. Value: '5'. invalid timestamp format"),
        (RANGE | {"end": RANGE["start"]}, "Invalid input for field/attribute end. Value: '2026-11-22T10:00:00'. it must be later than start"),
        (RANGE | {"meter": 1}, "Invalid input for field/attribute meter. Value: '1'. it is text"),
        (RANGE | {"apply": "yes"}, "Invalid input for field/attribute apply. Value: 'yes'. it is true or false"),
        (RANGE | {"resource": "r"}, 'Unknown argument: "resource"'),
    ],
)  # fmt: skip
def test_a_bad_body_is_told(api: FlaskClient, engine: Engine, body: Any, text: str) -> None:
    assert fault(api.post("/v1/usage/restate", json=body)) == (400, text)
    assert engine.asked == []


def test_a_body_that_is_no_json_is_told(api: FlaskClient) -> None:
    status, text = fault(api.post("/v1/usage/restate", data="{"))
    assert (status, text.startswith("The body is no JSON: ")) == (400, True)


def test_it_is_for_admins(api: FlaskClient, engine: Engine) -> None:
    assert fault(api.post("/v1/usage/restate", json=RANGE, headers=ALICE))[0] == 401
    assert engine.asked == []


def test_without_a_job_it_is_not_served() -> None:
    status, text = fault(bare_client().post("/v1/usage/restate", json=RANGE))
    assert (status, text.startswith("Restating is not served here")) == (503, True)
