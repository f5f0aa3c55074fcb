"""Meters and resources, from the newest sample of every series."""

import dataclasses
from typing import Any, Final

from store.queries.predicate import Predicate, Rendering
from store.queries.samples import COLUMNS, FINAL_SETTINGS

# The fields of the table `latest`, a row a series and owner.
SERIES: Final = {
    "meter": "meter",
    "user_id": "user_id",
    "project_id": "project_id",
    "resource_id": "resource_id",
    "source": "source",
    "metadata": "newest.metadata",
}
_OWNER: Final = "user_id, project_id, source"
# FINAL aggregates whole columns only: a part of `newest` read from the table would be any row's.
_TABLE: Final = "(SELECT * FROM {database}.latest FINAL)"


@dataclasses.dataclass(frozen=True, slots=True)
class MeterQuery:
    """The meters of each resource, with the owner of their newest sample; by resource and meter.

    Shape: -> [resource_id, meter, newest (timestamp, type, unit, user, project, source)]
    """

    where: Predicate
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(SERIES)
        where = self.where.to_sql(into)
        sql = (
            "SELECT resource_id, meter,"
            f" max(tuple(newest.timestamp, newest.type, newest.unit, {_OWNER})) AS newest_"
            f" FROM {_TABLE} WHERE {where} GROUP BY resource_id, meter"
            f" ORDER BY resource_id, meter LIMIT {into.bind('UInt32', self.limit)}"
            " SETTINGS optimize_aggregation_in_order = 1"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class UniqueMeterQuery:
    """The meters there are, each once, with the type and unit of its newest sample; by name.

    Shape: -> [meter, newest (timestamp, type, unit)]
    """

    where: Predicate
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(SERIES)
        where = self.where.to_sql(into)
        sql = (
            "SELECT meter, max(tuple(newest.timestamp, newest.type, newest.unit)) AS newest_"
            f" FROM {_TABLE} WHERE {where} GROUP BY meter"
            f" ORDER BY meter LIMIT {into.bind('UInt32', self.limit)}"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceQuery:
    """The resources there are, with the owner and metadata of their newest sample; by id.

    Shape: -> [resource_id, newest (timestamp, user, project, source, metadata), first, meters]
    """

    where: Predicate
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(SERIES)
        where = self.where.to_sql(into)
        sql = (
            f"SELECT resource_id, max(tuple(newest.timestamp, {_OWNER}, newest.metadata)) AS newest_,"
            " min(first) AS first_, arraySort(groupUniqArray(meter)) AS meters"
            f" FROM {_TABLE} WHERE {where} GROUP BY resource_id"
            f" ORDER BY resource_id LIMIT {into.bind('UInt32', self.limit)}"
            " SETTINGS optimize_aggregation_in_order = 1"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class SampledResourceQuery:
    """The resources with samples that a predicate takes, which may bound their time; by id.

    Shape: as ResourceQuery, over those samples alone
    """

    where: Predicate
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(COLUMNS)
        where = self.where.to_sql(into)
        sql = (
            f"SELECT resource_id, max(tuple(timestamp, {_OWNER}, metadata)) AS newest_,"
            " min(timestamp) AS first_, arraySort(groupUniqArray(meter)) AS meters"
            f" FROM {{database}}.samples FINAL WHERE {where} GROUP BY resource_id"
            f" ORDER BY resource_id LIMIT {into.bind('UInt32', self.limit)} {FINAL_SETTINGS}"
        )
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class NewestSeriesQuery:
    """When the `rank`th most recently sampled series was sampled: at least as many samples are newer.

    Shape: -> [timestamp], no row where there are fewer series
    """

    where: Predicate  # on the fields of a series
    rank: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(SERIES)
        where = self.where.to_sql(into)
        offset = into.bind("UInt32", self.rank)
        sql = (
            f"SELECT newest.timestamp AS timestamp FROM {_TABLE} WHERE {where}"
            f" ORDER BY newest.timestamp DESC LIMIT 1 OFFSET {offset}"
        )
        return sql, into.parameters
