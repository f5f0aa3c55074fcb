"""The distinct numbers of a column, and where each row's is among them: faster than sorting where few are possible."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

_SMALL: Final = 1 << 20  # possible numbers that are counted rather than sorted


def distinct(numbers: npt.NDArray[Any], size: int) -> tuple[I64, I64]:
    """Return the distinct numbers, from 0 and below `size`, and the place of each row's among them."""
    if size > _SMALL:
        found, rows = np.unique(numbers, return_inverse=True)
        return found.astype(np.int64), rows
    there = np.zeros(size, np.bool_)
    there[numbers] = True
    found = np.flatnonzero(there)
    places = np.empty(size, np.int64)
    places[found] = np.arange(len(found))
    return found, places[numbers]
