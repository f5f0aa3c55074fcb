"""The last samples that a chain looks back at.

Units: 24 bytes a series besides its key.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metering.memory import U64, KeyIndex, grown

NONE: Final = np.uint32(0xFFFFFFFF)  # the kind of what is not known

# facts is the number of what an expression reads of the metadata. Units: at in ms.
LAST: Final = np.dtype([("at", "i8"), ("volume", "f8"), ("kind", "u4"), ("facts", "u4")])
UNKNOWN: Final = np.array((0, 0.0, NONE, 0), LAST)

Lasts = npt.NDArray[Any]  # of LAST
Places = npt.NDArray[np.int64]


class LastSamples:
    """The newest sample of each series; of `width` series under one key."""

    def __init__(self, width: int = 1) -> None:
        self._width = width
        self._index = KeyIndex()
        self._lasts = np.zeros(0, LAST)

    def places(self, keys: U64) -> Places:
        """Return where the series of these keys, each once, are kept; those that are new are added."""
        places = self._index.find(keys)
        fresh = np.flatnonzero(places < 0)
        if len(fresh):
            before = len(self._index) * self._width
            places[fresh] = self._index.add(keys[fresh])
            self._lasts = grown(self._lasts, len(self._index) * self._width)
            self._lasts[before : len(self._index) * self._width] = UNKNOWN
        return places

    def of(self, places: Places, nth: int = 0) -> Lasts:
        """Return the newest of each; its kind is NONE where there is none."""
        found: Lasts = self._lasts[places * self._width + nth]
        return found

    def put(self, places: Places, lasts: Lasts, nth: int = 0) -> None:
        """Set the newest of each."""
        self._lasts[places * self._width + nth] = lasts

    def forget(self, places: Places) -> None:
        """Know none of these any more."""
        for nth in range(self._width):
            self._lasts[places * self._width + nth] = UNKNOWN

    def nbytes(self) -> int:
        """Return the bytes it holds."""
        return self._index.nbytes() + self._lasts.nbytes
