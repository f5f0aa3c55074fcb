"""What a normalizer remembers between batches: hash tables of 64-bit numbers, vectorized.

A Python dict costs 100 bytes an entry and a loop a row; these cost 16 bytes a place, at most half
of the places filled, and work on whole columns.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_FIRST: Final = 1024  # places a table starts with; a power of two
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, near 2**64 / golden ratio


class NumberMap:
    """A map from 64-bit numbers to 64-bit numbers by open addressing; 0 is no key.

    Units: 16 bytes a place; it doubles when half full.
    """

    def __init__(self, expected: int = 0) -> None:
        size = max(_FIRST, 1 << (2 * expected - 1).bit_length()) if expected else _FIRST
        self._keys: U64 = np.zeros(size, np.uint64)
        self._values: U64 = np.zeros(size, np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, keys: U64) -> tuple[U64, Mask]:
        """Return the value of each key, and which keys are there."""
        places = self._find(keys)
        found = self._keys[places] == keys
        return np.where(found, self._values[places], np.uint64(0)), found

    def put(self, keys: U64, values: U64) -> None:
        """Set the value of each key; of a key that stands twice, the last value stays."""
        self._grow(len(keys))
        self._put(keys, values)

    def _put(self, keys: U64, values: U64) -> None:
        places = self._find(keys)
        waiting = np.flatnonzero(self._keys[places] == 0)
        while len(waiting):
            self._keys[places[waiting]] = keys[waiting]
            # Of several new keys that want one place the last has it; the others go on.
            lost = self._keys[places[waiting]] != keys[waiting]
            self._count += len(np.unique(places[waiting]))
            waiting = waiting[lost]
            places[waiting] = self._find(keys[waiting])
            waiting = waiting[self._keys[places[waiting]] == 0]
        self._values[places] = values  # numpy: of equal places the last value stays

    def _find(self, keys: U64) -> npt.NDArray[np.int64]:
        """Return for each key its place, or the empty place where it would go."""
        mask = len(self._keys) - 1
        spread = (keys * _SPREAD) >> np.uint64(20)
        places: npt.NDArray[np.int64] = spread.astype(np.int64) & mask
        searching = np.arange(len(keys))
        while len(searching):
            there = self._keys[places[searching]]
            searching = searching[(there != 0) & (there != keys[searching])]
            places[searching] = (places[searching] + 1) & mask
        return places

    def _grow(self, more: int) -> None:
        size = len(self._keys)
        while 2 * (self._count + more) > size:
            size *= 2
        if size != len(self._keys):
            filled = self._keys != 0
            keys, values = self._keys[filled], self._values[filled]
            self._keys, self._values = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
            self._count = 0
            self._put(keys, values)


class RecentIds:
    """The content of recent message ids: at least the newest `bound / 2`, at most `bound`.

    Units: about 32 bytes an id.
    """

    def __init__(self, bound: int) -> None:
        self._half = max(bound // 2, 1)
        self._newer, self._older = NumberMap(self._half), NumberMap()

    def get(self, ids: U64) -> tuple[U64, Mask]:
        """Return the content of each id, and which ids are known."""
        newer, in_newer = self._newer.get(ids)
        older, in_older = self._older.get(ids)
        return np.where(in_newer, newer, older), in_newer | in_older

    def put(self, ids: U64, contents: U64) -> None:
        """Remember ids with the hash of their content."""
        if len(self._newer) >= self._half:
            self._newer, self._older = NumberMap(self._half), self._newer
        self._newer.put(ids, contents)
