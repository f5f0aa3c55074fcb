"""NormalizeSamples: each sample once and in order, conflicts and late ones set aside."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import pvalue

from metering.batches import conflict_table, drafts_of, revision_table, together, touched_by
from metering.conflicts import Stored, settle
from metering.draft import Draft
from metering.elements import LeastWatermark, Tick, Touched
from metering.repeats import Sieve
from metering.usage.rules import UsageRules
from transforms.counters import count
from transforms.shard import Keyed, split
from transforms.windowed import windowed

SETTLED = "settled"
LATE = "late"

Incumbents = Callable[[Sequence[Draft], Sequence[str]], list[Stored]]


class _NormalizeFn(beam.DoFn):
    def __init__(
        self,
        shards: int,
        rules: UsageRules,
        sieve: Callable[[], Sieve],
        incumbents: Incumbents,
        final_until: Callable[[], int | None],
        restated: Callable[[], list[pa.Table]],
        reached: Callable[[], LeastWatermark],
    ) -> None:
        self._shards, self._rules = shards, rules
        self._make_sieve, self._incumbents = sieve, incumbents
        self._final_until, self._restated = final_until, restated
        self._make_reached = reached

    def setup(self) -> None:
        self._sieve = self._make_sieve()
        self._watermark = self._make_reached()
        self._until = self._final_until()

    def start_bundle(self) -> None:
        self._tables: list[pa.Table] = []
        self._ticks: list[Keyed] = []

    def process(self, keyed: Keyed) -> Iterator[Any]:
        if isinstance(keyed[1], Tick):
            self._ticks.append(keyed)
        else:
            self._tables.append(keyed[1])
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        """Sift the bundle's samples together: the store does not know any of them yet.

        Message ids are global: what came to one shard may contradict what came to another.
        """
        self._pass(self._watermark.reached)
        if self._tables:
            yield from map(windowed, self._sifted(together(self._tables)))
        for series in self._restated() if self._ticks else ():
            for shard, some in split(series, self._shards):
                yield windowed((shard, Touched(some)))
        for keyed in self._ticks:
            self._pass(self._watermark.take(keyed[1]))
            yield windowed(keyed)

    def _pass(self, watermark: int | None) -> None:
        """Take note of the windows that a watermark makes final."""
        until = self._rules.final_until(watermark)
        if until is not None:
            self._until = max(until, self._until or until)

    def _sifted(self, samples: pa.Table) -> Iterator[Any]:
        sifted = self._sieve.sift(samples)
        count("repeats", sifted.repeats)
        count("samples", sifted.clean.num_rows)
        yield from self._in_time(sifted.clean)
        if sifted.suspect.num_rows:
            yield from self._settle(sifted.suspect, sifted.contested)

    def _in_time(self, clean: pa.Table) -> Iterator[Any]:
        late = self._rules.late(clean["timestamp"].cast(pa.int64()).to_numpy(), self._until)
        if late.any():
            count("late", int(late.sum()))
            yield pvalue.TaggedOutput(LATE, clean.filter(pa.array(late)))
            clean = clean.filter(pa.array(~late))
        if clean.num_rows:
            yield from split(clean, self._shards)

    def _settle(self, suspect: pa.Table, contested: list[str]) -> Iterator[Any]:
        arrived = drafts_of(suspect)
        stored = self._incumbents([draft for draft, _ in arrived], contested)
        settled = settle(arrived, stored)
        writes = self._marked(settled.writes)
        count("repeats", settled.repeats)
        count("set_aside", settled.set_aside)
        count("conflicts", len(settled.conflicts))
        count("samples", sum(row.counts and not row.version for row in writes))
        if settled.conflicts:
            table = conflict_table(settled.conflicts, arrived)
            yield pvalue.TaggedOutput(SETTLED, ("invalid", table))
        if writes:
            yield pvalue.TaggedOutput(SETTLED, ("revisions", revision_table(writes)))
            for shard, series in split(self._touched(writes), self._shards):
                yield shard, Touched(series)

    def _marked(self, writes: list[Stored]) -> list[Stored]:
        """Return what is to be written, with what is new and came late marked."""
        late = self._late(writes) & np.array([not row.version for row in writes], np.bool_)
        count("late", int(late.sum()))
        return [
            dataclasses.replace(row, late=1) if mark else row
            for row, mark in zip(writes, late, strict=True)
        ]

    def _touched(self, writes: list[Stored]) -> pa.Table:
        """Return the series (TOUCHED) whose usage follows from other samples now; late ones wait."""
        late = self._late(writes)
        return touched_by([row.draft for row, no in zip(writes, late, strict=True) if not no])

    def _late(self, writes: list[Stored]) -> Any:
        at = np.array([row.draft.timestamp for row in writes], np.int64)
        return self._rules.late(at, self._until)


@dataclasses.dataclass
class NormalizeSamples(beam.PTransform):
    """PCollection[(shard, SAMPLES | Tick)] -> (shard, SAMPLES | Touched | Tick); SETTLED; LATE.

    State:    of a process: newest timestamp a series, recent message ids (metering.repeats.Sieve);
        `sieve` makes one that knows what the store knows, `incumbents` asks the store about few.
    Lateness: a sample whose window of the shortest period is final goes to LATE, or is marked among
        SETTLED; `final_until` says up to when windows were final before this process. Series that were
        `restated` are Touched, as late samples of theirs count now.
    Guarantee: the store ends up the same whatever the order and repetition of its input. SAMPLES are
        newer than all of their series before; series whose past changed are Touched.
    """

    shards: int
    rules: UsageRules
    sieve: Callable[[], Sieve]
    incumbents: Incumbents
    final_until: Callable[[], int | None]
    restated: Callable[[], list[pa.Table]]
    reached: Callable[[], LeastWatermark] = LeastWatermark

    def expand(self, keyed: beam.PCollection) -> Any:
        """Return the outputs `samples`, SETTLED: (table, rows) that replace or are refused, and LATE."""
        fn = _NormalizeFn(
            self.shards,
            self.rules,
            self.sieve,
            self.incumbents,
            self.final_until,
            self.restated,
            self.reached,
        )
        return keyed | "Sift" >> beam.ParDo(fn).with_outputs(SETTLED, LATE, main="samples")
