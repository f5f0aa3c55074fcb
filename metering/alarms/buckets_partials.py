"""From PARTIALS to what is added to the periods of each alarm's parts."""

import itertools
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa

from metering.alarms.buckets_statistics import Partial

_ADDED: Final = ("counter", "count", "sum", "min", "max", "first", "last", "first_at", "last_at")


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
    added = [partials[name].to_numpy().tolist() for name in _ADDED]
    points = _points(partials)
    for code, part, series, bucket, counter, count, *rest, samples in zip(
        codes, *keys, *added, points, strict=True
    ):
        total, least, most, first, last, first_at, last_at = rest
        one = Partial(
            count, total, least, most, first, last, first_at, last_at, bool(counter), samples
        )
        yield Row(ids[code], part, series, bucket, one)


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
