"""How the API asks the store: values as parameters, every query with a limit, along the key."""

import datetime as dt
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metering.config import Config, Database
from store.client import Store
from store.queries.predicate import AllOf, Compare, CompareMetadata
from store.queries.samples import SampleQuery
from store.queries.statistics import Aggregate, StatisticsQuery
from tests.api import ALICE, RecordingSpool, client
from webapi.app import create_app

MARK = "zz'Mark"


class Found:
    """A result without rows."""

    column_names = ()
    result_rows = ()


class ListeningStore(Store):
    """Remembers what it is asked and has no rows."""

    def __init__(self) -> None:
        super().__init__(Database())
        self.asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def client(self) -> Any:
        return self

    def query(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any]) -> Found:
        self.asked.append((sql, parameters, settings))
        return Found()


def listening() -> tuple[FlaskClient, ListeningStore]:
    store = ListeningStore()
    return create_app(Config(), store, RecordingSpool(), dict).test_client(), store


SIMPLE = "&".join(
    f"q.field={field}&q.op=eq&q.type=&q.value={MARK}"
    for field in ("resource", "user", "project", f"metadata.{MARK}")
)


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/meters?{SIMPLE}",
        f"/v2/meters?unique=1&{SIMPLE}",
        f"/v2/meters/{MARK}?{SIMPLE}",
        f"/v2/meters/{MARK}/statistics?{SIMPLE}&groupby=metadata.{MARK}&period=60",
        f"/v2/samples?{SIMPLE}&q.field=message_id&q.value={MARK}",
        f"/v2/samples/{MARK}",
        f"/v2/resources?{SIMPLE}",
        f"/v2/resources?{SIMPLE}&q.field=timestamp&q.op=gt&q.type=&q.value=2026-01-01",
        f"/v2/resources/{MARK}",
    ],
)
def test_what_a_request_says_is_a_parameter_and_never_sql(path: str) -> None:
    api, store = listening()
    assert api.get(path).status_code in (200, 404)
    assert store.asked
    for sql, parameters, bounds in store.asked:
        assert MARK not in sql
        assert MARK in parameters.values()
        assert " LIMIT {p" in sql
        assert bounds == {"max_execution_time": 30.0, "max_memory_usage": 512 * 1024**2}


def test_a_complex_query_is_parameters_too() -> None:
    api, store = listening()
    leaves = [{"=": {"meter": MARK}}, {"=~": {f"metadata.{MARK}": MARK}}, {"in": {"unit": [MARK]}}]
    body = {"filter": json.dumps({"or": leaves}), "orderby": '[{"unit": "desc"}]'}
    assert api.post("/v2/query/samples", json=body).status_code == 200
    ((sql, parameters, _),) = store.asked
    assert MARK not in sql
    assert "ORDER BY unit DESC, meter ASC, project_id ASC, resource_id ASC" in sql
    assert list(parameters.values()).count(MARK) == 4


def test_a_query_knows_its_sql() -> None:
    where = AllOf(
        [
            Compare("meter", "eq", "cpu"),
            Compare("timestamp", "ge", dt.datetime(2026, 11, 22, 10, 0, 0, 1500)),
            CompareMetadata("vcpus", "gt", 2),
        ]
    )
    sql, parameters = SampleQuery(where, 5).to_sql()
    assert sql.split(" WHERE ", 1)[1].split(" SETTINGS ")[0] == (
        "(meter = {p0:String})"
        " AND (timestamp >= fromUnixTimestamp64Milli({p1:Int64}, 'UTC'))"
        " AND (ifNull(toFloat64OrNull(JSONExtract(metadata, {p2:String}, 'Nullable(String)'))"
        " > {p3:Float64}, 0))"
        " ORDER BY timestamp DESC, meter ASC, project_id ASC, resource_id ASC, variant ASC"
        " LIMIT {p4:UInt32}"
    )
    assert parameters == {"p0": "cpu", "p1": 1795341600001, "p2": "vcpus", "p3": 2.0, "p4": 5}


def test_a_series_and_a_meter_are_found_by_the_key(store: Store) -> None:
    store.command(
        f"INSERT INTO {store.name}.samples (meter, project_id, resource_id, volume, timestamp)"
        " SELECT concat('m', toString(number % 10)), concat('p', toString(number % 7)),"
        " toString(number % 100), number, toDateTime64(1795000000 + number, 3) FROM numbers(500000)"
    )
    hour = [
        Compare("timestamp", "ge", dt.datetime(2026, 11, 20, 10)),
        Compare("timestamp", "lt", dt.datetime(2026, 11, 20, 11)),
    ]
    names = {"meter": "m3", "project_id": "p2", "resource_id": "33"}
    series = AllOf([*(Compare(name, "eq", value) for name, value in names.items()), *hour])
    meter = AllOf([Compare("meter", "eq", "m3"), *hour])
    average = StatisticsQuery(meter, [Aggregate("avg")], ["project_id"], 0, None, 100)
    assert _granules(store, SampleQuery(series, 10)) <= 2
    assert _granules(store, average) <= 8


def _granules(store: Store, query: SampleQuery | StatisticsQuery) -> int:
    sql, parameters = query.to_sql()
    explained = store.client().query(
        "EXPLAIN indexes = 1 " + sql.replace("{database}", store.name), parameters=parameters
    )
    lines = [str(row[0]).strip(" │├└─") for row in explained.result_rows]
    read = [line for line in lines if line.startswith("Parts: ") and "Granules: " in line]
    assert read, lines
    return int(read[0].rsplit("Granules: ", 1)[1])


@pytest.fixture
def api(store: Store) -> FlaskClient:
    return client(store)


_FIELDS = ["timestamp", "metadata.a", "resource", "message_id", "search_offset"]
_VALUES = ["2026-11-22T10:00:00", "1e400", "-1", "9" * 30, "key-W10"]
_WORD = st.sampled_from([*_FIELDS, *_VALUES, "eq", "lt", "integer", "datetime", "boolean"])
_PART = st.one_of(_WORD, st.text(max_size=8))
_ARGUMENTS = st.lists(
    st.tuples(
        st.sampled_from(["q.field", "q.op", "q.value", "q.type", "limit", "period", "groupby"]),
        _PART,
    ),
    max_size=8,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(["meters", "samples", "resources", "meters/cpu", "meters/cpu/statistics"]),
    arguments=_ARGUMENTS,
)
def test_any_arguments_are_answered_or_refused(
    api: FlaskClient, path: str, arguments: list[tuple[str, str]]
) -> None:
    query: dict[str, list[str]] = {}
    for name, value in arguments:
        query.setdefault(name, []).append(value)
    for headers in ({}, ALICE):
        answer = api.get(f"/v2/{path}", query_string=query, headers=headers)
        assert answer.status_code in (200, 400, 401), (query, answer.get_json())
