"""The transformers of Ceilometer's pipeline.yaml, over rows in order of event time.

Shape: rows (metering.derived.rows.ROW), sorted by series, time and volume -> rows. A volume that can't
    be had is NaN.
Source: Ceilometer 9's transformers; docs/derived.md tells where these differ.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.derived.memory import LAST, UNKNOWN, Lasts
from metering.derived.rows import (
    CUMULATIVE,
    GAUGE,
    Kinds,
    Rows,
    firsts,
    of_kinds,
)
from metering.derived.scaling import Naming, Scale
from metering.usage.entries import growth_between


@dataclasses.dataclass(frozen=True, slots=True)
class UnitConversion:
    """Scales volumes; a sample of another unit than `source_unit` passes as it is."""

    naming: Naming
    scale: Scale
    source_unit: str | None = None

    def rows(self, rows: Rows, samples: pa.Table, kinds: Kinds) -> Rows:
        """Return the rows scaled and renamed."""
        converted: Rows = rows.copy()
        volumes = self.scale.bounded(self.scale.volumes(rows, samples))
        takes = np.ones(len(rows), np.bool_)
        if self.source_unit is not None:
            takes = (of_kinds(kinds, "unit") == self.source_unit)[rows["kind"]]
        converted["volume"] = np.where(takes, volumes, rows["volume"])
        converted["kind"] = np.where(takes, self.naming.renamed(rows, kinds), rows["kind"])
        return converted


@dataclasses.dataclass(frozen=True, slots=True)
class RateOfChange:
    """Growth since the sample before by seconds; a counter that fell counts from zero."""

    naming: Naming
    scale: Scale

    def rows(self, rows: Rows, before: Lasts, samples: pa.Table, kinds: Kinds) -> Rows:
        """Return a rate for each row that goes on from the one before it."""
        rows, before = _going_on(rows, before)
        cumulative = (of_kinds(kinds, "type") == CUMULATIVE)[rows["kind"]]
        change = rows["volume"] - before["volume"]
        growth = np.where(cumulative, growth_between(before["volume"], rows["volume"]), change)
        rates = growth / ((rows["at"] - before["at"]) / 1000.0)
        made: Rows = rows.copy()
        made["volume"] = self.scale.bounded(self.scale.factors(rows, samples) * rates)
        made["kind"], made["nth"] = self.naming.renamed(rows, kinds), 0
        return made


@dataclasses.dataclass(frozen=True, slots=True)
class Delta:
    """The difference to the sample before; with `growth_only` how much it grew, and nothing where it fell.

    With it, a counter that fell counts from zero.
    """

    naming: Naming
    growth_only: bool

    def rows(self, rows: Rows, before: Lasts, samples: pa.Table, kinds: Kinds) -> Rows:
        """Return a delta for each row that goes on from the one before it."""
        rows, before = _going_on(rows, before)
        made: Rows = rows.copy()
        made["volume"] = rows["volume"] - before["volume"]
        made["kind"], made["nth"] = self.naming.renamed(rows, kinds), 0
        if self.growth_only:
            cumulative = (of_kinds(kinds, "type") == CUMULATIVE)[rows["kind"]]
            growth = growth_between(before["volume"], rows["volume"])
            made["volume"] = np.where(cumulative, growth, made["volume"])
            made = made[made["volume"] >= 0]
        return made


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregator:
    """One sample of each group's samples in a window of event time, in parts of `size` samples.

    Cumulative: the last; delta: the sum; gauge: the mean. `project`, `user` and `metadata` say which
    sample lends them; where the first two say nothing, each has a group of its own. Units: ms.
    """

    naming: Naming
    scale: Scale
    window: int
    size: int | None
    project: str | None
    user: str | None
    metadata: str
    timestamp: str

    def rows(self, rows: Rows, samples: pa.Table, kinds: Kinds, until: int) -> Rows:
        """Return the aggregates of windows that end at `until` or before."""
        scaled = rows.copy()
        scaled["volume"] = self.scale.volumes(rows, samples)
        windows = rows["at"] // self.window
        kept = ((windows + 1) * self.window <= until) & np.isfinite(scaled["volume"])
        if not kept.any():
            return rows[:0]
        scaled, groups = self._grouped(scaled[kept], windows[kept], samples)
        first = np.flatnonzero(firsts(groups))
        last = np.append(first[1:], len(groups)) - 1
        made: Rows = scaled[last]
        made["volume"] = self.scale.bounded(_aggregated(scaled, groups, first, last, kinds))
        made["at"] = scaled["at"][first if self.timestamp == "first" else last]
        made["project"] = scaled["project"][first if self.project == "first" else last]
        made["user"] = scaled["user"][first if self.user == "first" else last]
        made["metadata"] = scaled["metadata"][first if self.metadata == "first" else last]
        if self.metadata == "drop":
            made["metadata"] = -1
        made["kind"] = self.naming.renamed(made, kinds)
        return _counted(made)

    def _grouped(
        self, rows: Rows, windows: npt.NDArray[np.int64], samples: pa.Table
    ) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Return the rows by group, in order of event time within each, and each row's group."""
        columns = [rows["series"], windows.astype(np.uint64), rows["kind"].astype(np.uint64)]
        for column, rule in (("project_id", self.project), ("user_id", self.user)):
            if rule is None:
                codes = samples[column].combine_chunks().indices.to_numpy()
                columns.append(codes[rows[column.removesuffix("_id")]].astype(np.uint64))
        _, groups = np.unique(np.stack(columns), axis=1, return_inverse=True)
        groups = groups.reshape(-1)  # of another shape in some versions
        order = np.argsort(groups, kind="stable")
        groups = groups[order]
        if self.size:
            places = np.arange(len(groups))
            start = np.maximum.accumulate(np.where(firsts(groups), places, 0))
            groups = groups * (len(groups) + 1) + (places - start) // self.size
        return rows[order], groups


def _aggregated(
    rows: Rows,
    groups: npt.NDArray[Any],
    first: npt.NDArray[Any],
    last: npt.NDArray[Any],
    kinds: Kinds,
) -> npt.NDArray[np.float64]:
    types = of_kinds(kinds, "type")[rows["kind"][last]]
    which = np.cumsum(firsts(groups)) - 1
    sums = np.bincount(which, rows["volume"])  # in order, one by one
    values = np.where(types == GAUGE, sums / (last - first + 1), sums)
    aggregated: npt.NDArray[np.float64] = np.where(
        types == CUMULATIVE, rows["volume"][last], values
    )
    return aggregated


def _counted(rows: Rows) -> Rows:
    """Return rows sorted by series and time, numbered where a series has several at a moment."""
    rows = rows[np.lexsort((rows["parent"], rows["volume"], rows["at"], rows["series"]))]
    same = ~firsts(rows["series"])
    same[1:] &= rows["at"][1:] == rows["at"][:-1]
    places = np.arange(len(rows))
    rows["nth"] = places - np.maximum.accumulate(np.where(same, 0, places))
    return rows


def neighbours(rows: Rows, lasts: Lasts | None) -> Lasts:
    """Return the row before each in its series (LAST); `lasts` are those before the first ones."""
    before = np.zeros(len(rows), LAST)
    first = firsts(rows["series"])
    for name in ("at", "volume", "kind"):
        before[name][1:] = rows[name][:-1]
    before[first] = UNKNOWN if lasts is None else lasts
    return before


def _going_on(rows: Rows, before: Lasts) -> tuple[Rows, Lasts]:
    """Return the rows that are later than the ones before them, and of the same type and unit."""
    goes_on = (before["kind"] == rows["kind"]) & (before["at"] < rows["at"])
    return rows[goes_on], before[goes_on]
