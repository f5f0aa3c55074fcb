"""NormalizeSamples: each sample once and in order, conflicts and late ones set aside."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import pvalue

from metering.batches import conflict_table, drafts_of, revision_table, together, touched_by
from metering.conflicts import Stored, settle
from metering.contested import AwaitedIds
from metering.draft import Draft
from metering.elements import Contested, LeastWatermark, Tick, Touched
from metering.places import Place, Places
from metering.repeats import Sieve
from metering.usage.rules import UsageRules
from transforms.by_place import ByPlaceFn, Element
from transforms.counters import count

SETTLED = "settled"
LATE = "late"

Incumbents = Callable[[Sequence[Draft], Sequence[str]], list[Stored]]


class Normalizing:
    """The samples of one place."""

    def __init__(
        self,
        place: Place,
        rules: UsageRules,
        sieve: Callable[[Place], Sieve],
        incumbents: Incumbents,
        final_until: Callable[[], int | None],
        restated: Callable[[], list[pa.Table]],
        reached: Callable[[Place], LeastWatermark],
        awaited: Callable[[Place], AwaitedIds],
    ) -> None:
        self._place, self._rules = place, rules
        self._incumbents, self._restated = incumbents, restated
        self._sieve = sieve(place)
        self._watermark = reached(place)
        self._until = final_until()
        self._awaited = awaited(place)

    def bundle(self, elements: list[Element]) -> Iterator[Any]:
        """Sift the bundle's samples together: the store does not know any of them yet."""
        ticks = [one for one in elements if isinstance(one, Tick)]
        tables = [one for one in elements if isinstance(one, pa.Table)]
        self._pass(self._watermark.reached)
        for one in elements:
            if isinstance(one, Contested):
                self._awaited.add(one.ids)
        if tables:
            yield from self._sifted(together(tables))
        if ticks:
            yield from self._settle_awaited()
        for series in self._restated() if ticks else ():
            yield self._place.key, Touched(series)
        for tick in ticks:
            self._pass(self._watermark.take(tick))
            yield self._place.key, tick

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
            yield self._place.key, clean

    def _settle(self, suspect: pa.Table, contested: list[str]) -> Iterator[Any]:
        arrived = drafts_of(suspect)
        stored = self._incumbents([draft for draft, _ in arrived], contested)
        settled = settle(arrived, stored)
        count("repeats", settled.repeats)
        count("set_aside", settled.set_aside)
        yield from self._written(settled.writes, settled.conflicts, arrived)

    def _settle_awaited(self) -> Iterator[Any]:
        """Settle what is stored of ids that have several contents; what is not yet, with later ticks."""
        names = self._awaited.names()
        stored = self._incumbents([], names) if names else []
        arrived = [
            (row.draft, row.recorded_at)
            for row in stored
            if row.draft.message_id in names and self._place.holds(row.draft.resource_id)
        ]
        done = self._awaited.found([row.draft for row in stored])
        if arrived:
            settled = settle(arrived, stored)
            conflicts = [pair for pair in settled.conflicts if pair[1].message_id in done]
            yield from self._written(settled.writes, conflicts, arrived)

    def _written(
        self,
        writes: list[Stored],
        conflicts: list[tuple[Draft, Draft]],
        arrived: list[tuple[Draft, int]],
    ) -> Iterator[Any]:
        """Yield what is to be written of this place; another sees to its own."""
        writes = self._marked([row for row in writes if self._place.holds(row.draft.resource_id)])
        conflicts = [pair for pair in conflicts if self._place.holds(pair[0].resource_id)]
        count("conflicts", len(conflicts))
        count("samples", sum(row.counts and not row.version for row in writes))
        if conflicts:
            yield pvalue.TaggedOutput(SETTLED, ("invalid", conflict_table(conflicts, arrived)))
        if writes:
            yield pvalue.TaggedOutput(SETTLED, ("revisions", revision_table(writes)))
            touched = self._touched(writes)
            if touched.num_rows:
                yield self._place.key, Touched(touched)

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
    """(place, SAMPLES | Contested | Tick) -> (place, SAMPLES | Touched | Tick); SETTLED; LATE.

    State:    of a place: newest timestamp a series, recent message ids (metering.repeats.Sieve);
        `sieve` makes one that knows what the store knows, `incumbents` asks the store about few.
        Contested ids are `awaited` until all that came under them is stored.
    Lateness: a sample whose window of the shortest period is final goes to LATE, or is marked among
        SETTLED; `final_until` says up to when windows were final before this process. Series that were
        `restated` are Touched, as late samples of theirs count now.
    Guarantee: the store ends up the same whatever the order and repetition of its input. SAMPLES are
        newer than all of their series before; series whose past changed are Touched.
    """

    places: Places
    rules: UsageRules
    sieve: Callable[[Place], Sieve]
    incumbents: Incumbents
    final_until: Callable[[], int | None]
    restated: Callable[[], list[pa.Table]]
    reached: Callable[[Place], LeastWatermark]
    awaited: Callable[[Place], AwaitedIds]

    def expand(self, keyed: beam.PCollection) -> Any:
        """Return the outputs `samples`, SETTLED: (table, rows) that replace or are refused, and LATE."""
        make = functools.partial(
            Normalizing,
            rules=self.rules,
            sieve=self.sieve,
            incumbents=self.incumbents,
            final_until=self.final_until,
            restated=self.restated,
            reached=self.reached,
            awaited=self.awaited,
        )
        fn = ByPlaceFn(self.places, make)
        return keyed | "Sift" >> beam.ParDo(fn).with_outputs(SETTLED, LATE, main="samples")
