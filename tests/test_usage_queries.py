"""The SQL of questions on usage: what is bound, what is left out, and how pages go on."""

import re
from typing import Any

import pytest

from store.queries.finality import final_until
from store.queries.gaps import GapQuery
from store.queries.paging import Column, behind, text
from store.queries.predicate import AllOf, Compare, Rendering
from store.queries.usage import GroupedUsageQuery, UsageQuery, UsageScope

ALL = AllOf([])


def where(sql: str) -> str:
    """Return the outermost WHERE of a query."""
    return re.split(r" (?:GROUP|ORDER) BY ", sql.rsplit(" WHERE ", 1)[1])[0]


@pytest.mark.parametrize(
    ("scope", "condition", "parameters"),
    [
        (UsageScope(ALL, 3600), "(1) AND period = {p0:UInt32} AND 1", {"p0": 3600}),
        (
            UsageScope(ALL, 60, 5, 9),
            "(1) AND period = {p0:UInt32} AND start >= toDateTime({p1:UInt32}, 'UTC')"
            " AND start < toDateTime({p2:UInt32}, 'UTC') AND 1",
            {"p0": 60, "p1": 5, "p2": 9},
        ),
        (
            UsageScope(Compare("meter", "eq", "cpu"), 60),
            "(meter = {p0:String}) AND period = {p1:UInt32} AND 1",
            {"p0": "cpu", "p1": 60},
        ),
        (
            UsageScope(ALL, 60, only_final=True),
            "(1) AND period = {p0:UInt32} AND 1 AND NOT start + period > final_until",
            {"p0": 60},
        ),
        (UsageScope(ALL, 60, as_of=7), "is_deleted = 0 AND 1", {"p0": 60, "p1": 7}),
    ],
)
def test_a_scope_is_a_condition(
    scope: UsageScope, condition: str, parameters: dict[str, Any]
) -> None:
    for query in (UsageQuery(scope, 10), GroupedUsageQuery(scope, ["start"], 10)):
        sql, bound = query.to_sql()
        assert where(sql) == condition
        assert bound == parameters | {f"p{len(parameters)}": 10}


def test_what_was_known_is_the_newest_version_by_then() -> None:
    sql, _ = UsageQuery(UsageScope(ALL, 60, as_of=7), 1).to_sql()
    assert "usage_versions WHERE (1) AND period = {p0:UInt32} AND version <= {p1:UInt64}" in sql
    assert "version DESC LIMIT 1 BY meter, period" in sql
    assert sql.count("at <= fromUnixTimestamp64Milli(toInt64({p1:UInt64}), 'UTC')") == 1


def test_groups_come_with_what_is_never_added_up() -> None:
    query = GroupedUsageQuery(UsageScope(ALL, 60), ["start", "meter"], 1)
    assert [column.name for column in query.key] == ["start", "meter", "type", "unit"]
    assert list(query.columns[:4]) == ["meter", "type", "unit", "period"]
    assert " GROUP BY start, meter, type, unit ORDER BY " in query.to_sql()[0]


@pytest.mark.parametrize(
    ("marker", "condition"),
    [
        (None, "1"),
        (
            ["x", 5],
            "(meter > {p1:String} OR (meter = {p1:String} AND (at > {p0:Int64} OR (at = {p0:Int64} AND 0))))",
        ),
    ],
)
def test_what_is_behind_a_marker_is_told_column_by_column(
    marker: list[str | int] | None, condition: str
) -> None:
    into = Rendering({})
    assert behind(into, (*text("meter"), Column("at", "at", "Int64")), marker) == condition
    assert list(into.parameters.values()) == ([] if marker is None else [5, "x"])


def test_nothing_is_final_now_by_what_became_known_later() -> None:
    assert "WHERE 1 GROUP" in final_until()
    assert "WHERE at <= T GROUP" in final_until("T")


@pytest.mark.parametrize(
    ("ends", "regex"),
    [
        ([], "$^."),
        (["*.delete.end"], r"^.*\.delete\.end$"),
        (["a?", "[xy].*.z"], r"^a.$|^[xy]\..*\.z$"),
    ],
)
def test_patterns_of_ends_are_regular_expressions(ends: list[str], regex: str) -> None:
    _, bound = GapQuery(ALL, 3600, 0, 1, 5, ends, {}, 10).to_sql()
    assert regex in bound.values()
