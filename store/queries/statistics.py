"""Statistics over a meter's samples: a row a period and group, only the aggregates that are asked for."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from store.queries.predicate import Predicate, Rendering, metadata_text, milliseconds
from store.queries.samples import COLUMNS, FINAL_SETTINGS

AGGREGATES: Final = {
    "avg": "avg(volume)",
    "count": "count()",
    "max": "max(volume)",
    "min": "min(volume)",
    "stddev": "stddevPop(volume)",
    "sum": "sum(volume)",
}
STANDARD: Final = ("min", "max", "avg", "sum", "count")
COUNTABLE: Final = ("resource_id", "user_id", "project_id", "source")  # cardinality of these
GROUPS: Final = ("user_id", "resource_id", "project_id", "source")  # and any metadata key
_METADATA: Final = ("resource_metadata.", "metadata.")


def metadata_key(field: str) -> str | None:
    """Return the key of a metadata field, such as `flavor.name`; None for any other field."""
    for prefix in _METADATA:
        if field.startswith(prefix) and len(field) > len(prefix):
            return field[len(prefix) :]
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate: a key of AGGREGATES, or `cardinality` of one of COUNTABLE."""

    func: str
    param: str = ""

    @property
    def name(self) -> str:
        """What it is called in the answer."""
        return f"{self.func}/{self.param}" if self.param else self.func

    def to_sql(self) -> str:
        """Return the SQL of the aggregate."""
        if self.func == "cardinality":
            return f"uniqExact({COLUMNS[self.param]})"
        return AGGREGATES[self.func]


@dataclasses.dataclass(frozen=True, slots=True)
class StatisticsQuery:
    """Aggregates of the samples that a predicate takes.

    Shape: -> [bucket, group0.., aggregate0.., unit, first, last]; bucket is the number of periods
        since `start`, or since the first sample where there is no start; 0 without a period.
        `origin` is that start in milliseconds since the epoch.
    """

    where: Predicate
    aggregates: Sequence[Aggregate]
    groupby: Sequence[str]  # of GROUPS, or metadata fields
    period: int  # s; 0 is one for all
    start: dt.datetime | None
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(COLUMNS)
        where = self.where.to_sql(into)
        groups = [self._group(field, into) for field in self.groupby]
        columns = [f"{sql} AS group{i}" for i, sql in enumerate(groups)]
        columns += [f"{one.to_sql()} AS aggregate{i}" for i, one in enumerate(self.aggregates)]
        names = ["bucket", *(f"group{i}" for i in range(len(groups)))]
        limit = into.bind("UInt32", self.limit)
        sql = (
            f"{self._origin(where, into)} SELECT {self._bucket(into)} AS bucket, {', '.join(columns)},"
            " any(origin) AS origin_, max(unit) AS unit_, min(timestamp) AS first, max(timestamp) AS last"
            f" FROM {{database}}.samples FINAL WHERE {where} GROUP BY {', '.join(names)}"
            f" ORDER BY {', '.join(names)} LIMIT {limit} {FINAL_SETTINGS}"
        )
        return sql, into.parameters

    def _origin(self, where: str, into: Rendering) -> str:
        if self.start is not None:
            return f"WITH {into.bind('Int64', milliseconds(self.start))} AS origin"
        if not self.period:
            return "WITH 0 AS origin"
        first = f"SELECT min(timestamp) FROM {{database}}.samples FINAL WHERE {where}"
        return f"WITH toUnixTimestamp64Milli(assumeNotNull(({first}))) AS origin"

    def _bucket(self, into: Rendering) -> str:
        if not self.period:
            return "0"
        period = into.bind("Int64", self.period * 1000)
        return f"intDiv(toUnixTimestamp64Milli(timestamp) - origin, {period})"

    def _group(self, field: str, into: Rendering) -> str:
        key = metadata_key(field)
        return COLUMNS[field] if key is None else metadata_text(into, key)
