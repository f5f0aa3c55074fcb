"""64-bit hashes of whole columns: what tells series, ids and contents apart in memory.

They are those of polars: the same in all processes with one version of it, so never stored.
"""

import numpy as np
import polars as pl
import pyarrow as pa

from metering.memory import SPREAD, U64


def hashed(column: pa.Array) -> U64:
    """Return a hash a row, never 0."""
    keys: U64 = np.maximum(pl.Series(column).hash().to_numpy(), np.uint64(1))
    return keys


def label_hashes(column: pa.ChunkedArray) -> U64:
    """Return a hash a row of a dictionary column; each distinct text is hashed once."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # without rows there may be no chunk
        return np.zeros(0, np.uint64)
    hashes: U64 = hashed(encoded.dictionary)[encoded.indices.to_numpy()]
    return hashes


def mixed(columns: list[U64]) -> U64:
    """Return one hash a row of several columns, never 0; every bit of each reaches every bit."""
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        total = (total ^ column) * SPREAD
        total ^= total >> np.uint64(32)
    keys: U64 = np.maximum(total, np.uint64(1))  # 0 is no key
    return keys


def series_keys(meters: U64, resources: U64) -> U64:
    """Return what names each series in memory, of the hashes of its meter and resource_id."""
    return mixed([meters, resources])
