"""NormalizeSamples: each sample once, conflicts set aside.

What is to come here: order by event time, growth between neighbours, resets.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from metering.batches import conflict_table, drafts_of, revision_table, together
from metering.conflicts import Stored, settle
from metering.draft import Draft
from metering.elements import Tick
from metering.repeats import Sieve
from transforms.counters import count
from transforms.shard import Keyed, split

SETTLED = "settled"

Incumbents = Callable[[Sequence[Draft], Sequence[str]], list[Stored]]


class _NormalizeFn(beam.DoFn):
    def __init__(self, shards: int, sieve: Callable[[], Sieve], incumbents: Incumbents) -> None:
        self._shards = shards
        self._make_sieve = sieve
        self._incumbents = incumbents

    def setup(self) -> None:
        self._sieve = self._make_sieve()

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
        if self._tables:
            yield from map(_windowed, self._sifted(together(self._tables)))
        yield from map(_windowed, self._ticks)

    def _sifted(self, samples: pa.Table) -> Iterator[Any]:
        sifted = self._sieve.sift(samples)
        count("repeats", sifted.repeats)
        count("samples", sifted.clean.num_rows)
        if sifted.clean.num_rows:
            yield from split(sifted.clean, self._shards)
        if sifted.suspect.num_rows:
            yield from self._settle(sifted.suspect, sifted.contested)

    def _settle(self, suspect: pa.Table, contested: list[str]) -> Iterator[Any]:
        arrived = drafts_of(suspect)
        stored = self._incumbents([draft for draft, _ in arrived], contested)
        settled = settle(arrived, stored)
        count("repeats", settled.repeats)
        count("set_aside", settled.set_aside)
        count("conflicts", len(settled.conflicts))
        count("samples", sum(row.counts and not row.version for row in settled.writes))
        if settled.conflicts:
            table = conflict_table(settled.conflicts, arrived)
            yield pvalue.TaggedOutput(SETTLED, ("invalid", table))
        if settled.writes:
            yield pvalue.TaggedOutput(SETTLED, ("revisions", revision_table(settled.writes)))


def _windowed(output: Any) -> Any:
    if isinstance(output, pvalue.TaggedOutput):
        return pvalue.TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
    return GlobalWindows.windowed_value(output)


@dataclasses.dataclass
class NormalizeSamples(beam.PTransform):
    """PCollection[(shard, SAMPLES | Tick)] -> the same, each sample once; SETTLED.

    State:  of a process: newest timestamp a series, recent message ids (metering.repeats.Sieve);
        `sieve` makes one that knows what the store knows, `incumbents` asks the store about few.
    Guarantee: the store ends up the same whatever the order and repetition of its input.
    """

    shards: int
    sieve: Callable[[], Sieve]
    incumbents: Incumbents

    def expand(self, keyed: beam.PCollection) -> Any:
        """Return the outputs `samples` and SETTLED: (table, rows) that replace or are refused."""
        fn = _NormalizeFn(self.shards, self.sieve, self.incumbents)
        return keyed | "Sift" >> beam.ParDo(fn).with_outputs(SETTLED, main="samples")
