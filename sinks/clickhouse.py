"""WriteToClickHouse: the job's tables, into the store, before their payloads are acknowledged.

Guarantee: a bundle's rows are given to the writer when the bundle ends; what acknowledges it goes
    through the same writer, behind them. Rows have natural keys (store.rows), so a replay changes
    nothing.
Errors: the writer's (sinks.writer); what it failed with fails the next bundle.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from metering.batches import together
from metering.elements import Final, Tick, Touched
from sinks.latest import LatestWriter
from sinks.writer import PromptWriter, Writer
from store.client import Store
from store.rows import (
    insert_events,
    insert_final,
    insert_invalid,
    insert_revisions,
    insert_samples,
    insert_usage,
)
from transforms.windowed import windowed


@dataclasses.dataclass(frozen=True)
class Outlet:
    """This process's way out: its store, and who writes there. `latest` is the writer's alone."""

    store: Store
    writer: Writer | PromptWriter
    latest: LatestWriter

    def write(self, name: str, tables: list[pa.Table]) -> None:
        """Give a bundle's rows of a kind to the writer. Raises what an earlier write failed with."""
        self.writer.check()
        if tables:
            self.writer.write(lambda: _WRITERS[name](self, together(tables)))
        if name == "samples" and (tables or self.latest.waits):
            self.writer.write(self.latest.write_if_due)


def _write_samples(outlet: Outlet, samples: pa.Table) -> None:
    insert_samples(outlet.store, samples)
    outlet.latest.take(samples)


def _write_late(outlet: Outlet, samples: pa.Table) -> None:
    insert_samples(outlet.store, samples, late=1)
    outlet.latest.take(samples)


def _write_revisions(outlet: Outlet, revisions: pa.Table) -> None:
    outlet.latest.write()  # what waits there may be overruled now
    insert_revisions(outlet.store, revisions)


_WRITERS: typing.Final[dict[str, Callable[[Outlet, pa.Table], None]]] = {
    "samples": _write_samples,
    "late": _write_late,
    "revisions": _write_revisions,
    "events": lambda outlet, events: insert_events(outlet.store, events),
    "invalid": lambda outlet, invalid: insert_invalid(outlet.store, invalid),
    "usage": lambda outlet, usage: insert_usage(outlet.store, usage),
}


class _WriteFn(beam.DoFn):
    def __init__(self, table: str, outlet: Callable[[], Outlet]) -> None:
        self._table = table
        self._make_outlet = outlet

    def setup(self) -> None:
        self._outlet = self._make_outlet()

    def start_bundle(self) -> None:
        self._elements: list[Any] = []

    def process(self, element: Any) -> Iterator[Any]:
        self._elements.append(element)
        return iter(())

    def finish_bundle(self) -> Iterator[Any]:
        bare = [one[1] if isinstance(one, tuple) else one for one in self._elements]
        tables = [one for one in bare if not isinstance(one, Tick | Touched)]
        self._outlet.write(self._table, tables)
        return map(windowed, self._elements)


@dataclasses.dataclass
class WriteToClickHouse(beam.PTransform):
    """PCollection[table | (place, table | Touched | Tick)] -> the same, once its rows were given to the writer.

    `table` names the rows (_WRITERS).
    """

    table: str
    outlet: Callable[[], Outlet]

    def expand(self, tables: beam.PCollection) -> beam.PCollection:
        """Write at the end of each bundle, then give on what came."""
        return tables | "Write" >> beam.ParDo(_WriteFn(self.table, self.outlet))


class _WriteSettledFn(beam.DoFn):
    def __init__(self, outlet: Callable[[], Outlet]) -> None:
        self._make_outlet = outlet

    def setup(self) -> None:
        self._outlet = self._make_outlet()

    def start_bundle(self) -> None:
        self._tables: dict[str, list[pa.Table]] = {"invalid": [], "revisions": []}

    def process(self, element: tuple[str, pa.Table]) -> Iterator[None]:
        name, table = element
        self._tables[name].append(table)
        return iter(())

    def finish_bundle(self) -> None:
        for name, tables in self._tables.items():
            self._outlet.write(name, tables)


@dataclasses.dataclass
class WriteSettled(beam.PTransform):
    """PCollection[("invalid" | "revisions", table)] -> nothing: settled conflicts.

    Guarantee: what was refused is written first. Once a process is killed after the revisions, what
        comes again is no conflict any more and would not be refused again.
    """

    outlet: Callable[[], Outlet]

    def expand(self, settled: beam.PCollection) -> beam.PCollection:
        """Write at the end of each bundle, in order."""
        return settled | "Write" >> beam.ParDo(_WriteSettledFn(self.outlet))


class _WriteUsageFn(beam.DoFn):
    def __init__(self, outlet: Callable[[], Outlet]) -> None:
        self._make_outlet = outlet

    def setup(self) -> None:
        self._outlet = self._make_outlet()

    def process(self, element: pa.Table | Final) -> Iterator[None]:
        if isinstance(element, Final):
            store = self._outlet.store
            self._outlet.writer.write(
                lambda: insert_final(store, element.shards, element.of, element.until, element.at)
            )
        else:
            self._outlet.write("usage", [element])
        return iter(())


@dataclasses.dataclass
class WriteUsage(beam.PTransform):
    """PCollection[USAGE | Final] -> nothing.

    Guarantee: in order: what says that windows are final is written after their rows.
    """

    outlet: Callable[[], Outlet]

    def expand(self, usage: beam.PCollection) -> beam.PCollection:
        """Write as they come."""
        return usage | "Write" >> beam.ParDo(_WriteUsageFn(self.outlet))
