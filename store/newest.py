"""Of many samples the newest of every series: the rows of the table `latest`.

Texts are compared and kept as numbers, a sample's place among the sorted ones, until few rows are left:
of 100,000 samples with metadata the texts alone are 40 MB, several times over while they are sorted.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

_SERIES: Final = ("resource_id", "meter", "project_id", "user_id", "source")
_LABELS: Final = ("type", "unit", "metadata")
NEEDED: Final = (*_SERIES, "timestamp", "volume", *_LABELS)


def latest_rows(samples: pa.Table) -> pa.Table:
    """Return one row an owner's series, with its first time and newest sample.

    Shape: NEEDED of metering.schema.SAMPLES -> [series..., first, newest: struct of timestamp, volume,
    labels]. Among equal times the greatest by (volume, type, unit, metadata) is the newest.
    """
    numbers = pl.DataFrame(
        {name: _ranks(samples[name]) for name in (*_SERIES, *_LABELS)}
        | {"timestamp": samples["timestamp"].cast(pa.int64()).to_numpy()}
        | {"volume": samples["volume"].to_numpy(), "place": np.arange(samples.num_rows)}
    )
    rows = numbers.group_by(_SERIES).agg(
        first=pl.col("timestamp").min(),
        place=pl.col("place").sort_by("timestamp", "volume", *_LABELS).last(),
    )
    kept = samples.take(pa.array(rows["place"].to_numpy())).combine_chunks()
    first = pa.array(rows["first"].to_numpy()).cast(samples.schema.field("timestamp").type)
    labels = [kept[name].cast(pa.string()) for name in _LABELS]
    newest = [column.combine_chunks() for column in (kept["timestamp"], kept["volume"], *labels)]
    return pa.table(
        {name: kept[name] for name in _SERIES}
        | {"first": first}
        | {"newest": pa.StructArray.from_arrays(newest, ["timestamp", "volume", *_LABELS])}
    )


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Return each text's place among the sorted texts."""
    whole = column.unify_dictionaries().combine_chunks()
    order = pc.sort_indices(whole.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    found: npt.NDArray[np.int32] = ranks[whole.indices.to_numpy()]
    return found
