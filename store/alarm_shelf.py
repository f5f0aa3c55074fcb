"""The store as the book of alarms reads it.

Errors: ShelfAwayError.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from metering.alarms.book_shelf import Evaluated, Recalled, ShelfAwayError
from metering.alarms.matching_index import Watched
from metering.alarms.states import AlarmState
from store.alarm_samples import recalled, stored_events
from store.alarm_states import Evaluations, alarm_states, write_evaluations
from store.alarms import Changes, changed_alarms
from store.client import Store, StoreAwayError
from store.history import history


@contextlib.contextmanager
def _unless_away() -> Iterator[None]:
    try:
        yield
    except StoreAwayError as error:  # kept by the store for the status
        raise ShelfAwayError(str(error)) from error


def _told(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    with _unless_away():
        yield from tables


class AlarmShelf:
    """What is stored about alarms.

    `flush` waits until everything that was given to the store is there; `write` has something written;
    `clock` returns ms, `run` names this run of the job, `lag` (ms) is how far the watermark is behind.
    """

    def __init__(
        self,
        store: Store,
        flush: Callable[[], None],
        write: Callable[[Callable[[], None]], None],
        clock: Callable[[], int],
        run: str,
        lag: int = 0,
    ) -> None:
        self._store, self._flush, self._write = store, flush, write
        self._clock, self._run, self._lag = clock, run, lag
        self._known: Changes | None = None  # what was told last

    def changes(self, since: int) -> Changes:
        """Return what changed since a version; from 0 all there is."""
        with _unless_away():
            self._known = changed_alarms(self._store, since, self._known if since else None)
        return self._known

    def states(self) -> Mapping[str, AlarmState]:
        """Return the states of all alarms."""
        with _unless_away():
            return alarm_states(self._store)

    def samples(self, watched: Sequence[Watched]) -> Iterator[Recalled]:
        """Yield what is stored of selections, each once."""
        self._flush()
        with _unless_away():
            for one in recalled(self._store, watched, self._clock(), self._lag):
                yield dataclasses.replace(one, tables=_told(one.tables))

    def series(self, since: pa.Table) -> pa.Table:
        """Return the samples (SAMPLES) of series since a time (TOUCHED)."""
        self._flush()
        with _unless_away():
            return history(self._store, since)

    def events(self, types: Sequence[str], since: int) -> Iterator[pa.Table]:
        """Yield the stored events (EVENTS) of types (globs) since a time (ms), in order of time."""
        self._flush()
        with _unless_away():
            yield from stored_events(self._store, types, since)

    def evaluated(self, counted: Sequence[Evaluated]) -> None:
        """Have it written how often alarms were evaluated."""
        rows = [
            Evaluations(
                one.alarm_id, one.project_id, one.state, self._run, one.times, self._clock()
            )
            for one in counted
        ]
        if rows:
            self._write(lambda: write_evaluations(self._store, rows))
