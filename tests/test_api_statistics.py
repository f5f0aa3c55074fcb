"""/v2/meters/{name}/statistics: every aggregate, groups, periods, the range of the query."""

from typing import Any

import pytest

from store.client import Store
from tests.api import ALICE, bare_client, client, fault, fill, fleet, ms


def statistics(store: Store, query: str = "", meter: str = "cpu") -> list[dict[str, Any]]:
    answer = client(store).get(f"/v2/meters/{meter}/statistics?{query}")
    assert answer.status_code == 200, answer.get_json()
    found = answer.get_json()
    assert isinstance(found, list)
    return found


def test_one_statistics_covers_all_samples(store: Store) -> None:
    fleet(store)
    fleet(store)  # a repeat counts once
    assert statistics(store) == [
        {
            "unit": "ns",
            "min": 0.0,
            "max": 8.0,
            "avg": 4.0,
            "sum": 36.0,
            "count": 9,
            "groupby": None,
            "duration": 120.0,
            "duration_start": "2026-11-22T10:00:00",
            "duration_end": "2026-11-22T10:02:00",
            "period": 0,
            "period_start": "2026-11-22T10:00:00",
            "period_end": "2026-11-22T10:02:00",
        }
    ]


@pytest.mark.parametrize("query", ["", "period=60", "groupby=user_id", "aggregate.func=count"])
def test_no_samples_have_no_statistics(store: Store, query: str) -> None:
    assert statistics(store, query) == []


def test_only_the_aggregates_asked_for_are_answered(store: Store) -> None:
    fleet(store)
    query = "&".join(
        (
            "aggregate.func=cardinality&aggregate.param=resource_id",
            "aggregate.func=cardinality&aggregate.param=project_id",
            "aggregate.func=stddev&aggregate.func=max&aggregate.func=count&aggregate.func=max",
        )
    )
    (found,) = statistics(store, query)
    assert found["aggregate"] == {
        "cardinality/resource_id": 3.0,
        "cardinality/project_id": 2.0,
        "stddev": pytest.approx((60 / 9) ** 0.5),
        "max": 8.0,
        "count": 9.0,
    }
    assert (found["max"], found["count"]) == (8.0, 9)
    assert not {"min", "avg", "sum", "stddev"} & set(found)


@pytest.mark.parametrize(
    ("func", "value"),
    [("avg", 4.0), ("count", 9.0), ("max", 8.0), ("min", 0.0), ("sum", 36.0)],
)
def test_each_aggregate_can_be_asked_for(store: Store, func: str, value: float) -> None:
    fleet(store)
    (found,) = statistics(store, f"aggregate.func={func}")
    assert found["aggregate"] == {func: value}
    assert found[func] == value


@pytest.mark.parametrize(
    ("groupby", "sums"),
    [
        ("groupby=project_id", [({"project_id": "p1"}, 21.0), ({"project_id": "p2"}, 15.0)]),
        (
            "groupby=project_id&groupby=user_id&groupby=project_id",
            [
                ({"project_id": "p1", "user_id": "alice"}, 9.0),
                ({"project_id": "p1", "user_id": "bob"}, 12.0),
                ({"project_id": "p2", "user_id": "carol"}, 15.0),
            ],
        ),
        ("groupby=source", [({"source": "openstack"}, 36.0)]),
        (
            "groupby=resource_metadata.instance_type",
            [
                ({"resource_metadata.instance_type": "1"}, 9.0),
                ({"resource_metadata.instance_type": "2"}, 12.0),
                ({"resource_metadata.instance_type": None}, 15.0),
            ],
        ),
    ],
)
def test_statistics_are_grouped(store: Store, groupby: str, sums: list[Any]) -> None:
    fleet(store)
    assert [(one["groupby"], one["sum"]) for one in statistics(store, groupby)] == sums


def test_an_unknown_owner_is_a_group_of_its_own(store: Store) -> None:
    fill(store, project_id=["", "p1"], resource_id=["a", "b"])
    found = statistics(store, "groupby=project_id")
    assert [one["groupby"] for one in found] == [{"project_id": None}, {"project_id": "p1"}]


def test_periods_start_with_the_query_and_empty_ones_are_left_out(store: Store) -> None:
    fleet(store)
    fill(store, meter=["cpu"], volume=[50.0], timestamp=[ms(600)], message_id=["late"])
    query = "q.field=timestamp&q.op=ge&q.value=2026-11-22T09:59:30&period=60&groupby=resource_id"
    found = statistics(store, f"{query}&q.field=resource_id&q.value=vm0")
    found += statistics(store, f"{query}&q.field=resource_id&q.value=r")
    assert [(one["period_start"], one["period_end"], one["count"]) for one in found] == [
        ("2026-11-22T09:59:30", "2026-11-22T10:00:30", 1),
        ("2026-11-22T10:00:30", "2026-11-22T10:01:30", 1),
        ("2026-11-22T10:01:30", "2026-11-22T10:02:30", 1),
        ("2026-11-22T10:09:30", "2026-11-22T10:10:30", 1),
    ]
    assert {one["period"] for one in found} == {60}
    assert found[0]["duration_start"] == found[0]["duration_end"] == "2026-11-22T10:00:00"
    assert found[0]["duration"] == 0.0


def test_periods_start_with_the_first_sample_where_the_query_has_no_start(store: Store) -> None:
    fleet(store)
    found = statistics(store, "period=90&aggregate.func=count")
    assert [(one["period_start"], one["count"]) for one in found] == [
        ("2026-11-22T10:00:00", 6),
        ("2026-11-22T10:01:30", 3),
    ]


def test_durations_are_held_to_the_range_of_the_query(store: Store) -> None:
    fleet(store)
    times = "q.field=timestamp&q.op=ge&q.value=2026-11-22T10:00:30"
    times += "&q.field=timestamp&q.op=le&q.value=2026-11-22T10:01:30"
    (found,) = statistics(store, f"{times}&q.field=search_offset&q.value=1")
    assert found["count"] == 9
    assert (found["duration_start"], found["duration_end"], found["duration"]) == (
        "2026-11-22T10:00:30",
        "2026-11-22T10:01:30",
        60.0,
    )
    # Of the third minute all samples lie in the offset.
    (found,) = statistics(
        store,
        "q.field=timestamp&q.op=ge&q.value=2026-11-22T10:02:30&q.field=search_offset&q.value=1",
    )
    assert (found["duration_start"], found["duration_end"], found["duration"]) == (None,) * 3
    assert found["count"] == 3


def test_statistics_are_filtered_by_metadata(store: Store) -> None:
    fleet(store)
    (found,) = statistics(store, "q.field=metadata.flavor.name&q.value=m2")
    assert found["sum"] == 27.0


def test_others_than_admins_get_statistics_of_their_own_project(store: Store) -> None:
    fleet(store)
    found = client(store).get("/v2/meters/cpu/statistics", headers=ALICE).get_json()
    assert [one["sum"] for one in found] == [21.0]
    other = "/v2/meters/cpu/statistics?q.field=project_id&q.value=p2"
    assert client(store).get(other, headers=ALICE).status_code == 401


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("groupby=wat", 'Unknown argument: "wat": Invalid groupby fields'),
        ("groupby=resource_metadata.", 'Unknown argument: "resource_metadata.": Invalid groupby fields'),
        ("period=-1", "Period must be positive."),
        ("period=x", "Invalid input for field/attribute period. Value: 'x'. unable to convert to int"),
        ("period=10000000000", "Invalid period 10000000000: it is longer than a hundred years"),
        ("aggregate.func=median", "Invalid input for field/attribute aggregate.func. Value: 'median'. Value should be one of: avg, count, max, min, stddev, sum, cardinality"),
        ("aggregate.func=cardinality", "Invalid input for field/attribute aggregate.param. Value: ''. cardinality takes one of: resource_id, user_id, project_id, source"),
        ("aggregate.func=cardinality&aggregate.param=unit", "Invalid input for field/attribute aggregate.param. Value: 'unit'. cardinality takes one of: resource_id, user_id, project_id, source"),
        ("aggregate.param=unit", "Every aggregate.param needs its aggregate.func"),
        ("limit=5", 'Unknown argument: "limit"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_question_is_said(query: str, text: str) -> None:
    assert fault(bare_client().get(f"/v2/meters/cpu/statistics?{query}")) == (400, text)


def test_more_statistics_than_may_be_answered_are_refused_not_cut(store: Store) -> None:
    fleet(store)
    answer = client(store, api={"max_limit": 2}).get("/v2/meters/cpu/statistics?period=60")
    assert fault(answer) == (
        400,
        "More than 2 statistics (api.max_limit); ask for a longer period",
    )
