"""WriteToClickHouse: the job's tables, into the store, before their payloads are acknowledged.

Guarantee: a bundle's rows are given to the writer when the bundle ends; what acknowledges it goes
    through the same writer, behind them. Rows have natural keys (store.rows), so a replay changes
    nothing.
Errors: the writer's (sinks.writer); what it failed with fails the next bundle.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa

from metering.batches import together
from metering.elements import Tick
from sinks.latest import LatestWriter
from sinks.writer import Writer
from store.client import Store
from store.rows import insert_events, insert_invalid, insert_revisions, insert_samples

_WRITERS: Final[dict[str, Callable[[Store, pa.Table], None]]] = {
    "samples": insert_samples,
    "revisions": insert_revisions,
    "events": insert_events,
    "invalid": insert_invalid,
}


@dataclasses.dataclass(frozen=True)
class Outlet:
    """This process's way out: its store, and who writes there."""

    store: Store
    writer: Writer


class _WriteFn(beam.DoFn):
    def __init__(self, table: str, outlet: Callable[[], Outlet]) -> None:
        self._table = table
        self._make_outlet = outlet

    def setup(self) -> None:
        self._outlet = self._make_outlet()
        self._latest = LatestWriter(self._outlet.store) if self._table == "samples" else None

    def start_bundle(self) -> None:
        self._tables: list[pa.Table] = []

    def process(self, element: Any) -> Iterator[None]:
        table = element[1] if isinstance(element, tuple) else element
        if not isinstance(table, Tick):
            self._tables.append(table)
        return iter(())

    def finish_bundle(self) -> None:
        tables, writer = self._tables, self._outlet.writer
        writer.check()
        if tables:
            writer.write(lambda: self._write(together(tables)))
        if self._latest and (tables or self._latest.waits):
            writer.write(self._latest.write_if_due)

    def _write(self, table: pa.Table) -> None:
        _WRITERS[self._table](self._outlet.store, table)
        if self._latest:
            self._latest.take(table)


@dataclasses.dataclass
class WriteToClickHouse(beam.PTransform):
    """PCollection[table | (shard, table | Tick)] -> nothing; `table` names the rows (_WRITERS)."""

    table: str
    outlet: Callable[[], Outlet]

    def expand(self, tables: beam.PCollection) -> beam.PCollection:
        """Write at the end of each bundle."""
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
        self._outlet.writer.check()
        for name, tables in self._tables.items():
            if tables:
                write = functools.partial(_WRITERS[name], self._outlet.store, together(tables))
                self._outlet.writer.write(write)


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
