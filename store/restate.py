"""What a restatement asks of the store and leaves there, besides its rows."""

from typing import Any

import pyarrow as pa

from metering.restatement import RestateScope
from metering.schema import TOUCHED
from store.client import Store


def scoped_series(store: Store, scope: RestateScope, since: int) -> pa.Table:
    """Return the series (TOUCHED, at `since`, ms) with samples or usage in the scope's time."""
    where, parameters = _of_scope(scope)
    sql = (
        "SELECT meter::String AS meter, resource_id,"
        " fromUnixTimestamp64Milli({since:Int64}, 'UTC') AS timestamp FROM ("
        f" SELECT DISTINCT meter, resource_id FROM {store.name}.samples WHERE {where} AND {_TIME}"
        f" UNION DISTINCT SELECT DISTINCT meter, resource_id FROM {store.name}.usage WHERE {where}"
        " AND start < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
        " AND start + period > fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
        ") ORDER BY meter, resource_id"
    )
    return store.query_arrow(sql, parameters | {"since": since}).cast(TOUCHED)


def count_late(store: Store, scope: RestateScope) -> None:
    """Mark the scope's late samples as restated, a version later. Again it changes nothing."""
    where, parameters = _of_scope(scope)
    store.query(
        f"INSERT INTO {store.name}.samples SELECT * REPLACE"
        " (version + 1 AS version, 2 AS late, now() AS revised_at)"
        f" FROM {store.name}.samples AS s FINAL WHERE s.late = 1 AND {where} AND {_TIME}",
        parameters,
    )


def late_since(store: Store, recorded_at: int) -> RestateScope | None:
    """Return the time of the late samples that came since then (s), None where none did."""
    first, last, late = store.query(
        "SELECT toUnixTimestamp64Milli(min(timestamp)), toUnixTimestamp64Milli(max(timestamp)), count()"
        f" FROM {store.name}.samples WHERE late = 1 AND recorded_at >= {{since:UInt32}}",
        {"since": recorded_at},
    ).result_rows[0]
    return RestateScope(first, last + 1) if late else None


_TIME = (
    "timestamp >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
    " AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
)


def _of_scope(scope: RestateScope) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {"start": scope.start, "end": scope.end}
    conditions = ["1"]
    if scope.meter is not None:
        conditions.append("meter = {meter:String}")
        parameters["meter"] = scope.meter
    if scope.project_id is not None:
        conditions.append("project_id = {project:String}")
        parameters["project"] = scope.project_id
    return " AND ".join(conditions), parameters
