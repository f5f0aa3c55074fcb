"""Statistics from usage windows say what the samples would say."""

import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.config import Config, Database
from store.client import Store
from store.queries.predicate import AllOf, AnyOf, Compare, CompareMetadata, Predicate
from store.queries.run import Bounds, Query, run
from store.queries.statistics import STANDARD, Aggregate, StatisticsQuery
from store.queries.windowed import WindowedStatisticsQuery, over_windows, reach_query
from store.rows import insert_final, insert_usage, sample_rows
from store.usage_since import keep_usage_since
from tests.api import client
from tests.stores import migrated
from tests.tables import samples, usage_rows
from tests.usage.oracle import Sample, Settings, usage

HOUR, DAY = 3600, 86_400  # s
MIDNIGHT = 1_795_305_600  # s; 2026-11-22T00:00
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Came:
    """A sample, and whether it came late (1) and was restated since (2)."""

    sample: Sample
    late: int = 0


def at(hours: float) -> dt.datetime:
    """Return the time so many hours after midnight."""
    return dt.datetime(2026, 11, 22) + dt.timedelta(hours=hours)


def gauge(
    hours: float, volume: float, resource: str = "r", project: str = "p", **told: Any
) -> Sample:
    moment = round((MIDNIGHT + hours * HOUR) * 1000)
    plain = {"meter": "m", "type": "gauge", "unit": "B", "user_id": "u"} | told
    return Sample(
        volume=volume, project_id=project, resource_id=resource, timestamp_ms=moment, **plain
    )


def put(store: Store, came: list[Came], until: float = 48) -> None:
    """Put in samples, and their usage rows of hours and days, final so many hours after midnight."""
    for late in (0, 1, 2):
        some = [one.sample for one in came if one.late == late]
        columns: dict[str, list[Any]] = {
            "meter": [s.meter for s in some],
            "type": [s.type for s in some],
            "unit": [s.unit for s in some],
            "volume": [s.volume for s in some],
            "project_id": [s.project_id for s in some],
            "user_id": [s.user_id for s in some],
            "resource_id": [s.resource_id for s in some],
            "timestamp": [s.timestamp_ms for s in some],
            "message_id": [f"{s.meter}-{i}" for i, s in enumerate(some)],
        }
        if some:
            store.insert("samples", sample_rows(samples(**columns), late))
    known = [one.sample for one in came if one.late != 1]
    names = usage_rows({}).column_names
    told = [row._asdict() for row in usage(known, None, Settings())]
    rows = [{name: row[name] for name in names if name in row} for row in told]
    if rows:
        insert_usage(store, usage_rows(*rows))
    insert_final(store, [0], 1, round((MIDNIGHT + until * HOUR) * 1000), 0)


def question(*parts: Predicate, meter: str = "m", **told: Any) -> StatisticsQuery:
    """Return all aggregates of a meter, but for what is told."""
    start = next((p.value for p in parts if isinstance(p, Compare) and p.op in ("ge", "gt")), None)
    plain = {"groupby": (), "period": 0, "limit": 10_000, "start": start}
    plain["aggregates"] = [Aggregate(name) for name in STANDARD]
    where = AllOf([Compare("meter", "eq", meter), AllOf(parts)])
    return StatisticsQuery(where=where, **(plain | told))


def ask(store: Store, query: Query) -> list[dict[str, Any]]:
    api = Config().api
    return run(store, query, Bounds(api.query_seconds, api.query_memory))


def windowed(store: Store, query: StatisticsQuery) -> Query:
    """Return what is asked instead, however few samples a window holds."""
    reach = reach_query(query)
    return (
        query
        if reach is None
        else over_windows(query, reach, ask(store, reach)[0] | {"density": 1.0})
    )


@pytest.fixture
def days(store: Store) -> Store:
    """Three days of two resources, a sample each quarter of an hour, and since when usage is kept."""
    keep_usage_since(store, [HOUR, DAY])
    quarters = [quarter / 4 for quarter in range(4 * 72)]
    put(store, [Came(gauge(q, q, r, f"p{r}")) for q in quarters for r in ("a", "b")], until=72)
    return store


def since(hours: float, op: str = "ge") -> Compare:
    return Compare("timestamp", op, at(hours))


WHOLE = (since(0), since(48, "lt"))


def covered(query: Query) -> list[tuple[float, float, int]]:
    """Return the spans of a question to windows: hours after midnight, and the period in s."""
    assert isinstance(query, WindowedStatisticsQuery)
    hours = [[(ms_ / 1000 - MIDNIGHT) / HOUR for ms_ in (s.start, s.end)] for s in query.spans]
    return [
        (start, end, s.period // 1000) for (start, end), s in zip(hours, query.spans, strict=True)
    ]


def test_whole_days_are_answered_from_days(days: Store) -> None:
    query = windowed(days, question(*WHOLE))
    assert covered(query) == [(0, 48, DAY)]
    (found,) = ask(days, query)
    assert [found] == ask(days, question(*WHOLE))
    assert (found["aggregate4"], found["first"], found["last"]) == (384, at(0), at(47.75))


def test_hours_stand_beside_days_and_samples_beside_hours(days: Store) -> None:
    asked = question(since(0.5), since(50.5, "lt"))
    query = windowed(days, asked)
    assert covered(query) == [
        (0.5, 1, 0),
        (1, 24, HOUR),
        (24, 48, DAY),
        (48, 50, HOUR),
        (50, 50.5, 0),
    ]
    assert ask(days, query) == ask(days, asked)


def test_what_is_not_final_is_asked_of_samples(store: Store) -> None:
    keep_usage_since(store, [HOUR, DAY])
    put(store, [Came(gauge(hour, hour)) for hour in range(48)], until=30)
    query = windowed(store, question(since(0)))
    assert covered(query)[:2] == [(0, 24, DAY), (24, 30, HOUR)]
    assert ask(store, query) == ask(store, question(since(0)))
    assert ask(store, query)[0]["aggregate4"] == 48


@pytest.mark.parametrize(
    ("told", "period"),
    [
        ({"period": DAY}, DAY),
        ({"period": 2 * DAY}, DAY),
        ({"period": HOUR}, HOUR),
        ({"period": 5 * HOUR, "groupby": ["resource_id"]}, HOUR),
        ({"groupby": ["project_id", "user_id"], "aggregates": [Aggregate("max")]}, DAY),
    ],
    ids=str,
)
def test_windows_that_lie_in_one_period_are_used(
    days: Store, told: dict[str, Any], period: int
) -> None:
    query = windowed(days, question(*WHOLE, **told))
    assert covered(query) == [(0, 48, period)]
    assert ask(days, query) == ask(days, question(*WHOLE, **told))


@pytest.mark.parametrize(
    "told",
    [
        {"groupby": ["source"]},
        {"groupby": ["resource_metadata.a"]},
        {"period": 5400},
        {"period": HOUR, "start": at(0.5)},
        {"period": HOUR, "start": None},
        {"aggregates": [Aggregate("stddev")]},
        {"aggregates": [Aggregate("max"), Aggregate("cardinality", "resource_id")]},
        {"meter": "x", "aggregates": [Aggregate("sum")]},  # a counter: its windows hold growth
    ],
    ids=str,
)
def test_what_windows_do_not_know_is_asked_of_samples(days: Store, told: dict[str, Any]) -> None:
    put(days, [Came(gauge(1, 1, meter="x", type="cumulative"))], until=72)
    query = question(*WHOLE, **told)
    assert windowed(days, query) is query


def test_the_least_of_a_counter_is_asked_of_windows(days: Store) -> None:
    counter = [Came(gauge(h, v, meter="x", type="cumulative")) for h, v in ((1, 9), (2, 4), (3, 7))]
    put(days, counter, until=72)
    least = question(*WHOLE, meter="x", aggregates=[Aggregate("min"), Aggregate("count")])
    assert covered(windowed(days, least)) == [(0, 48, DAY)]
    assert ask(days, windowed(days, least)) == ask(days, least)


@pytest.mark.parametrize(
    "part",
    [
        CompareMetadata("a", "eq", 1),
        Compare("source", "eq", "openstack"),
        Compare("project_id", "ne", "p"),
        Compare("timestamp", "ne", dt.datetime(2026, 11, 22)),
        AnyOf([Compare("project_id", "eq", "p")]),
    ],
    ids=str,
)
def test_a_condition_on_more_than_labels_is_asked_of_samples(part: Predicate) -> None:
    assert reach_query(question(*WHOLE, part)) is None


def test_windows_too_sparse_to_be_worth_it_are_not_used(days: Store) -> None:
    asked = question(*WHOLE)
    reach = reach_query(asked)
    assert reach is not None
    (found,) = ask(days, reach)
    assert found["density"] * HOUR == 4.0  # two projects, each with four samples an hour
    assert over_windows(asked, reach, found | {"density": 3 / HOUR}) != asked
    assert covered(over_windows(asked, reach, found | {"density": 4 / DAY})) == [(0, 48, DAY)]
    assert over_windows(asked, reach, found | {"density": 3 / DAY}) == asked
    assert over_windows(asked, reach, found | {"density": None}) == asked


def test_samples_from_before_usage_was_kept_are_asked_for_themselves(store: Store) -> None:
    put(store, [Came(gauge(hour, hour)) for hour in range(30)], until=48)
    store.command(f"TRUNCATE TABLE {store.name}.usage")
    keep_usage_since(store, [HOUR, DAY])
    put(store, [Came(gauge(hour, hour)) for hour in range(30, 48)], until=48)
    query = windowed(store, question(*WHOLE))
    assert covered(query) == [(0, 30, 0), (30, 48, HOUR)]
    assert ask(store, query) == ask(store, question(*WHOLE))


def kept(store: Store) -> dict[int, int]:
    """Return since when each period is kept, in hours after midnight; 0 where always."""
    found = store.query(
        f"SELECT period, toUnixTimestamp(since) FROM {store.name}.usage_since FINAL"
    )
    return {period: second and (second - MIDNIGHT) // HOUR for period, second in found.result_rows}


def test_since_when_a_period_is_kept_is_remembered(store: Store) -> None:
    keep_usage_since(store, [HOUR])
    put(store, [Came(gauge(2, 1))])
    keep_usage_since(store, [HOUR, DAY])
    assert kept(store) == {HOUR: 0, DAY: 24}
    keep_usage_since(store, [DAY])
    put(store, [Came(gauge(25, 1))])
    keep_usage_since(store, [HOUR, DAY])
    assert kept(store) == {HOUR: 26, DAY: 24}


def test_the_api_answers_a_month_from_windows(days: Store) -> None:
    """It says the same whether or not windows answer, and late samples are in it."""
    put(days, [Came(gauge(5.1, 1000.0, "a", "pa"), late=1)], until=72)
    query = (
        "q.field=timestamp&q.op=ge&q.value=2026-11-22&q.field=timestamp&q.op=lt&q.value=2026-11-24"
    )
    path = f"/v2/meters/m/statistics?{query}&groupby=project_id"
    found = client(days).get(path).get_json()
    days.command(f"TRUNCATE TABLE {days.name}.usage_since")
    assert client(days).get(path).get_json() == found
    assert [(row["groupby"], row["count"], row["max"]) for row in found] == [
        ({"project_id": "pa"}, 193, 1000.0),
        ({"project_id": "pb"}, 192, 47.75),
    ]
    assert found[0]["duration_end"] == "2026-11-23T23:45:00"


def test_windows_tell_also_once_samples_are_gone(days: Store) -> None:
    days.command(f"TRUNCATE TABLE {days.name}.samples")
    query = "q.field=timestamp&q.op=ge&q.value=2026-11-22&aggregate.func=count"
    (found,) = client(days).get(f"/v2/meters/m/statistics?{query}").get_json()
    assert found["count"] == 2 * 4 * 72


@pytest.fixture(scope="module")
def law_store(engine_path: Path) -> Iterator[Store]:
    """One store for all examples of a law: each has a meter of its own."""
    with migrated(Database(path=engine_path, name="statistics_law")) as store:
        yield store


HOURS = st.one_of(st.integers(0, 60), st.integers(0, 60 * 60).map(lambda minute: minute / 60))
VOLUMES = st.integers(-(10**6), 10**6).map(float)


@st.composite
def pasts(draw: st.DrawFn, volumes: st.SearchStrategy[float]) -> list[Came]:
    """Return samples of a few series and owners, one a moment, some late."""
    kind = draw(st.sampled_from(("gauge", "cumulative", "delta")))
    moments = draw(st.lists(st.tuples(st.sampled_from("ab"), HOURS), unique=True, max_size=40))
    return [
        Came(
            gauge(
                *(hours, draw(volumes), resource, draw(st.sampled_from(("p", "q")))),
                type=kind,
                user_id=draw(st.sampled_from(("u", "v"))),
            ),
            draw(st.sampled_from((0, 0, 0, 1, 2))),
        )
        for resource, hours in moments
    ]


@st.composite
def questions(draw: st.DrawFn) -> StatisticsQuery:
    """Return a question that windows may answer, in part or not at all."""
    start, end = sorted((draw(HOURS), draw(HOURS)))
    bounds = [since(start, draw(st.sampled_from(("ge", "gt"))))]
    bounds += draw(st.sampled_from(([], [since(end, "lt")], [since(end, "le")])))
    bounds += draw(st.sampled_from(([], [Compare("project_id", "eq", "p")])))
    bounds += draw(st.sampled_from(([], [Compare("resource_id", "eq", "a")])))
    return question(
        *bounds,
        groupby=draw(
            st.lists(st.sampled_from(("user_id", "resource_id", "project_id")), unique=True)
        ),
        period=draw(st.sampled_from((0, HOUR, 3 * HOUR, DAY, 5400))),
        aggregates=[
            Aggregate(func)
            for func in draw(st.lists(st.sampled_from(STANDARD), unique=True, min_size=1))
        ],
    )


def both_ways(
    store: Store, past: list[Came], until: int, asked: StatisticsQuery
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what windows say and what samples say."""
    meter = f"m{next(_numbers)}"
    store.command(f"TRUNCATE TABLE {store.name}.usage_final")
    put(store, [Came(one.sample._replace(meter=meter), one.late) for one in past], until)
    assert isinstance(asked.where, AllOf)
    parts = [Compare("meter", "eq", meter), *asked.where.parts[1:]]
    query = dataclasses.replace(asked, where=AllOf(parts))
    return ask(store, windowed(store, query)), ask(store, query)


@given(pasts(VOLUMES), st.integers(0, 72), questions())
@settings(max_examples=150)
def test_windows_and_samples_say_the_same(
    law_store: Store, past: list[Came], until: int, asked: StatisticsQuery
) -> None:
    """To the bit: sums of whole numbers below 2^53 are exact in whatever order."""
    keep_usage_since(law_store, [HOUR, DAY])
    from_windows, from_samples = both_ways(law_store, past, until, asked)
    assert from_windows == from_samples


@given(pasts(st.floats(-1e9, 1e9)), st.integers(0, 72), questions())
@settings(max_examples=50)
def test_fractions_say_the_same_but_for_the_order_in_which_they_are_added(
    law_store: Store, past: list[Came], until: int, asked: StatisticsQuery
) -> None:
    """Each of n additions rounds by at most 2^-53 of the sum of what was added, without signs."""
    keep_usage_since(law_store, [HOUR, DAY])
    from_windows, from_samples = both_ways(law_store, past, until, asked)
    added = sum(abs(one.sample.volume) for one in past)
    for ours, theirs in zip(from_windows, from_samples, strict=True):
        for name, value in theirs.items():
            if isinstance(value, float):
                assert math.isclose(
                    ours[name], value, rel_tol=0, abs_tol=len(past) * 2**-52 * added
                )
            else:
                assert ours[name] == value
