"""What is remembered of each live series: its last sample, and what its open windows hold so far.

Units: 29 bytes a series and 56 a period, besides its key.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metering.memory import U64, KeyIndex, grown
from metering.usage.entries import ROW
from metering.usage.labels import I64, NUMBERED

ENDED: Final = 1  # nothing is held beyond the last sample
STALE: Final = 2  # is to be worked out again; samples are not added meanwhile
EMPTY: Final = 4  # had no sample yet

# What a window holds so far. Units: ms; first_at is counted from the window's start.
_HELD: Final = np.dtype(
    [
        ("count", "u4"),
        ("cadence", "u4"),
        ("first_at", "u4"),
        ("covered", "u4"),
        ("first", "f8"),
        ("min", "f8"),
        ("max", "f8"),
        ("sum", "f8"),
        ("amount", "f8"),
    ]
)
_SAME: Final = ("count", "cadence", "first", "min", "max", "sum", "amount", "covered")


class SeriesTable:
    """The live series, by number.

    State: a row a series; of each period the window of its last sample, where longer periods hold the
        rows of the shortest that are complete.
    """

    def __init__(self, periods: tuple[int, ...]) -> None:
        self._periods = periods
        self._index = KeyIndex()
        fields = [("at", "i8"), ("volume", "f8"), ("kind", "u4"), ("owner", "u4")]
        fields += [("resource", "u4"), ("flags", "u1")]
        self._row = np.dtype([*fields, *((f"held{n}", _HELD) for n in range(len(periods)))])
        self._rows = np.zeros(0, self._row)

    def __len__(self) -> int:
        return len(self._index)

    def find(self, keys: U64) -> I64:
        """Return the number of each series, -1 where there is none."""
        return self._index.find(keys)

    def add(self, keys: U64) -> I64:
        """Take series that are not there, each once, without a sample yet; return their numbers."""
        numbers = self._index.add(keys)
        self._rows = grown(self._rows, len(self._index))
        self.empty(numbers)
        return numbers

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column over all series."""
        values: npt.NDArray[Any] = self._rows[name][: len(self._index)]
        return values

    def some(self, numbers: I64) -> "SomeSeries":
        """Return what is remembered of these series now."""
        return SomeSeries(self._periods, numbers, self._rows[numbers])

    def set_lasts(self, numbers: I64, lasts: npt.NDArray[Any]) -> None:
        """Set the last sample of each; they are neither stale nor empty then."""
        for name in ("at", "volume", "kind", "owner", "resource"):
            self._rows[name][numbers] = lasts[name]
        self._rows["flags"][numbers] = np.where(lasts["ended"] == 1, ENDED, 0)

    def empty(self, numbers: I64) -> None:
        """Forget what is remembered of these but their resource, as if they had had no sample."""
        none = np.zeros(len(numbers), self._row)
        none["flags"], none["resource"] = EMPTY, self._rows["resource"][numbers]
        self._rows[numbers] = none

    def mark(self, numbers: I64, flag: int) -> None:
        """Set a flag."""
        self._rows["flags"][numbers] |= flag

    def set_held(self, rows: npt.NDArray[Any], nth: int) -> None:
        """Set what the nth period's window holds, of the series that the rows (ROW) name."""
        kept = np.zeros(len(rows), _HELD)
        for name in _SAME:
            kept[name] = rows[name]
        kept["first_at"] = np.where(rows["count"] > 0, rows["first_at"] - rows["window"], 0)
        self._rows[f"held{nth}"][rows["series"]] = kept

    def clear_held(self, numbers: I64, nth: int) -> None:
        """Have the nth period's window hold nothing."""
        self._rows[f"held{nth}"][numbers] = np.zeros(1, _HELD)

    def keep(self, numbers: I64, moved: dict[str, npt.NDArray[np.uint32]]) -> U64:
        """Forget all but these, in this order; return the keys of the others.

        `moved` has the new number of each old one of kind, owner and resource.
        """
        rows, keys = self._rows[numbers], self._index.keys[numbers]
        gone = np.ones(len(self), np.bool_)
        gone[numbers] = False
        forgotten: U64 = self._index.keys[gone]
        for name, new in moved.items():
            rows[name] = new[rows[name]]
        self._index, self._rows = KeyIndex(len(keys)), rows
        self._index.add(keys)
        return forgotten

    def nbytes(self) -> int:
        """Return the bytes it holds."""
        return self._index.nbytes() + self._rows.nbytes


class SomeSeries:
    """What is remembered of some series: read at once, as a row of each is a cache line or three."""

    def __init__(self, periods: tuple[int, ...], numbers: I64, rows: npt.NDArray[Any]) -> None:
        self._periods, self.numbers, self._rows = periods, numbers, rows

    def __getitem__(self, mask: npt.NDArray[np.bool_]) -> "SomeSeries":
        return SomeSeries(self._periods, self.numbers[mask], self._rows[mask])

    def has(self, flags: int) -> npt.NDArray[np.bool_]:
        """Return which have one of the flags."""
        found: npt.NDArray[np.bool_] = (self._rows["flags"] & flags) != 0
        return found

    def newest(self) -> I64:
        """Return the time (ms) of the last sample of each, before all times where there is none."""
        newest: I64 = np.where(self.has(EMPTY), np.iinfo(np.int64).min, self._rows["at"])
        return newest

    def lasts(self) -> npt.NDArray[Any]:
        """Return the last sample of each (NUMBERED, without its key)."""
        lasts = np.empty(len(self.numbers), NUMBERED)
        for name in ("at", "volume", "kind", "owner", "resource"):
            lasts[name] = self._rows[name]
        lasts["ended"] = self.has(ENDED)
        return lasts

    def held(self, nth: int) -> npt.NDArray[Any]:
        """Return what the nth period's window of each series' last sample holds (ROW)."""
        rows, period = self._rows, self._periods[nth]
        found, kept = np.zeros(len(rows), ROW), rows[f"held{nth}"]
        found["series"], found["kind"], found["owner"] = self.numbers, rows["kind"], rows["owner"]
        found["window"] = rows["at"] // period * period
        for name in _SAME:
            found[name] = kept[name]
        some = kept["count"] > 0
        found["first_at"] = np.where(some, found["window"] + kept["first_at"], -1)
        found["last_at"], found["last"] = np.where(some, rows["at"], -1), rows["volume"]
        found["min"][~some], found["max"][~some] = np.inf, -np.inf
        return found
