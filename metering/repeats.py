"""Repeats, on the hot path: which samples of a batch nothing stands against.

What may repeat or contradict another sample is left to metering.conflicts, with the store's help.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from metering.hashes import hashed, label_hashes, mixed, series_keys
from metering.memory import SPREAD, U64, Mask, NumberMap, RecentIds
from metering.schema import IDS

_CONTENT = ("meter", "type", "unit", "project_id", "user_id", "resource_id", "source", "metadata")

_DELTA = hashed(pa.array(["delta"]))[0]


@dataclasses.dataclass(slots=True)
class Sifted:
    """A batch in three parts. Nothing stands against `clean`; something may against `suspect`.

    `contested` are the ids among the suspects that came before, with other or unknown content.
    """

    clean: pa.Table
    suspect: pa.Table
    contested: list[str]
    repeats: int


class Sieve:
    """Finds the few samples of a batch that may repeat or contradict others.

    State: the newest timestamp of each series, and recent message ids with their content: 24
        bytes each. What is older than the newest of its series is suspect, so the store is only asked
        about samples out of order and about ids known with other content.
    """

    def __init__(self, remembered_ids: int) -> None:
        self._newest = NumberMap()  # series -> ms + 1
        self._ids = RecentIds(remembered_ids)

    def sift(self, samples: pa.Table) -> Sifted:
        """Part a batch (SAMPLES) and remember it."""
        keys = _keys(samples)
        known, seen = self._ids.get(keys.ids)
        repeated = seen & (known == keys.contents) | _repeated_within(keys.ids, keys.contents)
        newest, _ = self._newest.get(keys.series)
        suspect = (seen | _shared(keys.ids, ~repeated)) & ~repeated
        suspect |= (keys.moments <= newest) & ~repeated
        suspect |= _shared(keys.series_moments, ~repeated) & ~repeated
        contested = samples["message_id"].filter(pa.array(seen & ~repeated)).to_pylist()
        self._remember(keys, ~repeated)
        clean = _rows(samples, ~repeated & ~suspect)
        return Sifted(clean, _rows(samples, suspect), contested, int(repeated.sum()))

    def remember(self, samples: pa.Table) -> None:
        """Take samples (SAMPLES) that the store knows."""
        self._remember(_keys(samples), np.ones(samples.num_rows, bool))

    def remember_ids(self, message_ids: pa.Array) -> None:
        """Take ids that the store knows; their content is looked up there when they come again."""
        ids = hashed(message_ids)
        self._ids.put(ids, np.zeros(len(ids), np.uint64))

    def remember_series(self, meters: pa.Array, resources: pa.Array, newest: pa.Array) -> None:
        """Take the newest timestamp (ms) of series that the store knows."""
        series = series_keys(hashed(meters), hashed(resources))
        moments = newest.cast(pa.int64()).to_numpy(zero_copy_only=False)
        self._advance(series, (moments + 1).astype(np.uint64))

    def _remember(self, keys: "_Keys", rows: Mask) -> None:
        self._ids.put(keys.ids[rows], keys.contents[rows])
        self._advance(keys.series[rows], keys.moments[rows])

    def _advance(self, series: U64, moments: U64) -> None:
        order = np.argsort(moments, kind="stable")  # of equal series the newest stays
        series, moments = series[order], moments[order]
        known, _ = self._newest.get(series)
        self._newest.put(series, np.maximum(known, moments))


def ids_of(samples: pa.Table) -> pa.Table:
    """Return the message ids of samples (SAMPLES) with their contents (IDS)."""
    contents = _contents(samples, _labels(samples))
    return pa.table([samples["message_id"], pa.array(contents)], schema=IDS)


@dataclasses.dataclass(slots=True)
class _Keys:
    ids: U64
    series: U64
    moments: U64  # ms + 1, 0 before 1970
    series_moments: U64
    contents: U64


def _keys(samples: pa.Table) -> _Keys:
    labels = _labels(samples)
    stamps = samples["timestamp"].cast(pa.int64()).to_numpy()
    series = series_keys(labels["meter"], labels["resource_id"])
    ids = hashed(samples["message_id"])
    # Deltas of one moment are told apart by their ids.
    deltas = np.where(labels["type"] == _DELTA, ids, np.uint64(0))
    moments = stamps.view(np.uint64)
    return _Keys(
        ids=ids,
        series=series,
        moments=np.maximum(stamps + 1, 0).astype(np.uint64),
        series_moments=mixed([series, moments, deltas]),
        contents=_contents(samples, labels),
    )


def _labels(samples: pa.Table) -> dict[str, U64]:
    return {name: label_hashes(samples[name]) for name in _CONTENT}


def _contents(samples: pa.Table, labels: dict[str, U64]) -> U64:
    """Return a hash of each sample without its id, the same in all processes of one installation."""
    moments = samples["timestamp"].cast(pa.int64()).to_numpy().view(np.uint64)
    volumes = samples["volume"].to_numpy() + 0.0  # -0.0 is 0.0
    return mixed([*labels.values(), moments, volumes.view(np.uint64)])


def _shared(numbers: U64, among: Mask) -> Mask:
    """Return which rows share their number with another row of `among`."""
    _, inverse, counts = np.unique(numbers[among], return_inverse=True, return_counts=True)
    shared = np.zeros(len(numbers), bool)
    shared[among] = counts[inverse] > 1
    return shared


def _repeated_within(ids: U64, contents: U64) -> Mask:
    """Return which rows repeat an earlier row of the batch, id and content."""
    both = ids ^ (contents * SPREAD)
    _, first = np.unique(both, return_index=True)
    repeated = np.ones(len(ids), bool)
    repeated[first] = False
    return repeated


def _rows(samples: pa.Table, mask: Mask) -> pa.Table:
    return samples if mask.all() else samples.filter(pa.array(mask))
