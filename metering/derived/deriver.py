"""Derived samples of a process: at once of samples in order, again where the past changed.

Guarantee: whatever the order, the repetition and the cut of the stream, once a tick has passed the
    store holds the derived samples that docs/derived.md says of the samples in it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from metering.batches import together
from metering.derived.chain import Chain
from metering.derived.differences import revised
from metering.derived.lineage import Lineage
from metering.derived.plan import Plan
from metering.derived.rows import ROW, Kinds, Rows, firsts, mapped, rows_of
from metering.derived.waiting import (
    SCHEMA,
    Waiting,
    asked_by,
    by_resources,
    frame_of,
    oldest_of,
    parents_of,
    touched_of,
)
from metering.elements import LeastWatermark, Tick
from metering.hashes import hashed, series_keys
from metering.schema import SAMPLES
from metering.usage.labels import Numbered

_AT_ONCE: Final = 1000  # resources worked out again

History = Callable[[pa.Table], pa.Table]  # TOUCHED -> SAMPLES, as store.history


@dataclasses.dataclass(frozen=True, slots=True)
class Derived:
    """Derived samples (SAMPLES), and how many more had no number."""

    samples: pa.Table
    numberless: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Again:
    """What to write of derived samples (REVISIONS), and their series (TOUCHED)."""

    revisions: pa.Table
    touched: pa.Table


class Deriver:
    """Works out derived samples, whole batches at once.

    State: the last sample of each series that a chain looks back at (metering.derived.memory); what
        waits for a tick. `know` brings back the first.
    """

    def __init__(self, chains: Sequence[Chain]) -> None:
        self.plan = Plan(chains)
        self._kinds: Kinds = Numbered()
        self._lineage = Lineage(self._kinds)
        self._lasts = [chain.lasts() for chain in chains]
        self._waiting = Waiting(self.plan)
        self._watermark = LeastWatermark()

    def take(self, tables: Sequence[pa.Table]) -> Derived:
        """Return what is derived of samples (SAMPLES), each newer than all its series had before."""
        wanted = [part for part in map(self._wanted, tables) if part.num_rows]
        if not wanted:
            return Derived(SAMPLES.empty_table())
        samples = together(wanted)
        rows = rows_of(samples, self._kinds)
        made = [
            self._made(place, mine, samples)
            for place in range(len(self.plan.chains))
            if len(mine := rows[self.plan.takes(place, self._kinds)[rows["kind"]]])
        ]
        return self._derived(made, samples)

    def know(self, samples: pa.Table) -> None:
        """Take the newest sample (SAMPLES) of each series that the store has."""
        samples = self._wanted(samples)
        rows = rows_of(samples, self._kinds)
        for place, chain in enumerate(self.plan.chains):
            mine = rows[self.plan.takes(place, self._kinds)[rows["kind"]]]
            if not len(mine):
                continue
            if chain.window is not None:
                self._waiting.open(place, chain.window, parents_of(mine, samples))
                continue
            self._remember(place, chain.before(mine, samples, self._kinds), samples)

    def touch(self, series: pa.Table) -> None:
        """Take series (TOUCHED) whose stored past changed: they are worked out again."""
        frame = frame_of(series)
        wanted = [meter for meter in frame["meter"].unique() if self.plan.places(meter)]
        frame = frame.filter(pl.col("meter").is_in(wanted))
        if frame.height:
            self._waiting.change(frame)

    def tick(self, ticks: Sequence[Tick], history: History) -> Again | None:
        """Work out again what changed before. To be called before a bundle's samples are taken.

        `history` tells what is stored, all bundles before this one and nothing else.
        """
        for tick in ticks:
            self._watermark.take(tick)
        if not ticks:
            return None
        changed = self._waiting.due(self._watermark.reached)
        version = max(tick.now for tick in ticks) // 1000
        revisions = [
            self._again(part, version, history) for part in by_resources(changed, _AT_ONCE)
        ]
        written = [table for table in revisions if table.num_rows]
        if not written:
            return None
        rows = together(written)
        return Again(rows, touched_of(oldest_of(frame_of(rows))))

    def nbytes(self) -> int:
        """Return the bytes that it remembers series in."""
        return sum(lasts.nbytes() for lasts in self._lasts)

    def _again(self, changed: pl.DataFrame, version: int, history: History) -> pa.Table:
        """Return what to write (REVISIONS) as these series changed."""
        asked = [
            asked_by(chain, self.plan.meters(place), changed)
            for place, chain in enumerate(self.plan.chains)
        ]
        samples = history(touched_of(oldest_of(pl.concat(asked))))
        rows = rows_of(samples, self._kinds)
        made = [
            self._made_again(place, since, rows, samples)
            for place, since in enumerate(asked)
            if since.height
        ]
        stored = self._stored(asked)
        existing = history(touched_of(oldest_of(stored)))
        return revised(self._derived(made, samples).samples, existing, stored, version)

    def _wanted(self, samples: pa.Table) -> pa.Table:
        """Return the samples that something is derived of."""
        if not samples.num_rows:
            return samples
        meters = samples["meter"].combine_chunks()
        wanted = [bool(self.plan.places(meter)) for meter in meters.dictionary.to_pylist()]
        if not any(wanted):
            return samples.slice(0, 0)
        return samples.filter(pa.array(np.array(wanted)[meters.indices.to_numpy()]))

    def _made(self, place: int, rows: Rows, samples: pa.Table) -> Rows:
        """Return what a chain makes of rows in order, and remember them."""
        chain, lasts = self.plan.chains[place], self._lasts[place]
        if chain.window is not None:
            self._waiting.open(place, chain.window, parents_of(rows, samples))
            return rows[:0]
        coming = chain.before(self._with_origin(chain, rows), samples, self._kinds)
        if chain.arithmetic is not None:
            made = self._computed(place, coming, samples)
        else:
            made = chain.grown(coming, samples, self._kinds, lasts)
            chain.remember(coming, lasts)
        return chain.after(made, samples, self._kinds)

    def _remember(self, place: int, rows: Rows, samples: pa.Table) -> None:
        """Keep the newest of rows that come to what looks back."""
        chain, lasts = self.plan.chains[place], self._lasts[place]
        if chain.arithmetic is not None:
            split = chain.arithmetic.split(rows, samples, self._kinds)
            chain.arithmetic.remember(split, lasts)
        chain.remember(rows, lasts)

    def _computed(self, place: int, rows: Rows, samples: pa.Table) -> Rows:
        """Return the results of an arithmetic; where newer values were known already they wait."""
        arithmetic, lasts = self.plan.chains[place].arithmetic, self._lasts[place]
        assert arithmetic is not None
        split = arithmetic.split(rows, samples, self._kinds)
        first = split.rows[firsts(split.rows["resource"])]
        made = arithmetic.results(split, lasts, self._kinds)
        waits = first[first["at"] <= arithmetic.remember(split, lasts)]
        if len(waits):
            self._waiting.change(parents_of(waits, samples))
            made = made[~np.isin(made["resource"], waits["resource"])]
        return made

    def _made_again(
        self,
        place: int,
        since: pl.DataFrame,
        rows: Rows,
        samples: pa.Table,
    ) -> Rows:
        """Return what a chain makes of stored samples since then, and remember the newest."""
        chain, lasts = self.plan.chains[place], self._lasts[place]
        resources = hashed(since["resource_id"].to_arrow())
        keys = series_keys(hashed(since["meter"].to_arrow()), resources)
        order = np.argsort(keys)
        keys, moments = keys[order], since["timestamp"].dt.epoch("ms").to_numpy()[order]
        at = np.minimum(np.searchsorted(keys, rows["series"]), len(keys) - 1)
        mine = self._with_origin(chain, rows[keys[at] == rows["series"]])
        self._open_again(place, mine, samples)
        coming = chain.before(mine, samples, self._kinds)
        if chain.arithmetic is not None:
            split = chain.arithmetic.split(coming, samples, self._kinds)
            lasts.forget(lasts.places(np.unique(resources)))
            chain.arithmetic.remember(split, lasts)
            made = chain.arithmetic.results(split, None, self._kinds)
        else:
            chain.forget(keys, lasts)
            chain.remember(coming, lasts)
            made = chain.grown(coming, samples, self._kinds, None)
        made = chain.after(made, samples, self._kinds, self._watermark.reached)
        kept: Rows = made[made["at"] >= moments[np.searchsorted(keys, made["series"])]]
        return kept

    def _open_again(self, place: int, rows: Rows, samples: pa.Table) -> None:
        """Have windows that are not complete wait: who told of a change told its oldest moment alone."""
        window, reached = self.plan.chains[place].window, self._watermark.reached
        if window is None:
            return
        if reached is not None:
            rows = rows[(rows["at"] // window + 1) * window > reached]
        if len(rows):
            self._waiting.open(place, window, parents_of(rows, samples))

    def _with_origin(self, chain: Chain, rows: Rows) -> Rows:
        """Return rows with the number of what is derived of them."""
        rows = rows.copy()
        number = self._lineage.origins.number
        rows["origin"] = mapped(
            rows["kind"], self._kinds, lambda kind: number(chain.origin(kind.meter))
        )
        return rows

    def _derived(self, made: list[Rows], samples: pa.Table) -> Derived:
        """Return rows as samples, but those that still have the name of their parent, and no number."""
        rows = np.concatenate([np.zeros(0, ROW), *made])
        if any(chain.passes for chain in self.plan.chains):
            rows = self._lineage.renamed(rows)
        counted = rows[np.isfinite(rows["volume"])]
        if not len(counted):
            return Derived(SAMPLES.empty_table(), len(rows))
        return Derived(self._lineage.table(counted, samples), len(rows) - len(counted))

    def _stored(self, asked: list[pl.DataFrame]) -> pl.DataFrame:
        """Return the derived series (TOUCHED) of these, and the mark by which their samples are known."""
        rows = [
            (name, resource, since, mark)
            for chain, series in zip(self.plan.chains, asked, strict=True)
            for (meter,), some in series.group_by("meter")
            for mark in [chain.origin(str(meter)).mark()]
            for name in chain.makes(str(meter))
            for _, resource, since in some.iter_rows()
        ]
        frame = pl.DataFrame(rows, schema=SCHEMA | {"mark": pl.String}, orient="row")
        return frame.unique(maintain_order=True)  # operands name the same
