"""Usage as it is stored: what the job reads again of few series, and what a start needs to know."""

from typing import Any, Final

import polars as pl
import pyarrow as pa

from metering.places import WHOLE, Place
from metering.schema import TOUCHED, USAGE
from metering.usage.rules import UsageRules
from metering.usage.windows import UsageWindows
from store.client import Store
from store.lately import came, revised
from store.placed import placed
from store.queries.finality import final_until

_ASKED: Final = 1000  # series a query asks for
_ARRIVED: Final = 600  # s before the newest arrival; usage of what came since may not be written
_ROWS: Final = ", ".join(
    f"{field.name}::String AS {field.name}" if pa.types.is_dictionary(field.type) else field.name
    for field in USAGE
)


def stored_final_until(store: Store) -> int | None:
    """Return up to when (ms) the windows of every shard are final, None where nothing is."""
    sql = f"SELECT toUnixTimestamp64Milli({final_until().replace('{database}', store.name)})"
    until = int(store.query(sql).result_rows[0][0])
    return until or None


def stored_usage(store: Store, since: pa.Table) -> pa.Table:
    """Return the newest rows (USAGE) of series (TOUCHED) in windows that start then or later."""
    parts = [USAGE.empty_table()]
    for start in range(0, since.num_rows, _ASKED):
        asked = pl.DataFrame(since.slice(start, _ASKED).cast(TOUCHED))
        moments: list[int] = asked["timestamp"].dt.epoch("ms").to_list()
        found = store.query_arrow(
            f"SELECT {_ROWS} FROM {store.name}.usage FINAL"
            " WHERE meter IN {meters:Array(String)} AND resource_id IN {resources:Array(String)}"
            " AND start >= toDateTime({oldest:UInt32})",
            {
                "meters": asked["meter"].unique().to_list(),
                "resources": asked["resource_id"].unique().to_list(),
                "oldest": max(min(moments) // 1000, 0),
            },
        )
        parts.append(_of(asked, found))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def recalled_windows(store: Store, rules: UsageRules, place: Place = WHOLE) -> UsageWindows:
    """Return windows that know a place's stored series; those that may go on are worked out again.

    These are the series whose newest window is not final, and those with samples that came when the
    last process may not have written what followed from them.
    """
    windows = UsageWindows(rules, stored_final_until(store))
    series = store.query_arrow(
        "SELECT meter::String AS meter, resource_id, max(newest.timestamp) AS timestamp"
        f" FROM {store.name}.latest WHERE {placed(place)} GROUP BY meter, resource_id"
    ).cast(TOUCHED)
    if not series.num_rows:
        return windows
    windows.know(series["meter"], series["resource_id"])
    live = pl.DataFrame(series)
    if windows.final_until is not None:
        since = windows.final_until - rules.longest_gap
        live = live.filter(pl.col("timestamp").dt.epoch("ms") >= since)
    arrived = pl.DataFrame(_arrived_last(store, place))
    touched = pl.concat([live, arrived.select(live.columns)])
    oldest = touched.group_by("meter", "resource_id").agg(pl.col("timestamp").min())
    windows.touch(oldest.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(TOUCHED))
    return windows


def _arrived_last(store: Store, place: Place) -> pa.Table:
    """Return series (TOUCHED) of the last samples to come in time or be revised, each with its oldest of them."""
    rows = (
        f"SELECT meter, resource_id, timestamp FROM {store.name}.samples"
        f" WHERE late != 1 AND {placed(place)} AND "
    )
    return store.query_arrow(
        "SELECT meter::String AS meter, resource_id, min(timestamp) AS timestamp"
        f" FROM ({rows}{came(store, _ARRIVED)} UNION ALL {rows}{revised(store, _ARRIVED)})"
        " GROUP BY meter, resource_id"
    ).cast(TOUCHED)


def _of(asked: pl.DataFrame, found: pa.Table) -> pa.Table:
    """Return the rows of the series and moments asked for, as USAGE."""
    rows = pl.DataFrame(found).with_row_index("place")
    wanted = rows.select("place", "meter", "resource_id", "start").join(
        asked, on=["meter", "resource_id"]
    )
    start = pl.col("start").cast(pl.Int64) * 1000  # the engine gives s
    places = wanted.filter(start >= pl.col("timestamp").dt.epoch("ms"))["place"]
    some = found.take(pa.array(places.to_numpy()))
    return pa.table([_as(some[field.name], field.type) for field in USAGE], schema=USAGE)


def _as(column: pa.ChunkedArray, kind: Any) -> pa.Array:
    array = column.combine_chunks()
    if pa.types.is_dictionary(kind):
        return array.cast(pa.string()).dictionary_encode().cast(kind)
    if pa.types.is_timestamp(kind) and pa.types.is_integer(array.type):
        return array.cast(pa.int64()).cast(kind)
    return array.cast(kind)
