"""WriteToClickHouse: the job's tables, into the store, before their payloads are acknowledged.

Guarantee: a bundle's rows are durable when the bundle ends. Rows have natural keys (store.rows), so a
    replay changes nothing.
Errors: a store that is away is tried again with backoff until the process stops; meanwhile nothing is
    acknowledged and the feeds stop reading. Anything else fails the bundle.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
import tenacity

from metering.batches import together
from metering.elements import Tick
from sinks.latest import LatestWriter
from store.client import Store, StoreAwayError
from store.rows import insert_events, insert_invalid, insert_revisions, insert_samples
from transforms.counters import count

_WRITERS: Final[dict[str, Callable[[Store, pa.Table], None]]] = {
    "samples": insert_samples,
    "revisions": insert_revisions,
    "events": insert_events,
    "invalid": insert_invalid,
}


@dataclasses.dataclass(frozen=True)
class Outlet:
    """This process's way out: its store, and the event that makes a sink give up waiting for it."""

    store: Store
    stopping: threading.Event


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
        if self._tables:
            table = together(self._tables)
            self._persist(lambda: _WRITERS[self._table](self._outlet.store, table))
        if self._latest:
            self._latest.take(self._tables)
            self._persist(self._latest.write_if_due)

    def teardown(self) -> None:
        if self._latest:
            self._persist(self._latest.write)

    def _persist(self, write: Callable[[], None]) -> None:
        stopping = self._outlet.stopping
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreAwayError),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            stop=tenacity.stop_when_event_set(stopping),
            sleep=tenacity.sleep_using_event(stopping),
            before_sleep=lambda _: count("write_retries"),
            reraise=True,
        ):
            with attempt:
                write()


@dataclasses.dataclass
class WriteToClickHouse(beam.PTransform):
    """PCollection[table | (shard, table | Tick)] -> nothing; `table` names the rows (_WRITERS)."""

    table: str
    outlet: Callable[[], Outlet]

    def expand(self, tables: beam.PCollection) -> beam.PCollection:
        """Write at the end of each bundle."""
        return tables | "Write" >> beam.ParDo(_WriteFn(self.table, self.outlet))
