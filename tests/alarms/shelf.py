"""A store of alarms, samples and events in memory, as the book reads it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from metering.alarms.book_shelf import Evaluated, Recalled, ShelfAwayError
from metering.alarms.definition import Alarm
from metering.alarms.matching_index import Watched
from metering.alarms.states import AlarmState
from metering.batches import sample_table
from metering.draft import Draft


@dataclasses.dataclass
class Told:
    """What changed since a version."""

    alarms: list[Alarm]
    deleted: dict[str, int]
    states: list[AlarmState]
    until: int


class MemoryShelf:
    """Everything as it is now; samples since `unsure` (ms) may not have been looked at."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.deleted: dict[str, int] = {}
        self.stored: dict[str, AlarmState] = {}
        self.by_hand: list[AlarmState] = []
        self.samples_: list[Draft] = []
        self.events_: list[pa.Table] = []
        self.counted: list[Evaluated] = []
        self.away = False  # for samples and events
        self.unsure: int | None = None
        self.lag = 0  # ms; the watermark's
        self.version = 0

    def define(self, alarm: Alarm) -> None:
        self.version += 1
        self.alarms[alarm.alarm_id] = dataclasses.replace(alarm, version=self.version)

    def delete(self, alarm_id: str) -> None:
        self.version += 1
        del self.alarms[alarm_id]
        self.deleted[alarm_id] = self.version

    def changes(self, since: int) -> Told:
        return Told(
            list(self.alarms.values()), dict(self.deleted), list(self.by_hand), self.version
        )

    def states(self) -> Mapping[str, AlarmState]:
        return self.stored

    def samples(self, watched: Sequence[Watched]) -> Iterator[Recalled]:
        self._check()
        return (self._recalled(one) for one in watched)

    def series(self, since: pa.Table) -> pa.Table:
        self._check()
        asked = {
            (row["meter"], row["resource_id"]): int(row["timestamp"].timestamp() * 1000)
            for row in since.to_pylist()
        }
        found = [
            one
            for one in self.samples_
            if one.timestamp >= asked.get((one.meter, one.resource_id), 1 << 60)
        ]
        return sample_table(found, 0)

    def events(self, types: Sequence[str], since: int) -> Iterator[pa.Table]:
        self._check()
        return iter(self.events_)

    def evaluated(self, counted: Sequence[Evaluated]) -> None:
        self.counted += counted

    def _check(self) -> None:
        if self.away:
            raise ShelfAwayError("away")

    def _recalled(self, one: Watched) -> Recalled:
        of = [each for each in self.samples_ if each.meter in one.selection.meters]
        newest = max((each.timestamp for each in of), default=0)
        unsure = newest if self.unsure is None else min(newest, self.unsure)
        since = unsure - one.span - self.lag
        if one.latest:
            since = 0
        found = [each for each in of if each.timestamp >= since]
        return Recalled([one], since, unsure, iter([sample_table(found, 0)]))
