"""The stored samples of a few series, in order of event time: what is worked out again starts here."""

from typing import Final

import polars as pl
import pyarrow as pa

from metering.schema import SAMPLES, TOUCHED
from store.client import Store
from store.rows import SAMPLE_COLUMNS, samples_of

_ASKED: Final = 1000  # series a query asks for
_NEAR: Final = 7_500_000  # ms; where the sample before is looked for first: an hourly audit's two
_SERIES: Final = ["meter", "resource_id"]
_ASKED_SERIES: Final = (
    "(SELECT a.1 AS meter, a.2 AS resource_id, a.3 AS since FROM (SELECT arrayJoin(arrayZip("
    "{meters:Array(String)}, {resources:Array(String)}, {moments:Array(Int64)})) AS a))"
)
# For the primary key and the index on resources; the pairs are told by a join.
_KEYS: Final = "meter IN {meters:Array(String)} AND resource_id IN {resources:Array(String)}"

_SINCE: Final = (
    "s.timestamp >= fromUnixTimestamp64Milli({oldest:Int64}, 'UTC')"
    f" AND toUnixTimestamp64Milli(s.timestamp) >= asked.since - {_NEAR}"
)
_LAST_BEFORE: Final = (
    "(s.meter, s.resource_id, s.timestamp) IN (SELECT s.meter, s.resource_id, max(s.timestamp)"
    f" FROM {{table}} AS s FINAL INNER JOIN {_ASKED_SERIES} AS asked USING (meter, resource_id)"
    f" WHERE {_KEYS} AND toUnixTimestamp64Milli(s.timestamp) < asked.since COUNTED"
    " GROUP BY s.meter, s.resource_id) COUNTED"
)
_EARLIER: Final = pl.col("timestamp") < pl.col("timestamp_asked")


def history(store: Store, since: pa.Table, late: tuple[int, int] | None = None) -> pa.Table:
    """Return what counts of these series from a moment on, and the last moment's samples before it.

    Shape: `since` as metering.schema.TOUCHED, a row a series -> SAMPLES, sorted by meter, resource_id,
        timestamp, volume and message_id. Late samples are among them once restated, and those of the
        time [start, end) (ms) that `late` names.
    Errors: StoreAwayError.
    """
    counted = " AND s.late != 1"
    if late is not None:
        moment = "toUnixTimestamp64Milli(s.timestamp)"
        counted = f" AND (s.late != 1 OR {moment} >= {late[0]:d} AND {moment} < {late[1]:d})"
    parts = []
    for start in range(0, since.num_rows, _ASKED):
        some = pl.DataFrame(since.slice(start, _ASKED).cast(TOUCHED))
        near = _read(store, some, _SINCE + counted)
        before = near.join(some, on=_SERIES, suffix="_asked").filter(_EARLIER)
        alone = some.join(before, on=_SERIES, how="anti")
        parts.append(near)
        if alone.height:
            parts.append(_read(store, alone, _LAST_BEFORE.replace("COUNTED", counted)))
    if not parts:
        return SAMPLES.empty_table()
    found = pl.concat(parts).join(pl.DataFrame(since), on=_SERIES, suffix="_asked")
    last_before = pl.col("timestamp").filter(_EARLIER).max().over(_SERIES)
    wanted = found.filter(~_EARLIER | (pl.col("timestamp") == last_before))
    rows = wanted.drop("timestamp_asked").sort(*_SERIES, "timestamp", "volume", "message_id")
    return samples_of(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _read(store: Store, asked: pl.DataFrame, where: str) -> pl.DataFrame:
    moments: list[int] = asked["timestamp"].dt.epoch("ms").to_list()
    parameters = {
        "meters": asked["meter"].to_list(),
        "resources": asked["resource_id"].to_list(),
        "moments": moments,
        "oldest": max(min(moments) - _NEAR, 0),
    }
    sql = (
        f"SELECT {SAMPLE_COLUMNS} FROM {store.name}.samples AS s FINAL"
        f" INNER JOIN {_ASKED_SERIES} AS asked USING (meter, resource_id) WHERE {_KEYS} AND {where}"
    )
    return pl.DataFrame(
        store.query_arrow(sql.replace("{table}", f"{store.name}.samples"), parameters)
    )
