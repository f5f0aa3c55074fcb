"""Covering a range of time with windows: the longest first, shorter ones beside them."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """The time [start, end) in ms, covered by windows of a period (ms), by none where it is 0."""

    start: int
    end: int
    period: int


def tiled(low: int, high: int, since: Sequence[tuple[int, int]], until: int) -> list[Span]:
    """Return spans that cover [low, high) in order, of windows that end at `until` at the latest.

    `since` has the periods, each with the time its windows are complete from. Units: ms.
    """
    if low >= high:
        return []
    if not since:
        return [Span(low, high, 0)]
    (period, first), *shorter = sorted(since, reverse=True)
    start = -(-max(low, first) // period) * period
    end = min(high, until) // period * period
    if start >= end:
        return tiled(low, high, shorter, until)
    before, after = tiled(low, start, shorter, until), tiled(end, high, shorter, until)
    return [*before, Span(start, end, period), *after]
