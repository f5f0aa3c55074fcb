"""What a process that starts needs to know of stored samples to derive meters of those to come."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa

from metering.derived.chain import Chain
from metering.derived.deriver import Deriver
from metering.places import WHOLE, Place
from metering.schema import SAMPLES, TOUCHED
from store.client import Store
from store.lately import came, revised
from store.placed import placed

# Seconds before the newest arrival; what follows from what came since may not be written: it is at the
# next tick, and nothing newer is stored before (ReadFeeds), but payloads may have waited for a store
# that was away. Where it can't be told by counting, all of it is worked out again, so of fewer seconds.
_ARRIVED: Final = 600
_ARRIVED_LAST: Final = 300
_SERIES: Final = ["meter", "resource_id"]
_NEWEST: Final = (
    "SELECT meter::String AS meter, resource_id, max(newest) AS last,"
    " last.type AS type, last.unit AS unit, last.volume AS volume, last.timestamp AS timestamp,"
    " last.metadata AS metadata FROM {database}.latest"
    " WHERE meter IN {meters:Array(String)} AND {placed}"
    " GROUP BY meter, resource_id"
)
_LATE: Final = (
    "SELECT meter::String AS meter, resource_id, min(timestamp) AS timestamp"
    " FROM {database}.samples WHERE late > 0 AND meter IN {meters:Array(String)} AND {placed}"
    " GROUP BY meter, resource_id"
)
_LAST: Final = (
    "SELECT s.meter::String AS meter, s.resource_id AS resource_id, min(s.timestamp) AS timestamp,"
    " toInt64(countIf(s.is_deleted = 0)) AS samples FROM {database}.samples AS s WHERE {lately}"
    " AND s.late != 1 AND s.meter IN {meters:Array(String)} AND {placed}"
    " GROUP BY s.meter, s.resource_id"
)
_FIRSTS: Final = (
    "SELECT meter::String AS meter, resource_id, min(first) AS first FROM {database}.latest"
    " WHERE meter IN {meters:Array(String)} AND {placed} GROUP BY meter, resource_id"
)


def recalled_deriver(store: Store, chains: Sequence[Chain], place: Place = WHOLE) -> Deriver:
    """Return a deriver that knows the newest sample of each of a place's stored series.

    What the last process may not have derived again, of samples out of order, is worked out again at
    the first tick. Raises StoreAwayError.
    """
    deriver = Deriver(chains)
    found = store.query(f"SELECT DISTINCT meter::String FROM {store.name}.latest").result_rows
    meters = [meter for (meter,) in found if deriver.plan.places(meter)]
    if meters:
        deriver.know(_newest(store, place, meters, any(chain.needs_metadata for chain in chains)))
        for series in _behind(store, place, deriver, meters):
            deriver.touch(series)
    return deriver


def _newest(store: Store, place: Place, meters: list[str], metadata: bool) -> pa.Table:
    """Return the newest sample of each series (SAMPLES), as far as what follows depends on it."""
    sql = _NEWEST if metadata else _NEWEST.replace("last.metadata AS", "'{}' AS")
    rows = _asked(store, place, sql, meters)
    blank = pa.array([""] * rows.num_rows, pa.string())
    columns: list[Any] = []
    for field in SAMPLES:
        if field.name == "recorded_at":
            column = pa.array([0] * rows.num_rows, pa.int64())
        else:
            column = rows[field.name].combine_chunks() if field.name in rows.schema.names else blank
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string()).dictionary_encode()
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=SAMPLES)


def _behind(store: Store, place: Place, deriver: Deriver, meters: list[str]) -> list[pa.Table]:
    """Return series (TOUCHED) of which something else may be to be derived than is there.

    They were revised, or what they are derived of was, or of what came last less is derived than of others.
    Also those with late samples: `latest` may name one, and nothing is derived of these.
    """
    behind = [_asked(store, place, _LATE, meters).cast(TOUCHED)]
    derived = {name for meter in meters for name in deriver.plan.names(meter)}
    every = sorted({*meters, *derived})
    counted = _lately(store, place, every, came(store, _ARRIVED))
    again = _lately(store, place, every, revised(store, _ARRIVED))
    firsts = pl.DataFrame(_asked(store, place, _FIRSTS, meters))
    counted = counted.join(firsts, on=_SERIES, how="left")
    for nth, chain in enumerate(deriver.plan.chains):
        mine = [meter for meter in meters if nth in deriver.plan.places(meter)]
        if chain.arithmetic is not None:
            last = _lately(store, place, mine, came(store, _ARRIVED_LAST))
            behind += [_touched(last), _touched(again.filter(pl.col("meter").is_in(mine)))]
        else:
            made = _pairs({meter: sorted(chain.makes(meter)) for meter in mine})
            behind += [_missing(counted, made), _revised(again, made)]
    return [series for series in behind if series.num_rows]


def _pairs(names: dict[str, list[str]]) -> pl.DataFrame:
    """Return the meters that are derived, a `name` each, by the `meter` that they are of."""
    pairs = [(meter, name) for meter, made in names.items() for name in made]
    return pl.DataFrame(pairs, {"meter": pl.String, "name": pl.String}, orient="row")


def _missing(counted: pl.DataFrame, made: pl.DataFrame) -> pa.Table:
    """Return the parents (TOUCHED) that have more samples than what is derived of them.

    Of a first sample nothing may be derived.
    """
    totals = made.join(
        counted.select("meter", "resource_id", "samples"), left_on="name", right_on="meter"
    )
    totals = totals.group_by(_SERIES).agg(pl.col("samples").sum().alias("derived"))
    both = counted.join(made.select("meter").unique(), on="meter")
    both = both.join(totals, on=_SERIES, how="left")
    alone = (pl.col("first") >= pl.col("timestamp")).fill_null(False).cast(pl.Int64)
    less = pl.col("derived").fill_null(0) + alone < pl.col("samples")
    return _touched(both.filter(less))


def _revised(again: pl.DataFrame, made: pl.DataFrame) -> pa.Table:
    """Return the parents (TOUCHED) that were revised, or of which something derived was.

    A row that was revised is there twice until the engine makes the two one, so these are not counted.
    """
    parents = again.join(made.select("meter").unique(), on="meter")
    of_derived = made.join(again, left_on="name", right_on="meter")
    both = pl.concat([one.select(TOUCHED.names) for one in (parents, of_derived)])
    return _touched(both.group_by(_SERIES).agg(pl.col("timestamp").min()))


def _lately(store: Store, place: Place, meters: list[str], lately: str) -> pl.DataFrame:
    """Return the series with such samples, the `timestamp` of the oldest, and how many `samples` count."""
    frame = pl.DataFrame(_asked(store, place, _LAST.replace("{lately}", lately), meters))
    return frame.with_columns(
        pl.col("meter", "resource_id").cast(pl.String),
        pl.col("timestamp").cast(pl.Datetime("ms", "UTC")),
    )


def _touched(series: pl.DataFrame) -> pa.Table:
    rows = series.select(TOUCHED.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return rows.cast(TOUCHED)


def _asked(store: Store, place: Place, sql: str, meters: list[str]) -> pa.Table:
    sql = sql.replace("{database}", store.name).replace("{placed}", placed(place))
    return store.query_arrow(sql, {"meters": meters})
