"""What travels through the job besides tables."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

import pyarrow as pa


@dataclasses.dataclass(slots=True)
class Payloads:
    """Some raw messages of one feed, in the feed's order, acknowledged together by `receipt`."""

    feed: str
    bodies: list[bytes]
    receipt: Any = None
    received: int = 0  # ms; when they came, set by who polls the feed
    size: int = dataclasses.field(init=False, default=0)  # bytes

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.bodies))


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """The time, as data: what closes windows and decides that something did not come.

    `now` and `watermark` are ms since the epoch; `watermark` is None before the first message.
    Each of `readers` readers sends its own; a place's watermark is the least over readers.
    """

    now: int
    watermark: int | None
    reader: int = 0
    readers: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Final:
    """Up to when (ms) the usage windows of `shards`, some `of` so many, are final, and since when (ms)."""

    shards: Sequence[int]
    of: int
    until: int
    at: int


@dataclasses.dataclass(slots=True)
class Touched:
    """Series whose stored past changed: what was worked out of it is worked out again.

    `series` (metering.schema.TOUCHED) says which, and since when. The samples themselves are in the
    store once what this bundle writes is written.
    """

    series: pa.Table


@dataclasses.dataclass(slots=True)
class Contested:
    """Message ids that came with several contents, and these (metering.schema.IDS).

    Every place is told: what counts under such an id follows from what all of them have stored.
    """

    ids: pa.Table


@dataclasses.dataclass(slots=True)
class FeedClock:
    """What a reader knows of a feed at a tick. Units: s, `now` and `newest` in ms."""

    feed: str
    disorder: float
    idle: bool  # it has answered "empty" for its idle bound


@dataclasses.dataclass(slots=True)
class Beat:
    """A reader's tick before the payloads' times are known; Decode makes a Tick of it."""

    now: int  # ms
    feeds: list[FeedClock]
    reader: int = 0
    readers: int = 1


PATIENCE: typing.Final = 900_000  # ms that a reader may be silent while others tick
_APART: typing.Final = 500  # ms between the ticks of all readers, as between those of one
_STEP: typing.Final = 2_000  # ms that the time between two ticks counts at the most


class Watermark:
    """The watermark of each reader of a process: the least of its feeds', never going back.

    A feed's is its newest event time less its bound on disorder, or, once it has been idle for its
    bound, now less that. Before each feed's first message there is none, so nothing is late.
    """

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._reached: dict[int, int] = {}  # by reader

    def saw(self, feed: str, newest: int | None) -> None:
        """Take the newest event time (ms) of a feed's payloads."""
        if newest is not None:
            self._newest[feed] = max(newest, self._newest.get(feed, newest))

    def tick(self, beat: Beat) -> Tick:
        """Return the reader's tick."""
        marks = [self._mark(clock, beat.now) for clock in beat.feeds]
        known = [mark for mark in marks if mark is not None]
        if known and len(known) == len(marks):
            least = min(known)
            self._reached[beat.reader] = max(least, self._reached.get(beat.reader, least))
        return Tick(beat.now, self._reached.get(beat.reader), beat.reader, beat.readers)

    def _mark(self, clock: FeedClock, now: int) -> int | None:
        disorder = int(clock.disorder * 1000)
        newest = self._newest.get(clock.feed)
        if newest is not None and newest > now:
            newest = now  # a clock ahead of ours must not close windows early
        if clock.idle:
            return max(now, newest or 0) - disorder
        return None if newest is None else newest - disorder


class LeastWatermark:
    """The watermark over readers: the least of theirs, none before each has one; it never goes back.

    A reader is dead, and does not count until it ticks again, once PATIENCE has gone by on the ticks
    of others without one of its own. One that is merely slow ticks: while its feeds are away, behind
    or before their first message it holds the watermark for as long as that lasts.
    """

    def __init__(self) -> None:
        self._marks: dict[int, int | None] = {}  # by reader
        self._heard: dict[int, int] = {}  # by reader; on the clock of ticks
        self._now: int | None = None
        self._passed = 0  # ms; the clock of ticks
        self.reached: int | None = None

    def take(self, tick: Tick) -> int | None:
        """Take a reader's tick; return the watermark over all of them."""
        # A pause of all of them is nobody's silence.
        step = 0 if self._now is None else tick.now - self._now
        self._passed += min(max(step, 0), _STEP)
        self._now = max(tick.now, self._now or tick.now)
        self._heard[tick.reader] = self._passed
        if tick.watermark is not None or tick.reader not in self._marks:
            self._marks[tick.reader] = tick.watermark
        least = self._least(tick.readers)
        if least is not None:
            self.reached = least if self.reached is None else max(least, self.reached)
        return self.reached

    def _least(self, readers: int) -> int | None:
        if len(self._marks) < readers and self._passed < PATIENCE:
            return None
        living = [
            mark
            for reader, mark in self._marks.items()
            if self._passed - self._heard[reader] < PATIENCE
        ]
        known = [mark for mark in living if mark is not None]
        return min(known) if len(known) == len(living) else None


class CommonTick:
    """The ticks of all readers, told as those of one: with the least watermark, and as often."""

    def __init__(self) -> None:
        self._least = LeastWatermark()
        self._told: int | None = None

    def take(self, tick: Tick) -> Tick | None:
        """Take a reader's tick; return that of all, or None where one was told within half a second."""
        least = self._least.take(tick)
        # What closes windows and tells them costs as much for two ticks as for one twice as far.
        if tick.readers > 1 and self._told is not None and abs(tick.now - self._told) < _APART:
            return None
        self._told = tick.now
        return Tick(tick.now, least)
