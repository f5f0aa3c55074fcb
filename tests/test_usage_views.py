"""Usage for analysts: the views say what the API says, whatever periods there are."""

from typing import Any

import pytest

from metering.config import Config
from store.client import Store
from store.queries.predicate import AllOf
from store.queries.run import Bounds, run_table
from store.queries.usage import UsageQuery, UsageScope
from store.rows import insert_final, insert_samples, insert_usage, sample_rows
from tests.tables import samples, usage_rows

START = 1_795_003_200  # s; 2026-11-18T12:00:00


def view(store: Store, name: str) -> list[dict[str, Any]]:
    sql = f"SELECT * EXCEPT (start, `end`), toUnixTimestamp(start) AS s, toUnixTimestamp(`end`) AS e FROM {store.name}.{name} ORDER BY meter, s"
    return list(store.query(sql).named_results())


def api_rows(store: Store, period: int) -> list[dict[str, Any]]:
    api = Config().api
    query = UsageQuery(UsageScope(AllOf([]), period), 100)
    found = run_table(store, query, Bounds(api.query_seconds, api.query_memory)).to_pylist()
    for row in found:
        row |= {"s": row.pop("start").timestamp(), "e": row.pop("end").timestamp()}
        row |= {name: row[name] or "" for name in ("project_id", "user_id")}
    return found


@pytest.fixture
def filled(store: Store) -> Store:
    """Rows of an hour, a day and a quarter; final, open and restated; gauges, deltas, counters."""
    insert_usage(
        store,
        usage_rows(
            {"meter": "a", "usage": 2.5, "covered": 1800.0, "cadence": 600_000},
            {"meter": "a", "start": START + 3600, "covered": 0.0, "project_id": ""},
            {"meter": "b", "type": "delta", "covered": None, "restated": 1, "segment": "x=y"},
            {"meter": "c", "type": "cumulative", "count": 0, "first": None, "min": None},
            {"meter": "d", "period": 86400, "start": START - 12 * 3600, "usage": 7.0},
            {"meter": "e", "period": 900},
            {"meter": "f", "is_deleted": 1},
        ),
    )
    insert_final(store, range(2), 2, (START + 3600) * 1000, START * 1000)
    insert_final(store, [1], 2, (START + 3601) * 1000, START * 1000)
    return store


@pytest.mark.parametrize(
    ("name", "period", "meters"),
    [("v_usage_hourly", 3600, ["a", "a", "b", "c"]), ("v_usage_daily", 86400, ["d"])],
)
def test_a_view_says_what_the_api_says(
    filled: Store, name: str, period: int, meters: list[str]
) -> None:
    found = view(filled, name)
    assert [row["meter"] for row in found] == meters
    assert found == sorted(api_rows(filled, period), key=lambda row: (row["meter"], row["s"]))


def test_a_row_has_its_state_average_and_share_seen(filled: Store) -> None:
    found = view(filled, "v_usage_hourly")
    keys = ("state", "average", "expected", "complete")
    assert [tuple(row[key] for key in keys) for row in found] == [
        ("final", 5.0, 6, 0.5),
        ("open", None, None, 0.0),
        ("restated", None, None, None),
        ("final", None, None, 1.0),
    ]


def test_a_sample_says_whether_it_is_in_usage(store: Store) -> None:
    insert_samples(store, samples(resource_id=["in time"]))
    store.insert("samples", sample_rows(samples(resource_id=["late"]), late=1))
    store.insert("samples", sample_rows(samples(resource_id=["restated"]), late=2))
    found = store.query(f"SELECT resource_id, late FROM {store.name}.v_samples ORDER BY 1")
    assert found.result_rows == [("in time", ""), ("late", "late"), ("restated", "restated")]
