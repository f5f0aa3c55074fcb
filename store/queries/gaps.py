"""What is missing from the samples of a time range, by series: from when, to when, and why.

What a series lets expect comes from its usage rows (their cadence), where that fails to come from its
samples; late samples that were not restated are missing from usage though they are stored.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Final

from store.queries.late import UNRESTATED
from store.queries.paging import Column, Key, Marker, behind, order_by, text
from store.queries.predicate import Predicate, Rendering
from store.queries.samples import FINAL_SETTINGS
from store.queries.usage import LABELS

REASONS: Final = ("no_samples", "silent", "reset", "late")
PATIENCE: Final = 1.5  # times its cadence: between neighbours farther apart a sample is missing
_LOOK_BACK: Final = 86_400  # s; how far before the range cadences are looked for

# Series that were there before the range ended and had samples since it began.
_SERIES: Final = """
    SELECT meter, resource_id, argMax(project_id, newest.timestamp) AS owner,
        argMax(newest.type, newest.timestamp) AS type,
        toUnixTimestamp64Milli(min(first)) AS born,
        toUnixTimestamp64Milli(max(newest.timestamp)) AS died
    FROM (SELECT * FROM {database}.latest FINAL) WHERE {where} GROUP BY meter, resource_id
    HAVING born < {end} AND died >= {start} AND type != 'delta'"""
_CADENCES: Final = """
    SELECT meter, resource_id, quantileExact(0.5)(cadence) AS usual
    FROM {database}.usage FINAL WHERE {where} AND period = {period} AND cadence > 0
        AND start >= toDateTime(intDiv({start}, 1000) - {look_back}, 'UTC')
        AND start < toDateTime(intDiv({end}, 1000), 'UTC')
    GROUP BY meter, resource_id"""
_POINTS: Final = """
    SELECT meter, resource_id,
        arraySort(groupArray((toUnixTimestamp64Milli(timestamp), volume, {ended}))) AS seen
    FROM {database}.samples FINAL WHERE {where} AND {within} AND late != 1
    GROUP BY meter, resource_id"""
# Neighbours: samples, and the edges of the range where the series goes on beyond them.
_FOUND: Final = """
    SELECT meter, resource_id, owner AS project_id, gap.1 AS since, gap.2 AS until, gap.3 AS why,
        gap.4 AS missing
    FROM (
        SELECT meter, resource_id, owner,
            if(usual > 0, usual * {patience}, {max_gap}) AS patience,
            arrayConcat(if(born < {start}, [({start}, inf, 0)], []), seen) AS before,
            arrayConcat(arrayPopFront(before), if(empty(before), [], [({end}, inf, 0)])) AS after,
            arrayFilter(n -> n.2.1 - n.1.1 > patience AND NOT n.1.3, arrayZip(before, after)) AS far,
            arrayFilter(n -> type = 'cumulative' AND n.1.2 != inf AND n.2.2 < n.1.2,
                arrayZip(before, after)) AS fallen,
            arrayConcat(
                arrayMap(n -> (n.1.1, n.2.1, if(n.2.1 < {end} OR died >= {end}, 'no_samples', 'silent'),
                    if(usual > 0, toInt64(round((n.2.1 - n.1.1) / usual)) - 1, NULL)), far),
                arrayMap(n -> (n.1.1, n.2.1, 'reset', NULL), fallen)
            ) AS gaps
        FROM ({series}) AS series
        LEFT JOIN ({cadences}) AS cadences USING (meter, resource_id)
        LEFT JOIN ({points}) AS points USING (meter, resource_id)
    ) ARRAY JOIN gaps AS gap"""
_LATE: Final = """
    SELECT meter, resource_id, project_id,
        intDiv(toUnixTimestamp64Milli(timestamp), {period} * 1000) * {period} * 1000 AS since,
        since + {period} * 1000 AS until, 'late' AS why, toNullable(toInt64(count())) AS missing
    FROM {database}.samples FINAL WHERE {where} AND {within} AND {unrestated}
    GROUP BY meter, resource_id, project_id, since"""
_SELECTED: Final = {
    **{name: f"toString({name})" for name in ("meter", "resource_id")},
    "project_id": "nullIf(toString(project_id), '')",
    "from": "fromUnixTimestamp64Milli(since, 'UTC')",
    "to": "fromUnixTimestamp64Milli(until, 'UTC')",
    **{name: name for name in ("why", "missing")},
}


@dataclasses.dataclass(frozen=True, slots=True)
class GapQuery:
    """What is missing in [start, end), the oldest first, behind a marker.

    Units: start, end and max_gap in ms, `period` (the shortest) in s. Of series whose cadence is not
    known a sample is expected every `max_gap`; behind an event type that is among `ends` none is, or
    among those of its meter, where it has any.
    """

    where: Predicate  # on LABELS
    period: int
    start: int
    end: int
    max_gap: int
    ends: Sequence[str]  # patterns
    ends_by_meter: Mapping[str, Sequence[str]]
    limit: int
    after: Marker | None = None

    @property
    def columns(self) -> Sequence[str]:
        """What the answer's columns are called."""
        return tuple(_SELECTED)

    @property
    def key(self) -> Key:
        """What rows are in the order of."""
        since, until = (
            Column(name, sql, "Int64") for name, sql in (("from", "since"), ("to", "until"))
        )
        return (since, *text("meter", "resource_id"), until, *text("why", "project_id"))

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(LABELS)
        parts = self._parts(into)
        for name, sql in (("series", _SERIES), ("cadences", _CADENCES), ("points", _POINTS)):
            parts[name] = sql.format(**parts).replace("{database}", "{database}")
        found = " UNION ALL ".join(sql.format(**parts) for sql in (_FOUND, _LATE))
        sql = (
            f"SELECT {', '.join(_SELECTED.values())} FROM ({found})"
            f" WHERE {behind(into, self.key, self.after)} ORDER BY {order_by(self.key)}"
            f" LIMIT {into.bind('UInt32', self.limit)} {FINAL_SETTINGS}"
        )
        return sql, into.parameters

    def _parts(self, into: Rendering) -> dict[str, str]:
        start, end = (into.bind("Int64", moment) for moment in (self.start, self.end))
        time = "fromUnixTimestamp64Milli({}, 'UTC')"
        return {
            "database": "{database}",
            "where": f"({self.where.to_sql(into)})",
            "start": start,
            "end": end,
            "within": f"timestamp >= {time.format(start)} AND timestamp < {time.format(end)}",
            "period": into.bind("Int64", self.period),
            "max_gap": into.bind("Int64", self.max_gap),
            "ended": self._ended(into),
            "patience": str(PATIENCE),
            "look_back": str(_LOOK_BACK),
            "unrestated": UNRESTATED,
        }

    def _ended(self, into: Rendering) -> str:
        """Return the condition of a sample's ending its resource; the first pattern of meters wins."""
        told = "JSONExtractString(metadata, 'event_type')"
        cases = [
            f"match(meter::String, {into.bind('String', _regex(pattern))}),"
            f" match({told}, {into.bind('String', _any(ends))})"
            for pattern, ends in self.ends_by_meter.items()
        ]
        otherwise = f"match({told}, {into.bind('String', _any(self.ends))})"
        return f"multiIf({', '.join([*cases, otherwise])})" if cases else otherwise


def _any(patterns: Sequence[str]) -> str:
    """Return a regular expression for what matches any of these; of no patterns, for nothing."""
    return "|".join(map(_regex, patterns)) or "$^."


def _regex(pattern: str) -> str:
    """Return a pattern of fnmatch as a regular expression that RE2 knows."""
    parts = (fnmatch.translate(part) for part in pattern.split("*"))
    plain = (part.removeprefix("(?s:").removesuffix(r")\Z") for part in parts)
    return f"^{'.*'.join(plain)}$"
