"""What a normalizer remembers between batches: hash tables of 64-bit numbers, vectorized.

A Python dict costs 100 bytes an entry and a loop a row; these cost two dozen and work on whole
columns.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_FIRST: Final = 1024  # slots a table starts with; a power of two
SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, near 2**64 / golden ratio
_SLACK: Final = 1.125  # how much more than needed an array grows: memory against copying


def grown(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return the array with room for `size` rows, itself where it has; more than asked for."""
    if len(array) < size:
        # In place, as no one else holds it: the system moves the pages of a large one, not the bytes.
        array.resize(max(int(size * _SLACK), _FIRST), refcheck=False)
    return array


class KeyIndex:
    """Numbers 64-bit keys in the order they come: 0, 1, 2 ... by open addressing; 0 is no key.

    Units: 8 bytes a key, and 4 a slot, of which a third to two thirds are filled.
    """

    def __init__(self, expected: int = 0) -> None:
        self._keys: U64 = np.zeros(expected, np.uint64)
        self._count = 0
        self._index(expected)

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> U64:
        """The keys by their numbers."""
        return self._keys[: self._count]

    def find(self, keys: U64) -> npt.NDArray[np.int64]:
        """Return the number of each key, -1 where it has none."""
        places = self._places(keys)
        numbers = self._slots[places].astype(np.int64)
        searching = np.flatnonzero(self._others(numbers, keys))
        while len(searching):
            places[searching] = (places[searching] + 1) & self._mask
            there = self._slots[places[searching]].astype(np.int64)
            numbers[searching] = there
            searching = searching[self._others(there, keys[searching])]
        return numbers - 1

    def add(self, keys: U64) -> npt.NDArray[np.int64]:
        """Number keys that have none yet, each once; return their numbers."""
        numbers = np.arange(self._count, self._count + len(keys))
        self._count += len(keys)
        self._keys = grown(self._keys, self._count)
        self._keys[numbers] = keys
        if 3 * self._count > 2 * len(self._slots):
            self._index(self._count)
        else:
            self._fill(numbers)
        return numbers

    def nbytes(self) -> int:
        """Return the bytes it holds."""
        return self._keys.nbytes + self._slots.nbytes

    def _index(self, expected: int) -> None:
        size = max(_FIRST, 1 << (3 * expected // 2).bit_length())
        self._slots = np.zeros(size, np.uint32)  # a key's number + 1
        self._mask = size - 1
        self._fill(np.arange(self._count))

    def _fill(self, numbers: npt.NDArray[np.int64]) -> None:
        places = self._places(self._keys[numbers])
        while len(numbers):
            free = self._slots[places] == 0
            self._slots[places[free]] = numbers[free] + 1
            # Of several that want one slot the last has it; the others go on.
            waiting = self._slots[places] != numbers + 1
            numbers, places = numbers[waiting], (places[waiting] + 1) & self._mask

    def _places(self, keys: U64) -> npt.NDArray[np.int64]:
        spread: npt.NDArray[np.int64] = ((keys * SPREAD) >> np.uint64(20)).astype(np.int64)
        return spread & self._mask

    def _others(self, numbers: npt.NDArray[np.int64], keys: U64) -> Mask:
        """Return where a slot holds another key than the one looked for."""
        others: Mask = numbers != 0
        others[others] = self._keys[numbers[others] - 1] != keys[others]
        return others


class NumberMap:
    """A map from 64-bit numbers to 64-bit numbers; 0 is no key.

    Units: 8 bytes an entry besides its KeyIndex.
    """

    def __init__(self, expected: int = 0) -> None:
        self._index = KeyIndex(expected)
        self._values: U64 = np.zeros(expected, np.uint64)

    def __len__(self) -> int:
        return len(self._index)

    def get(self, keys: U64) -> tuple[U64, Mask]:
        """Return the value of each key, and which keys are there."""
        numbers = self._index.find(keys)
        found = numbers >= 0
        values = np.zeros(len(keys), np.uint64)
        values[found] = self._values[numbers[found]]
        return values, found

    def put(self, keys: U64, values: U64) -> None:
        """Set the value of each key; of a key that stands twice, the last value stays."""
        numbers = self._index.find(keys)
        fresh = numbers < 0
        if fresh.any():
            distinct, which = np.unique(keys[fresh], return_inverse=True)
            numbers[fresh] = self._index.add(distinct)[which]
            self._values = grown(self._values, len(self._index))
        self._values[numbers] = values  # numpy: of equal places the last value stays

    def nbytes(self) -> int:
        """Return the bytes it holds."""
        return self._index.nbytes() + self._values.nbytes


class RecentIds:
    """The content of recent message ids: at least the newest `bound / 2`, at most `bound`.

    Units: about 24 bytes an id.
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
