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
    places = _places(samples)
    kept = samples.take(pa.array(places["newest"].to_numpy())).combine_chunks()
    first = samples["timestamp"].take(pa.array(places["first"].to_numpy())).combine_chunks()
    labels = [kept[name].cast(pa.string()) for name in _LABELS]
    newest = [column.combine_chunks() for column in (kept["timestamp"], kept["volume"], *labels)]
    return pa.table(
        {name: kept[name] for name in _SERIES}
        | {"first": first}
        | {"newest": pa.StructArray.from_arrays(newest, ["timestamp", "volume", *_LABELS])}
    )


def decisive(samples: pa.Table) -> pa.Table:
    """Return the few samples that latest_rows looks at: each series' first and its newest (NEEDED)."""
    places = _places(samples)
    wanted = np.union1d(places["first"].to_numpy(), places["newest"].to_numpy())
    return samples.take(pa.array(wanted))


def _places(samples: pa.Table) -> pl.DataFrame:
    """Return where each owner's series has its `first` and its `newest` sample."""
    numbers = pl.DataFrame(
        {name: _ranks(samples[name]) for name in (*_SERIES, *_LABELS)}
        | {"timestamp": samples["timestamp"].cast(pa.int64()).to_numpy()}
        | {"volume": samples["volume"].to_numpy(), "place": np.arange(samples.num_rows)}
    )
    return numbers.group_by(_SERIES).agg(
        first=pl.col("place").get(pl.col("timestamp").arg_min()),
        newest=pl.col("place").sort_by("timestamp", "volume", *_LABELS).last(),
    )


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Return each text's place among the sorted texts."""
    whole = column.unify_dictionaries().combine_chunks()
    order = pc.sort_indices(whole.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    found: npt.NDArray[np.int32] = ranks[whole.indices.to_numpy()]
    return found
