"""What came for alarms that it leaves in their state, kept in columns until they are looked at.

Shape: PARTIALS, without its alarms' names, by the alarms' numbers in the roster.
State: of each alarm what leaves its state (metering.alarms.buckets_guard), and since its periods were filled
    last what came: rows of one series and period are added up now and then, forgotten once too old.
Guarantee: an alarm whose rows are held is as if each had been added to its periods when it came.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.alarms.buckets import AHEAD, SKEW
from metering.alarms.buckets_guard import Guard
from metering.alarms.buckets_partials import added_by, summed
from metering.alarms.buckets_statistics import Partial
from metering.alarms.buckets_verdicts import Moment
from metering.memory import grown
from metering.schema import HELD

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LOOSE: Final = 50_000  # rows that are kept before they are added up
_TABLES: Final = 64  # and tables: each is looked through for the rows of an alarm

_PLACE: Final = ("alarm", "series", "bucket")
_SLOT: Final = np.dtype(
    [
        ("guarded", "?"),
        ("sliding", "?"),
        ("holds", "?"),  # rows that are not in its periods
        ("revised", "?"),  # of them some, since the last tick, in a period that was known then
        ("least", "f8"),
        ("most", "f8"),
        ("period", "i8"),
        ("back", "i8"),  # periods that are kept before the newest
        ("ahead", "i8"),
        ("after", "i8"),
        ("newest", "i8"),
        ("known", "i8"),  # the newest at the last tick
        ("epoch", "i8"),  # of the newest row
        ("rows", "i8"),  # since they were counted
        ("since", "i8"),  # what was taken in before is in its periods
    ]
)


class Kept(NamedTuple):
    """What was held of an alarm: (series, bucket, what is added), and when the last of it came.

    `known` is the newest time at the tick before that, `revised` whether it revised what was known then.
    """

    rows: list[tuple[int, int, Partial]]
    epoch: int
    known: int
    revised: bool


class Held:
    """Rows of alarms that stay as they are."""

    def __init__(self) -> None:
        self._slots = np.zeros(0, _SLOT)  # by the alarms' numbers
        self._tables: list[tuple[int, pa.Table]] = []  # HELD, and in which take they came
        self._loose = 0  # rows that were not summed yet
        self._takes = 1

    def guard(self, number: int, guard: Guard | None, back: int = 0) -> None:
        """Say what leaves an alarm in its state; with None anything may change it."""
        self._grow(number + 1)
        slot = self._slots[number]
        slot["guarded"] = guard is not None
        if guard is not None:
            slot["sliding"], slot["least"], slot["most"] = guard.sliding, *guard.span
            slot["period"], slot["back"], slot["ahead"] = guard.period, back, guard.ahead
            slot["after"], slot["newest"] = guard.after, guard.newest

    def forget(self, number: int) -> None:
        """Forget an alarm and its rows."""
        self._grow(number + 1)
        self._slots[number] = np.zeros((), _SLOT)
        self._slots[number]["since"] = self._takes

    def hold(self, numbers: I64, partials: pa.Table, moment: Moment, epoch: int) -> Mask:
        """Take the rows (PARTIALS) of alarms, -1 for none, that leave their states; return which these are."""
        self._grow(int(numbers.max(initial=0)) + 1)
        held: Mask = (numbers >= 0) & (partials["part"].to_numpy() == 0)
        rows = np.flatnonzero(held)
        passes = self._pass(numbers[rows], partials.take(pa.array(rows)), moment)
        held[rows] = passes
        others = np.zeros(len(self._slots), np.bool_)
        others[numbers[(numbers >= 0) & ~held]] = True
        held &= ~others[numbers]  # all of an alarm's, or none
        if held.any():
            self._take(numbers[held], partials.filter(pa.array(held)), moment, epoch)
        return held

    def due(self, numbers: I64, moment: Moment) -> I64:
        """Return the watermarks (ms) at which alarms with rows are to be looked at."""
        slots = self._slots[numbers]
        period, newest = slots["period"], slots["newest"]
        aligned = (np.maximum(newest // period + 2, moment.passed // period) + 1) * period
        return np.where(slots["sliding"], newest + 1, aligned)

    def holds(self, number: int) -> bool:
        """Return whether there are rows of an alarm."""
        return number < len(self._slots) and bool(self._slots[number]["holds"])

    def release(self, numbers: list[int]) -> Iterator[tuple[int, Kept]]:
        """Yield what was held of alarms; it is not any more."""
        found = self._released(np.array(numbers, np.int64))
        places = zip(*(found[name].to_numpy().tolist() for name in _PLACE), strict=True)
        rows: dict[int, list[tuple[int, int, Partial]]] = {number: [] for number in numbers}
        for (number, *place), added in zip(places, added_by(found), strict=True):
            rows[number].append((*place, added))
        for number, some in rows.items():
            slot = self._slots[number]
            yield number, Kept(some, int(slot["epoch"]), int(slot["known"]), bool(slot["revised"]))

    def counted(self) -> Iterator[tuple[int, int]]:
        """Yield the alarms with rows that were not counted yet, and how many; they are then."""
        for number in np.flatnonzero(self._slots["rows"]).tolist():
            yield number, self.count(number)

    def count(self, number: int) -> int:
        """Return how many rows of an alarm were not counted yet; they are then."""
        rows = int(self._slots[number]["rows"])
        self._slots[number]["rows"] = 0
        return rows

    def _grow(self, size: int) -> None:
        self._slots = grown(self._slots, size)

    def _pass(self, numbers: I64, rows: pa.Table, moment: Moment) -> Mask:
        """Return which rows leave their alarm's state."""
        slots, last = self._slots[numbers], rows["last_at"].to_numpy()
        period = np.maximum(slots["period"], 1)
        ahead = rows["bucket"].to_numpy() - slots["newest"] // period
        floor = np.where(slots["sliding"], moment.passed, moment.passed // period * period)
        within = (rows["min"].to_numpy() >= slots["least"]) & (
            rows["max"].to_numpy() <= slots["most"]
        )
        in_time = (last >= floor) & (last >= slots["after"]) & (last <= moment.now + AHEAD)
        found: Mask = slots["guarded"] & within & in_time & (ahead >= 0) & (ahead <= slots["ahead"])
        return found

    def _take(self, numbers: I64, rows: pa.Table, moment: Moment, epoch: int) -> None:
        slots = self._slots
        begins = numbers[slots["epoch"][numbers] != epoch]
        slots["known"][begins], slots["revised"][begins] = slots["newest"][begins], False
        slots["epoch"][begins] = epoch
        known = slots["known"][numbers] // slots["period"][numbers]
        slots["revised"][numbers[rows["bucket"].to_numpy() <= known]] = True
        np.maximum.at(slots["newest"], numbers, rows["last_at"].to_numpy())
        np.add.at(slots["rows"], numbers, 1)
        slots["holds"][numbers] = True
        self._takes += 1
        held = rows.drop_columns(["alarm_id", "part"])
        alarms = pa.array(numbers.astype(np.int32))
        self._tables.append((self._takes, held.add_column(0, HELD.field("alarm"), alarms)))
        self._loose += len(numbers)
        if self._loose > _LOOSE or len(self._tables) > _TABLES:
            self._sum(moment)

    def _sum(self, moment: Moment) -> None:
        """Add up all that is held, without what is too old to be looked at."""
        table = pa.concat_tables([self._alive(one, taken) for taken, one in self._tables])
        slots = self._slots[table["alarm"].to_numpy()]
        newest, period = slots["newest"], slots["period"]
        oldest = np.minimum(newest, np.maximum(moment.passed, newest - SKEW))
        kept = table["bucket"].to_numpy() >= oldest // period - slots["back"]
        self._takes += 1
        self._tables = [(self._takes, summed(table.filter(pa.array(kept))))]
        self._loose = 0

    def _released(self, numbers: I64) -> pa.Table:
        wanted = np.zeros(len(self._slots), np.bool_)
        wanted[numbers] = True
        tables = [self._alive(table, taken, wanted) for taken, table in self._tables]
        self._slots["since"][numbers] = self._takes
        self._slots["holds"][numbers] = False
        return summed(pa.concat_tables([HELD.empty_table(), *tables]))

    def _alive(self, table: pa.Table, taken: int, wanted: Mask | None = None) -> pa.Table:
        """Return the rows, of wanted alarms or all, that are not in their periods yet."""
        alarms = table["alarm"].to_numpy()
        alive = self._slots["since"][alarms] < taken
        if wanted is not None:
            alive &= wanted[alarms]
        return table.take(pa.array(np.flatnonzero(alive)))
