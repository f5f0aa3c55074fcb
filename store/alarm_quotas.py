"""How many alarms a project may have, where it differs from the configuration; and evaluations counted.

Guarantee: natural key (project_id, resource); the later version counts.
Errors: StoreAwayError.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from store.client import Store
from store.queries.predicate import Rendering

_SCHEMA: Final = pa.schema(
    [
        ("project_id", pa.string()),
        ("resource", pa.string()),
        ("limit", pa.int64()),
        ("version", pa.uint64()),
        ("is_deleted", pa.uint8()),
    ]
)


def quotas_of(store: Store, project_id: str) -> dict[str, int]:
    """Return a project's own quotas by resource; -1 is any number."""
    rows = store.query(
        f"SELECT resource, limit FROM {store.name}.alarm_quotas FINAL"
        " WHERE project_id = {project:String} ORDER BY resource",
        {"project": project_id},
    ).result_rows
    return {str(row[0]): int(row[1]) for row in rows}


def write_quotas(store: Store, project_id: str, limits: Mapping[str, int], version: int) -> None:
    """Set quotas of a project by resource, with a version (µs)."""
    _write(store, project_id, limits, version, deleted=False)


def delete_quotas(store: Store, project_id: str, version: int) -> None:
    """Forget a project's own quotas, with a version (µs)."""
    _write(store, project_id, quotas_of(store, project_id), version, deleted=True)


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationsQuery:
    """How often alarms were evaluated to each state. Shape: -> [project_id, alarm_id, state, evaluated]"""

    project_id: str | None  # None is all
    limit: int

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering({})
        limit = into.bind("UInt32", self.limit)
        own = self.project_id is not None
        where = f"project_id = {into.bind('String', self.project_id)}" if own else "1"
        return (
            "SELECT project_id, alarm_id, state, sum(evaluations) AS evaluated"
            f" FROM {{database}}.alarm_evaluations FINAL WHERE {where}"
            f" GROUP BY project_id, alarm_id, state ORDER BY project_id, alarm_id, state LIMIT {limit}",
            into.parameters,
        )


def _write(
    store: Store, project_id: str, limits: Mapping[str, int], version: int, deleted: bool
) -> None:
    rows = [
        {
            "project_id": project_id,
            "resource": resource,
            "limit": limit,
            "version": version,
            "is_deleted": int(deleted),
        }
        for resource, limit in limits.items()
    ]
    if rows:
        store.insert("alarm_quotas", pa.Table.from_pylist(rows, _SCHEMA))
