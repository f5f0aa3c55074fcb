"""What the book of alarms is told of what is stored."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from metering.alarms.definition import Alarm
from metering.alarms.matching_index import Watched
from metering.alarms.states import AlarmState, State


class Changes(Protocol):
    """What changed since a version (µs): definitions, deletions, and states set by hand."""

    @property
    def alarms(self) -> Sequence[Alarm]:
        """The alarms that are new or changed."""

    @property
    def deleted(self) -> Mapping[str, int]:
        """The versions of deletions by alarm."""

    @property
    def states(self) -> Sequence[AlarmState]:
        """The states that were set by hand."""

    @property
    def until(self) -> int:
        """The version to ask from the next time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recalled:
    """What is stored of some selections: samples (SAMPLES) since a time (ms), and of others.

    `unsure` is since when samples may be stored that were not looked at when the last process ended.
    """

    watched: Sequence[Watched]
    since: int
    unsure: int
    tables: Iterator[pa.Table]


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluated:
    """How often an alarm was evaluated to a state since the book was made."""

    alarm_id: str
    project_id: str
    state: State
    times: int


class ShelfAwayError(Exception):
    """The store cannot be read now, but may be later."""


class Shelf(Protocol):
    """Reads the store. Errors: ShelfAwayError."""

    def changes(self, since: int) -> Changes:
        """Return what changed since a version; from 0 all there is."""

    def states(self) -> Mapping[str, AlarmState]:
        """Return the states of all alarms."""

    def samples(self, watched: Sequence[Watched]) -> Iterator[Recalled]:
        """Yield what is stored of selections, each once."""

    def series(self, since: pa.Table) -> pa.Table:
        """Return the samples (SAMPLES) of series since a time (TOUCHED)."""

    def events(self, types: Sequence[str], since: int) -> Iterator[pa.Table]:
        """Yield the stored events (EVENTS) of types (globs) since a time (ms), in order of time."""

    def evaluated(self, counted: Sequence[Evaluated]) -> None:
        """Take how often alarms were evaluated."""
