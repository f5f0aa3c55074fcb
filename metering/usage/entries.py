"""What each sample adds to which window, in order of time: pieces of the interval before it, then itself.

Source: docs/usage.md, whose rules these are.
"""

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metering.usage.labels import CUMULATIVE, DELTA, GAUGE, I64

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# What a series' samples add up to in one window, or a part of it. Units: at and window in ms, amount
# of a gauge in unit x ms; cadence 0 and times -1 where there are none.
ROW: Final = np.dtype(
    [
        ("series", "i8"),
        ("kind", "u4"),
        ("owner", "u4"),
        ("window", "i8"),  # its start
        ("count", "u4"),
        ("cadence", "u4"),
        ("first_at", "i8"),
        ("last_at", "i8"),
        ("first", "f8"),
        ("last", "f8"),
        ("min", "f8"),
        ("max", "f8"),
        ("sum", "f8"),
        ("amount", "f8"),
        ("covered", "f8"),  # ms; whole, so sums are exact
    ]
)
_LONGEST: Final = 2**32 - 1  # ms; 49 days


@dataclasses.dataclass(slots=True)
class Intervals:
    """The interval before each sample: from the sample before it, where there is one it goes on from.

    Shape: arrays of a row a sample, sorted by series and time. Units: ms.
    """

    begin: I64
    end: I64
    value: F64  # at its begin
    owner: npt.NDArray[np.uint32]  # of the sample at its begin
    until: I64  # where what it adds ends: a gauge's value is not held for ever
    covered: I64  # up to when it counts as covered
    goes_on: Mask  # same type and unit, and later

    @classmethod
    def between(
        cls, before: npt.NDArray[Any], samples: npt.NDArray[Any], knows: Mask, types: I64, gaps: I64
    ) -> "Intervals":
        """Return the interval before each sample (NUMBERED); `before` is the one before it, where `knows`."""
        begin, end = before["at"], samples["at"]
        covered = np.where(before["ended"] == 1, begin, np.minimum(end, begin + gaps))
        covered = np.where(types == CUMULATIVE, np.minimum(end, begin + gaps), covered)
        until = np.where(types == GAUGE, covered, np.where(types == CUMULATIVE, end, begin))
        goes_on = knows & (before["kind"] == samples["kind"]) & (end > begin)
        return cls(begin, end, before["volume"], before["owner"], until, covered, goes_on)

    def pieces(self, period: int) -> I64:
        """Return how many windows each passes through."""
        passes = self.goes_on & (self.until > self.begin)
        return np.where(passes, (self.until - 1) // period - self.begin // period + 1, 0)


def entries(
    samples: npt.NDArray[Any],
    series: I64,
    before: Intervals,
    lead: npt.NDArray[Any],
    leads: Mask,
    types: I64,
    period: int,
) -> npt.NDArray[Any]:
    """Return what to add up (ROW), in order of series and time.

    Shape: of each sample the row so far that goes before it (`lead`, a row each where `leads`), the
        pieces of its interval by window, and itself.
    """
    pieces = before.pieces(period)
    width = leads + pieces + 1
    own = np.cumsum(width) - 1  # the places of the samples themselves
    which = np.repeat(np.arange(len(samples)), width)
    rows = _blank(series[which], samples["kind"][which])
    _put_samples(rows, own, samples, before, types, period)
    rows[(own - width + 1)[leads]] = lead
    nth = np.arange(len(rows)) - (own - width + 1 + leads)[which]
    piece = (nth >= 0) & (nth < pieces[which])
    if piece.any():
        _put_pieces(rows, piece, nth[piece], which[piece], samples, before, types, period)
    return rows


def held(
    lasts: npt.NDArray[Any], series: I64, until: I64, types: I64, gaps: I64, period: int
) -> npt.NDArray[Any]:
    """Return what the values last seen (NUMBERED) add up to a time (ROW): only gauges are held."""
    begin = lasts["at"]
    stays = (types == GAUGE) & (lasts["ended"] == 0)
    end = np.where(stays, np.maximum(np.minimum(begin + gaps, until), begin), begin)
    span = Intervals(begin, end, lasts["volume"], lasts["owner"], end, end, end > begin)
    pieces = span.pieces(period)
    which = np.repeat(np.arange(len(lasts)), pieces)
    rows = _blank(series[which], lasts["kind"][which])
    nth = np.arange(len(rows)) - (np.cumsum(pieces) - pieces)[which]
    _put_pieces(rows, np.ones(len(rows), np.bool_), nth, which, lasts, span, types, period)
    return rows


def _blank(series: I64, kinds: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    rows = np.zeros(len(series), ROW)
    rows["series"], rows["kind"] = series, kinds
    rows["first_at"] = rows["last_at"] = -1
    rows["min"], rows["max"] = np.inf, -np.inf
    return rows


def _put_samples(
    rows: npt.NDArray[Any],
    own: I64,
    samples: npt.NDArray[Any],
    before: Intervals,
    types: I64,
    period: int,
) -> None:
    volumes, at = samples["volume"], samples["at"]
    rows["owner"][own] = samples["owner"]
    rows["window"][own] = at // period * period
    rows["count"][own] = 1
    polled = before.goes_on & (types != DELTA)  # deltas come when something happens
    rows["cadence"][own] = np.where(polled, np.minimum(at - before.begin, _LONGEST), 0)
    rows["first_at"][own] = rows["last_at"][own] = at
    for name in ("first", "last", "min", "max"):
        rows[name][own] = volumes
    rows["sum"][own] = np.where(types == CUMULATIVE, 0.0, volumes)
    rows["amount"][own] = np.where(types == DELTA, volumes, 0.0)


def _put_pieces(
    rows: npt.NDArray[Any],
    piece: Mask,
    nth: I64,
    which: I64,
    samples: npt.NDArray[Any],
    before: Intervals,
    types: I64,
    period: int,
) -> None:
    """Put the part of each interval that lies in each window: a value held, or a share of growth."""
    begin, end, value = before.begin[which], before.end[which], before.value[which]
    window = (begin // period + nth) * period
    since = np.maximum(begin, window)
    until = np.minimum(before.until[which], window + period)
    growth = growth_between(value, samples["volume"][which])
    share = _share(growth, until - begin, end - begin) - _share(growth, since - begin, end - begin)
    rows["owner"][piece] = before.owner[which]
    rows["window"][piece] = window
    rows["amount"][piece] = np.where(types[which] == GAUGE, value * (until - since), share)
    rows["covered"][piece] = np.maximum(np.minimum(until, before.covered[which]) - since, 0)


def growth_between(before: F64, volume: F64) -> F64:
    """Return how much a counter grew: a smaller volume is a reset and counts from zero; never negative."""
    return np.maximum(np.where(volume < before, volume, volume - before), 0.0)


def _share(growth: F64, part: I64, whole: I64) -> F64:
    """Return the share of a growth up to a part of its time; all of it at the end, exactly."""
    return np.where(part == whole, growth, growth * part / whole)
