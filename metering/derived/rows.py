"""Samples on their way through a chain of transformers, as columns of numbers."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.distinct import distinct
from metering.hashes import label_hashes, series_keys
from metering.schema import SAMPLE_TYPES
from metering.usage.labels import CUMULATIVE, DELTA, GAUGE, Kind, Numbered

__all__ = ["CUMULATIVE", "DELTA", "GAUGE", "ROW", "Kind", "Kinds", "Rows", "of_kinds", "rows_of"]

Rows = npt.NDArray[Any]  # of ROW
Kinds = Numbered[Kind]

# parent, project, user and metadata are the rows of a SAMPLES table that lend their labels (metadata
# -1: none); nth counts the samples of a series that share a moment. Units: at in ms.
ROW: Final = np.dtype(
    [
        ("series", "u8"),
        ("resource", "u8"),
        ("at", "i8"),
        ("volume", "f8"),
        ("kind", "u4"),
        ("nth", "u4"),
        ("parent", "i4"),
        ("project", "i4"),
        ("user", "i4"),
        ("metadata", "i4"),
        ("origin", "u4"),
    ]
)


def rows_of(samples: pa.Table, kinds: Kinds) -> Rows:
    """Return samples (SAMPLES) as rows, sorted by series, time, volume and message id."""
    rows = np.zeros(samples.num_rows, ROW)
    if not len(rows):
        return rows
    rows["resource"] = label_hashes(samples["resource_id"])
    rows["series"] = series_keys(label_hashes(samples["meter"]), rows["resource"])
    rows["at"] = samples["timestamp"].cast(pa.int64()).to_numpy()
    rows["volume"] = samples["volume"].to_numpy()
    rows["kind"] = _kinds(samples, kinds)
    for name in ("parent", "project", "user", "metadata"):
        rows[name] = np.arange(len(rows))
    rows = rows[np.lexsort((rows["volume"], rows["at"], rows["series"]))]
    same = _same_moment(rows)
    if same.any():
        ids = np.array(samples["message_id"].to_pylist())[rows["parent"]]
        rows = rows[np.lexsort((ids, rows["volume"], rows["at"], rows["series"]))]
        places = np.arange(len(rows))
        rows["nth"] = places - np.maximum.accumulate(np.where(same, 0, places))
    return rows


def of_kinds(kinds: Kinds, name: str) -> npt.NDArray[Any]:
    """Return an attribute of every kind, by number: the type as its place in SAMPLE_TYPES."""
    if name == "type":
        return np.array([SAMPLE_TYPES.index(kind.type) for kind in kinds.labels], np.int64)
    return np.array([getattr(kind, name) for kind in kinds.labels], object)


def mapped(
    numbers: npt.NDArray[Any], kinds: Kinds, number: Callable[[Kind], int]
) -> npt.NDArray[np.int64]:
    """Return what belongs to each row's kind, asked once for each distinct one."""
    found, which = distinct(numbers, len(kinds.labels))
    labels = [kinds.labels[place] for place in found.tolist()]
    return np.array([number(kind) for kind in labels], np.int64)[which]


def firsts(keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which of sorted keys differ from the one before."""
    starts = np.ones(len(keys), np.bool_)
    starts[1:] = keys[1:] != keys[:-1]
    return starts


def _same_moment(rows: Rows) -> npt.NDArray[np.bool_]:
    same = ~firsts(rows["series"])
    same[1:] &= rows["at"][1:] == rows["at"][:-1]
    return same


def _kinds(samples: pa.Table, kinds: Kinds) -> npt.NDArray[np.int64]:
    """Return the number of each sample's kind; each distinct one is looked up once."""
    columns = [samples[name].combine_chunks() for name in Kind._fields]
    codes = np.zeros(samples.num_rows, np.int64)
    for column in columns:
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
    found, which = distinct(codes, math.prod(len(column.dictionary) for column in columns))
    places = np.zeros(len(found), np.int64)
    places[which] = np.arange(len(codes))  # a row of each
    labels = [Kind(*(column[place].as_py() for column in columns)) for place in places.tolist()]
    return np.array([kinds.number(kind) for kind in labels], np.int64)[which]
