"""From PARTIALS to what is added to the periods of each alarm's parts."""

import itertools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.alarms.buckets_statistics import Partial
from metering.schema import HELD

_ADDED: Final = ("counter", "count", "sum", "min", "max", "first", "last", "first_at", "last_at")

I64 = npt.NDArray[np.int64]


class Row(NamedTuple):
    """What samples of a series add to a period of one part of an alarm."""

    alarm_id: str
    part: int
    series: int
    bucket: int
    added: Partial


def rows_of(partials: pa.Table) -> Iterator[Row]:
    """Yield the rows of a table (PARTIALS)."""
    if not partials.num_rows:
        return
    names = partials["alarm_id"].combine_chunks()
    ids: list[str] = names.dictionary.to_pylist()
    codes = names.indices.to_numpy().tolist()
    keys = [partials[name].to_numpy().tolist() for name in ("part", "series", "bucket")]
    for code, part, series, bucket, one in zip(codes, *keys, added_by(partials), strict=True):
        yield Row(ids[code], part, series, bucket, one)


def added_by(partials: pa.Table) -> Iterator[Partial]:
    """Yield what each row (of PARTIALS or HELD) adds."""
    added = [partials[name].to_numpy().tolist() for name in _ADDED]
    for counter, count, *rest, points in zip(*added, _points(partials), strict=True):
        total, least, most, first, last, first_at, last_at = rest
        yield Partial(
            count, total, least, most, first, last, first_at, last_at, bool(counter), points
        )


def summed(held: pa.Table) -> pa.Table:
    """Return rows (HELD) with those of one alarm, series and period added up, in that order."""
    columns = {name: held[name].to_numpy() for name in held.column_names[:-2]}
    keys = [columns[name] for name in ("alarm", "series", "bucket")]
    order = np.lexsort((columns["first"], columns["first_at"], *reversed(keys)))
    columns = {name: column[order] for name, column in columns.items()}
    starts = starts_of(*(key[order] for key in keys))
    groups = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    last_at = np.maximum.reduceat(columns["last_at"], starts)
    lasts = np.where(columns["last_at"] == last_at[groups], columns["last"], -np.inf)
    added = {
        "count": np.add.reduceat(columns["count"], starts),
        "sum": np.add.reduceat(columns["sum"], starts),
        "min": np.minimum.reduceat(columns["min"], starts),
        "max": np.maximum.reduceat(columns["max"], starts),
        "last": np.maximum.reduceat(lasts, starts),
        "last_at": last_at,
    }
    firsts = {name: column[starts] for name, column in columns.items()}
    lists = {name: _joined(held[name], order, starts) for name in ("times", "volumes")}
    return pa.table({**firsts, **added, **lists}, HELD)


def starts_of(*columns: npt.NDArray[Any]) -> I64:
    """Return where a row differs from the one before."""
    differs = np.ones(len(columns[0]), np.bool_)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.flatnonzero(differs)


def _joined(lists: pa.ChunkedArray, order: I64, starts: I64) -> pa.Array:
    """Return lists in an order, those of a group as one."""
    sorted_lists = lists.take(pa.array(order)).combine_chunks()
    offsets = sorted_lists.offsets.to_numpy()
    ends = np.append(offsets[starts], offsets[-1])
    return pa.ListArray.from_arrays(pa.array(ends), sorted_lists.values)


def _points(partials: pa.Table) -> list[list[tuple[int, float]]]:
    """Return each row's samples, where its statistic takes them."""
    times = partials["times"].combine_chunks()
    if not len(times.values):
        return [[] for _ in range(partials.num_rows)]
    offsets = times.offsets.to_numpy().tolist()
    ats = times.values.to_numpy().tolist()
    volumes = partials["volumes"].combine_chunks().values.to_numpy().tolist()
    both = list(zip(ats, volumes, strict=True))
    return [both[start:end] for start, end in itertools.pairwise(offsets)]
