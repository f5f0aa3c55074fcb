"""Statistics from usage windows where the question allows: far fewer rows than its samples.

A final window holds every sample of its time but the late ones that were not restated. So final
windows, those late samples, and the samples beside the windows are all there are.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from metering.tiling import Span, tiled
from store.queries.finality import final_until
from store.queries.late import UNRESTATED
from store.queries.predicate import AllOf, Compare, Predicate, Rendering, milliseconds
from store.queries.run import Query
from store.queries.samples import FINAL_SETTINGS
from store.queries.statistics import StatisticsQuery
from store.queries.usage import LABELS

_AGGREGATES: Final = {
    "avg": "sum(total) / sum(n)",
    "count": "sum(n)",
    "max": "max(most)",
    "min": "min(least)",
    "sum": "sum(total)",
}
_GROUPS: Final = frozenset({"user_id", "resource_id", "project_id"})
_GROWTH: Final = frozenset({"avg", "sum"})  # a counter's windows hold its growth, not its volumes
_WORTH: Final = 4  # samples a window must hold on average: its row is as wide as so many of theirs
_LOOKED_AT: Final = 10_000  # rows, to tell how many samples a window holds
_FIRST: Final = -2_208_988_800_000  # ms; from here to _LAST the engine reaches
_LAST: Final = 10_413_705_600_000  # ms
_WINDOW: Final = (
    "count AS n, sum AS total, min AS least, max AS most, first_at AS begun, last_at AS ended, unit"
)
_SAMPLE: Final = "1 AS n, volume AS total, volume AS least, volume AS most, timestamp AS begun, timestamp AS ended, unit"
_BEGINS: Final = "toInt64(toUnixTimestamp(start)) * 1000"
_SAMPLED: Final = "toUnixTimestamp64Milli(timestamp)"


@dataclasses.dataclass(frozen=True, slots=True)
class ReachQuery:
    """What windows there are for a question on samples of [low, high) (ms).

    Shape: -> one row [until, since, counters, density]: up to when windows are final (ms), the
        periods and since when each is complete (s), whether any row is of a counter, samples a second.
    """

    where: Predicate  # on LABELS
    low: int
    high: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(LABELS)
        usage = f"FROM {{database}}.usage WHERE ({self.where.to_sql(into)})"
        some = f"SELECT count AS n {usage} AND period = longest LIMIT {_LOOKED_AT}"
        sql = (
            "WITH (SELECT groupArray((period, toUnixTimestamp(since))) FROM {database}.usage_since"
            " FINAL) AS since, arrayMax(arrayMap(one -> one.1, since)) AS longest"
            f" SELECT toUnixTimestamp64Milli({final_until()}) AS until, since,"
            f" (SELECT count() FROM (SELECT 1 {usage} AND type = 'cumulative' LIMIT 1)) AS counters,"
            f" (SELECT avg(n) FROM ({some})) / longest AS density"
        )
        return sql, into.parameters


def reach_query(query: StatisticsQuery) -> ReachQuery | None:
    """Return what to ask first for a question that windows may answer; None where only samples can."""
    if not _allows(query):
        return None
    low, high = _FIRST, _LAST
    labels: list[Predicate] = []
    for part in _parts(query.where):
        if not isinstance(part, Compare):
            return None
        if part.field in LABELS and part.op == "eq":
            labels.append(part)
        elif part.field == "timestamp" and part.op in ("ge", "gt"):
            low = max(low, _moment(part) + (part.op == "gt"))
        elif part.field == "timestamp" and part.op in ("le", "lt"):
            high = min(high, _moment(part) + (part.op == "le"))
        else:
            return None
    return ReachQuery(AllOf(labels), low, high)


def over_windows(query: StatisticsQuery, reach: ReachQuery, found: Mapping[str, Any]) -> Query:
    """Return the query that answers the same from windows, or itself where there are none to use."""
    growth = {one.func for one in query.aggregates} & _GROWTH
    if growth and found["counters"]:
        return query
    since = [
        (period * 1000, moment * 1000)
        for period, moment in found["since"]
        if _fits(query, period * 1000) and (found["density"] or 0) * period >= _WORTH
    ]
    spans = tiled(reach.low, reach.high, since, found["until"])
    if not any(span.period for span in spans):
        return query
    return WindowedStatisticsQuery(query, reach.where, spans)


@dataclasses.dataclass(frozen=True, slots=True)
class WindowedStatisticsQuery:
    """The same aggregates, over windows and the samples that are in none. Shape: as StatisticsQuery"""

    query: StatisticsQuery
    where: Predicate  # on LABELS
    spans: Sequence[Span]

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into, query = Rendering(LABELS), self.query
        groups = [f"{field} AS group{i}" for i, field in enumerate(query.groupby)]
        names = ["bucket", *(f"group{i}" for i in range(len(groups)))]
        columns = [*names, *(_aggregate(i, one.func) for i, one in enumerate(query.aggregates))]
        origin = into.bind("Int64", 0 if query.start is None else milliseconds(query.start))
        rows = " UNION ALL ".join(self._branches(groups, origin, into))
        sql = (
            f"SELECT {', '.join(columns)}, {origin} AS origin_, max(unit) AS unit_,"
            f" assumeNotNull(min(begun)) AS first, assumeNotNull(max(ended)) AS last FROM ({rows})"
            f" GROUP BY {', '.join(names)} ORDER BY {', '.join(names)}"
            f" LIMIT {into.bind('UInt32', query.limit)} {FINAL_SETTINGS}"
        )
        return sql, into.parameters

    def _branches(self, groups: list[str], origin: str, into: Rendering) -> Iterator[str]:
        """Yield what selects the windows, the late samples in their time, and the samples beside them."""
        within = [span for span in self.spans if span.period]
        beside = [span for span in self.spans if not span.period]
        where = f"WHERE ({self.where.to_sql(into)}) AND"

        def select(at: str, columns: str) -> str:
            return f"SELECT {', '.join([f'{self._bucket(at, origin, into)} AS bucket', *groups, columns])}"

        windows, samples = select(_BEGINS, _WINDOW), select(_SAMPLED, _SAMPLE)
        samples += f" FROM {{database}}.samples FINAL {where}"
        yield f"{windows} FROM {{database}}.usage FINAL {where} ({_windows(within, into)}) AND count > 0"
        yield f"{samples} ({_times(within, into)}) AND {UNRESTATED}"
        if beside:
            yield f"{samples} ({_times(beside, into)})"

    def _bucket(self, at: str, origin: str, into: Rendering) -> str:
        if not self.query.period:
            return "0"
        return f"intDiv({at} - {origin}, {into.bind('Int64', self.query.period * 1000)})"


def _allows(query: StatisticsQuery) -> bool:
    asked = {one.func for one in query.aggregates}
    return (
        asked <= _AGGREGATES.keys()
        and _GROUPS.issuperset(query.groupby)
        and (not query.period or query.start is not None)
    )


def _fits(query: StatisticsQuery, period: int) -> bool:
    """Return whether windows of a period (ms) never lie in two of the question's periods."""
    if not query.period or query.start is None:
        return True
    return query.period * 1000 % period == 0 and milliseconds(query.start) % period == 0


def _parts(where: Predicate) -> Iterator[Predicate]:
    if isinstance(where, AllOf):
        for part in where.parts:
            yield from _parts(part)
    else:
        yield where


def _moment(part: Compare) -> int:
    assert isinstance(part.value, dt.datetime)
    return milliseconds(part.value)


def _aggregate(number: int, func: str) -> str:
    return f"{_AGGREGATES[func]} AS aggregate{number}"


def _windows(spans: Sequence[Span], into: Rendering) -> str:
    def bound(ms: int) -> str:
        return f"toDateTime({into.bind('UInt32', ms // 1000)}, 'UTC')"

    return " OR ".join(
        f"period = {into.bind('UInt32', span.period // 1000)}"
        f" AND start >= {bound(span.start)} AND start < {bound(span.end)}"
        for span in spans
    )


def _times(spans: Sequence[Span], into: Rendering) -> str:
    def bound(ms: int) -> str:
        return f"fromUnixTimestamp64Milli({into.bind('Int64', ms)}, 'UTC')"

    return " OR ".join(
        f"timestamp >= {bound(span.start)} AND timestamp < {bound(span.end)}" for span in spans
    )
