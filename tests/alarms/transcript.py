"""Transcripts of alarms: what came, ticks, and the transitions that are expected, one after another.

Times are written as minutes and seconds of an hour: "10:30". A tick's watermark is `lag` seconds behind it.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pyarrow as pa

from metering.alarms.book import AlarmBook
from metering.alarms.definition import Alarm, alarm_from
from metering.alarms.states import AlarmState
from metering.alarms.transitions import Transition
from metering.batches import EventRows, sample_table
from metering.definitions.events import Event
from metering.draft import Draft
from metering.elements import Tick
from metering.schema import TOUCHED
from tests.alarms.shelf import MemoryShelf

START = 1_795_003_200_000  # ms; a full hour, 2026-11-18T12:00:00
REPEAT = 60_000  # ms

Step = Callable[["Stream"], None]
_ids = itertools.count()


def at(text: str) -> int:
    """Return a time (ms) within the hour of transcripts: "MM:SS" or "MM:SS.mmm"."""
    minutes, seconds = text.split(":")
    return START + int(minutes) * 60_000 + round(float(seconds) * 1000)


class Stream:
    """A book of alarms, and the store beside it."""

    def __init__(self, shelf: MemoryShelf | None = None) -> None:
        self.shelf = shelf or MemoryShelf()
        self.made: list[Transition] = []
        self.new: list[Transition] = []
        self.now = START
        self.mark: int | None = None
        self.open()

    def open(self) -> None:
        self.book = AlarmBook(self.shelf, REPEAT, self.now)

    def run(self, *script: Step) -> None:
        for step in script:
            step(self)

    def take(self, made: list[Transition]) -> None:
        self.new += made
        self.made += made
        for one in made:
            if one.recorded:
                self.shelf.stored[one.alarm_id] = one.state()

    def states(self) -> dict[str, str]:
        return {name: one.state for name, one in self.shelf.stored.items()}


def run(*script: Step) -> Stream:
    """Run a transcript; what was not expected by its end fails."""
    stream = Stream()
    stream.run(*script)
    assert ways(stream.new) == [], f"not expected: {ways(stream.new)}"
    return stream


def define(**fields: Any) -> Step:
    """An alarm is created or changed; the job reads that after the next tick."""

    def step(stream: Stream) -> None:
        stream.shelf.define(alarm(**fields))

    return step


def alarm(**fields: Any) -> Alarm:
    """Return an alarm called `a` where nothing else is said."""
    said: dict[str, Any] = {"alarm_id": "a", "name": "alarm", "project_id": "p"} | fields
    scope = said.pop("scope", None)
    made = alarm_from(said, said["alarm_id"])
    return dataclasses.replace(made, scope=scope, timestamp=START)


def delete(alarm_id: str = "a") -> Step:
    """An alarm is deleted."""
    return lambda stream: stream.shelf.delete(alarm_id)


def set_state(state: Any, text: str, alarm_id: str = "a") -> Step:
    """A state is set by hand."""

    def step(stream: Stream) -> None:
        moment = at(text)
        one = AlarmState(alarm_id, state, moment, "Manually set via API", {}, True, moment * 1000)
        stream.shelf.by_hand.append(one)
        stream.shelf.stored[alarm_id] = one

    return step


def sample(text: str, volume: float, **fields: Any) -> Draft:
    """Return a sample of `cpu` of the resource `r`."""
    metadata = orjson.dumps(fields.pop("metadata", {}), option=orjson.OPT_SORT_KEYS).decode()
    plain: dict[str, Any] = {
        "meter": "cpu", "type": "gauge", "unit": "%", "project_id": "p", "user_id": "u",
        "resource_id": "r", "source": "s",
    }  # fmt: skip
    return Draft(
        timestamp=at(text), volume=volume, metadata=metadata, message_id=f"m{next(_ids)}",
        **plain | fields,
    )  # fmt: skip


def came(*samples: Draft) -> Step:
    """A bundle of samples came, in order of their series."""

    def step(stream: Stream) -> None:
        stream.book.begin()
        stream.shelf.samples_ += samples
        stream.take(stream.book.take(stream.book.partials([sample_table(list(samples), 0)])))

    return step


def came_late(*samples: Draft) -> Step:
    """Samples older than others of their series came: they are stored, and their series touched."""

    def step(stream: Stream) -> None:
        stream.book.begin()
        stream.shelf.samples_ += samples
        rows = [
            {"meter": s.meter, "resource_id": s.resource_id, "timestamp": s.timestamp}
            for s in samples
        ]
        stream.book.touch(pa.Table.from_pylist(rows, TOUCHED))

    return step


def event(text: str, event_type: str = "x.y", project_id: str = "p", **traits: Any) -> Event:
    """Return an event with these traits: texts, integers, floats."""
    kinds: dict[str, dict[str, Any]] = {"text": {}, "integer": {}, "float": {}, "datetime": {}}
    for name, value in traits.items():
        kind = {int: "integer", float: "float"}.get(type(value), "text")
        kinds[kind][name] = value
    return Event(
        event_type=event_type, generated=at(text), message_id=f"e{next(_ids)}",
        project_id=project_id, user_id="u", **kinds,
    )  # fmt: skip


def happened(*events: Event) -> Step:
    """A bundle of events came."""

    def step(stream: Stream) -> None:
        rows = EventRows(0)
        for one in events:
            rows.add(one, 0, "")
        stream.book.begin()
        stream.shelf.events_.append(rows.table())
        stream.take(stream.book.take_events(rows.table()))

    return step


def tick(text: str, lag: float | None = 0) -> Step:
    """The clock says this, and the watermark so many seconds less; None where there is none yet."""

    def step(stream: Stream) -> None:
        stream.book.begin()
        stream.now = at(text)
        stream.mark = None if lag is None else stream.now - round(lag * 1000)
        stream.take(stream.book.tick(Tick(stream.now, stream.mark)))
        stream.book.begin()  # the next bundle begins at once

    return step


def restart() -> Step:
    """The process was killed and another one begins."""
    return lambda stream: stream.open()


def expect(*wanted: str | tuple[str, str]) -> Step:
    """These transitions followed since the last expectation: "ok -> alarm", or with the reason."""

    def step(stream: Stream) -> None:
        found: list[Any] = [
            way(one) if isinstance(each, str) else (way(one), one.reason)
            for one, each in itertools.zip_longest(stream.new, wanted, fillvalue="")
            if one
        ]
        assert found == list(wanted), f"{found} followed, not {list(wanted)}"
        stream.new.clear()

    return step


def way(one: Transition) -> str:
    """Return a transition as transcripts write it; of another alarm than `a` with its id."""
    short = {"insufficient data": "unknown"}
    previous, current = (short.get(each, each) for each in (one.previous, one.current))
    of = "" if one.alarm_id == "a" else f"{one.alarm_id}: "
    return f"{of}{previous} -> {current}" + ("" if one.recorded else " again")


def ways(made: Sequence[Transition]) -> list[str]:
    """Return transitions as transcripts write them."""
    return [way(one) for one in made]
