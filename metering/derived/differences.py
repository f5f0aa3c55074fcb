"""What to write so that the store holds other derived samples than it does."""

from typing import Final

import polars as pl
import pyarrow as pa

from metering.derived.lineage import PREFIX
from metering.identity import variant
from metering.schema import REVISIONS, SAMPLES

_TEXTS: Final = [field.name for field in SAMPLES if pa.types.is_dictionary(field.type)]
_SERIES: Final = ["meter", "resource_id"]
_PLACE: Final = [*_SERIES, "project_id", "timestamp", "delta_id"]
_CONTENT: Final = ["type", "unit", "volume", "user_id", "source", "metadata"]


def revised(fresh: pa.Table, existing: pa.Table, series: pl.DataFrame, version: int) -> pa.Table:
    """Return the rows (REVISIONS) that make what exists into what is fresh, both SAMPLES.

    `series` tells since when which were worked out, and by which mark in their metadata samples of
    theirs are known: others of the same meter are left alone.
    """
    wanted = _frame(fresh)
    asked = series.rename({"timestamp": "since"})
    there = _frame(existing).join(asked, on=_SERIES)
    known = pl.col("metadata").str.contains(pl.col("mark"), literal=True)
    there = there.filter(known & (pl.col("timestamp") >= pl.col("since")))
    there = there.select(wanted.columns)
    written = wanted.join(there, on=[*_PLACE, *_CONTENT], how="anti")
    gone = there.join(wanted, on=_PLACE, how="anti")
    # Ids are forgotten after a day; which row a delta stands in can't be told then.
    gone = gone.filter((pl.col("type") != "delta") | pl.col("delta_id").str.starts_with(PREFIX))
    counting = {"is_deleted": pl.lit(0, pl.UInt8)}
    rows = [written.with_columns(**counting), gone.with_columns(is_deleted=pl.lit(1, pl.UInt8))]
    return _revisions(pl.concat(rows), version)


def _frame(samples: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(samples).with_columns(pl.col(*_TEXTS).cast(pl.String))
    is_delta = pl.col("type") == "delta"
    return frame.with_columns(
        delta_id=pl.when(is_delta).then("message_id").otherwise(pl.lit("")),
        message_id=pl.col("message_id").cast(pl.String),
    )


def _revisions(rows: pl.DataFrame, version: int) -> pa.Table:
    rows = rows.with_columns(
        variant=pl.Series(
            [variant(name) if name else 0 for name in rows["delta_id"]], dtype=pl.UInt32
        ),
        version=pl.lit(version, pl.UInt32),
        late=pl.lit(0, pl.UInt8),
    )
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [table[field.name].combine_chunks() for field in REVISIONS]
    arrays = [
        column.cast(pa.string()).dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else column.cast(field.type)
        for column, field in zip(columns, REVISIONS, strict=True)
    ]
    return pa.table(arrays, schema=REVISIONS)
