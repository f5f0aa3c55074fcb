"""Adding up: entries to rows of the shortest period, and those to rows of a longer one.

Sums are taken in the order given, one by one, so that a stream cut anywhere gives the same bytes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

_NONE = np.iinfo(np.uint32).max


def added_up(entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a row (ROW) for each series, owner, kind and window, in order of their first entry's.

    Shape: entries (ROW) in order of time within each series.
    """
    if not len(entries):
        return entries
    entries = _by_row(entries)
    starts = np.flatnonzero(_changes(entries))
    group = np.zeros(len(entries), np.int64)
    group[starts[1:]] = 1
    group = np.cumsum(group)
    rows: npt.NDArray[Any] = entries[starts].copy()
    for name in ("sum", "amount", "covered"):
        # bincount adds in order from 0.0; reduceat would add in pairs.
        rows[name] = np.bincount(group, entries[name])
    rows["count"] = np.add.reduceat(entries["count"], starts)
    rows["min"] = np.minimum.reduceat(entries["min"], starts)
    rows["max"] = np.maximum.reduceat(entries["max"], starts)
    cadence = np.where(entries["cadence"] == 0, _NONE, entries["cadence"])
    shortest = np.minimum.reduceat(cadence, starts)
    rows["cadence"] = np.where(shortest == _NONE, 0, shortest)
    _take_ends(rows, entries, starts)
    return rows


def in_longer(rows: npt.NDArray[Any], period: int) -> npt.NDArray[Any]:
    """Return rows (ROW) of a longer period, from those of the shortest in order of time."""
    longer = rows.copy()
    longer["window"] = rows["window"] // period * period
    return added_up(longer)


def by_series(*parts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows together by series, otherwise in the order given."""
    rows = np.concatenate(parts)
    together: npt.NDArray[Any] = rows[np.argsort(rows["series"], kind="stable")]
    return together


def _by_row(entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the entries with those of one row together, otherwise as they are.

    They are already, but where a series returns to an owner within a window.
    """
    same = entries["series"][1:] == entries["series"][:-1]
    moved = (entries["owner"][1:] != entries["owner"][:-1]) | (
        entries["kind"][1:] != entries["kind"][:-1]
    )
    if not bool((same & moved).any()):
        return entries
    keys = (entries["kind"], entries["owner"], entries["window"], entries["series"])
    together: npt.NDArray[Any] = entries[np.lexsort(keys)]  # stable
    return together


def _changes(entries: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    changes = np.ones(len(entries), np.bool_)
    changes[1:] = False
    for name in ("series", "window", "owner", "kind"):
        changes[1:] |= entries[name][1:] != entries[name][:-1]
    return changes


def _take_ends(
    rows: npt.NDArray[Any], entries: npt.NDArray[Any], starts: npt.NDArray[np.int64]
) -> None:
    """Set first and last of each row from its own samples, where it has some."""
    places = np.arange(len(entries))
    counted = entries["count"] > 0
    first = np.minimum.reduceat(np.where(counted, places, len(entries)), starts)
    last = np.maximum.reduceat(np.where(counted, places, -1), starts)
    some = last >= 0
    for name, none in (("first", 0.0), ("last", 0.0), ("first_at", -1), ("last_at", -1)):
        rows[name][~some] = none
    for name, ends in (("first", first), ("last", last)):
        rows[name][some] = entries[name][ends[some]]
        rows[f"{name}_at"][some] = entries[f"{name}_at"][ends[some]]
