"""Which samples count for which alarms, and what they add to the alarms' periods.

Shape: metering.schema.SAMPLES -> PARTIALS.
State: what is watched, and of each distinct (meter, resource, what else selections look at) which
    selections take it: worked out once.
Guarantee: a meter that no alarm asks about costs nothing; the cost of a sample does not grow with alarms
    on other meters or resources.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.alarms.buckets_partials import starts_of
from metering.alarms.matching_filters import LOOKED_AT, Subject
from metering.alarms.matching_index import WatchIndex
from metering.hashes import hashed, label_hashes, mixed, series_keys
from metering.memory import U64, KeyIndex, grown
from metering.schema import PARTIALS

I64 = npt.NDArray[np.int64]

_REMEMBERED: Final = 1_000_000  # subjects; beyond that they are worked out again
_ALWAYS: Final = ("meter", "resource_id", "type", "timestamp", "volume")


class Matcher:
    """What is watched, and the samples that count for it."""

    def __init__(self) -> None:
        self.index = WatchIndex()
        self._takers = _Takers()

    def columns(self) -> list[str]:
        """Return the columns of SAMPLES that are looked at; none where nothing is watched."""
        return [*_ALWAYS, *self.index.needs()] if self.index.meters else []

    def partials(self, samples: pa.Table, by_moment: bool = False) -> pa.Table:
        """Return what samples (of SAMPLES `columns` at least) add to periods (PARTIALS).

        With `by_moment` rows of one period are apart by the time of their samples, in order of time.
        """
        rows, generations, needed = self._wanted(samples)
        if not len(rows):
            return PARTIALS.empty_table()
        some = samples if len(rows) == samples.num_rows else samples.take(pa.array(rows))
        subjects, series = self._subjects(some, generations[rows], needed[rows])
        row, watched = self._takers.pairs(subjects)
        if not len(row):
            return PARTIALS.empty_table()
        return self._grouped(_Samples(some, series), row, watched, by_moment)

    def takes(self, samples: pa.Table) -> npt.NDArray[np.bool_]:
        """Return which samples (SAMPLES) count for anything."""
        taken = np.zeros(samples.num_rows, np.bool_)
        rows, generations, needed = self._wanted(samples)
        if len(rows):
            subjects, _ = self._subjects(
                samples.take(pa.array(rows)), generations[rows], needed[rows]
            )
            row, _ = self._takers.pairs(subjects)
            taken[rows[row]] = True
        return taken

    def _wanted(self, samples: pa.Table) -> tuple[I64, I64, npt.NDArray[np.uint8]]:
        """Return the rows of watched meters; and by row the meter's generation and what it needs."""
        column = _dictionary(samples["meter"])
        if column is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8)
        found = [self.index.meters.get(meter) for meter in column.dictionary.to_pylist()]
        generations = np.array([one.generation if one else 0 for one in found], np.int64)
        needed = np.array([_flags(one.needs) if one else 0 for one in found], np.uint8)
        codes = column.indices.to_numpy()
        by_row = generations[codes]
        return np.flatnonzero(by_row), by_row, needed[codes]

    def _subjects(
        self, some: pa.Table, generations: I64, needed: npt.NDArray[np.uint8]
    ) -> tuple[I64, U64]:
        """Return the number of each sample's subject, and its series."""
        meters, resources = label_hashes(some["meter"]), label_hashes(some["resource_id"])
        columns = [meters, resources, generations.astype(np.uint64)]
        for bit, name in enumerate(LOOKED_AT):
            asked = (needed >> bit) & 1
            if asked.any():
                labels = pa.types.is_dictionary(some.schema.field(name).type)
                hashes = label_hashes(some[name]) if labels else hashed(some[name])
                columns.append(hashes * asked)
        keys = mixed(columns)
        numbers = self._takers.find(keys)
        if (numbers < 0).any():
            if len(self._takers) > _REMEMBERED:
                self._takers = _Takers()
                numbers = np.full(len(keys), -1)
            fresh, first = np.unique(keys[numbers < 0], return_index=True)
            places = np.flatnonzero(numbers < 0)[first]
            self._takers.add(fresh, self._taking(some.take(pa.array(places))))
            numbers = self._takers.find(keys)
        return numbers, series_keys(meters, resources)

    def _taking(self, some: pa.Table) -> list[list[int]]:
        """Return the selections that take each of a few samples."""
        names = ["meter", "resource_id", *self.index.needs()]
        columns = [some[name].to_pylist() for name in names]
        subjects = (
            Subject(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
        )
        return [self.index.taking(subject) for subject in subjects]

    def _grouped(self, samples: "_Samples", row: I64, watched: I64, by_moment: bool) -> pa.Table:
        used, which = np.unique(watched, return_inverse=True)
        facts = [self.index.watched[number] for number in used.tolist()]
        told = [one for one in facts if one is not None]
        periods = np.array([one.period for one in told], np.int64)[which]
        at, volume, series = samples.at[row], samples.volume[row], samples.series[row]
        bucket = at // periods
        order = np.lexsort((volume, at, bucket, series, which))
        if by_moment:
            order = order[np.argsort(at[order], kind="stable")]
        which, series, bucket = which[order], series[order], bucket[order]
        at, volume, counter = at[order], volume[order], samples.counter[row][order]
        starts = starts_of(which, series, bucket, *([at] if by_moment else []))
        ends = np.append(starts[1:], len(order)) - 1
        detailed = np.array([one.detailed for one in told], np.bool_)[which]
        kept = _list_offsets(detailed, starts)
        columns: dict[str, Any] = {
            "alarm_id": _labels([one.alarm_id for one in told], which[starts]),
            "part": np.array([one.part for one in told], np.uint16)[which[starts]],
            "series": series[starts],
            "bucket": bucket[starts],
            "counter": counter[ends],
            "count": ends - starts + 1,
            "sum": np.add.reduceat(volume, starts),
            "min": np.minimum.reduceat(volume, starts),
            "max": np.maximum.reduceat(volume, starts),
            "first": volume[starts],
            "last": volume[ends],
            "first_at": at[starts],
            "last_at": at[ends],
            "times": pa.ListArray.from_arrays(kept, pa.array(at[detailed])),
            "volumes": pa.ListArray.from_arrays(kept, pa.array(volume[detailed])),
        }
        arrays = [_array(columns[field.name], field.type) for field in PARTIALS]
        return pa.table(arrays, schema=PARTIALS)


class _Takers:
    """Which selections take the samples of each subject; subjects are numbered as they come."""

    def __init__(self) -> None:
        self._known = KeyIndex()
        self._starts: I64 = np.zeros(0, np.int64)  # where a subject's selections begin
        self._lengths: I64 = np.zeros(0, np.int64)
        self._numbers: I64 = np.zeros(0, np.int64)  # of selections
        self._size = 0  # how many of these are filled

    def __len__(self) -> int:
        return len(self._known)

    def find(self, keys: U64) -> I64:
        """Return the number of each subject, -1 where it is new."""
        return self._known.find(keys)

    def add(self, keys: U64, takers: list[list[int]]) -> None:
        """Take new subjects and the selections that take each."""
        count = len(self._known)
        self._known.add(keys)
        lengths = np.array([len(one) for one in takers], np.int64)
        numbers = np.array([number for one in takers for number in one], np.int64)
        starts = self._size + np.cumsum(lengths) - lengths
        self._starts = _extended(self._starts, count, starts)
        self._lengths = _extended(self._lengths, count, lengths)
        self._numbers = _extended(self._numbers, self._size, numbers)
        self._size += len(numbers)

    def pairs(self, subjects: I64) -> tuple[I64, I64]:
        """Return, for samples by their subjects, every (sample, selection that takes it)."""
        lengths = self._lengths[subjects]
        ends = np.cumsum(lengths)
        row = np.repeat(np.arange(len(subjects)), lengths)
        nth = np.arange(len(row)) - np.repeat(ends - lengths, lengths)
        return row, self._numbers[np.repeat(self._starts[subjects], lengths) + nth]


class _Samples:
    """The columns of samples that alarms add up."""

    def __init__(self, samples: pa.Table, series: U64) -> None:
        self.series = series
        self.at: I64 = samples["timestamp"].cast(pa.int64()).to_numpy()
        self.volume: npt.NDArray[np.float64] = samples["volume"].to_numpy()
        kinds = _dictionary(samples["type"])
        assert kinds is not None
        counters = [kind == "cumulative" for kind in kinds.dictionary.to_pylist()]
        self.counter = np.array(counters, np.uint8)[kinds.indices.to_numpy()]


def _flags(needs: set[str]) -> int:
    return sum(1 << bit for bit, name in enumerate(LOOKED_AT) if name in needs)


def _dictionary(column: pa.ChunkedArray) -> Any:
    """Return a dictionary column as one array; None without rows."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # without rows there may be no chunk
        return None
    return array


def _extended(array: I64, size: int, more: I64) -> I64:
    array = grown(array, size + len(more))
    array[size : size + len(more)] = more
    return array


def _list_offsets(detailed: npt.NDArray[np.bool_], starts: I64) -> pa.Array:
    """Return where the list of each row begins among the values that are kept."""
    lengths = np.add.reduceat(detailed, starts, dtype=np.int64)
    return pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))


def _labels(names: list[str], which: I64) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), pa.array(names))


def _array(values: Any, kind: Any) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)
