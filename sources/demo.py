"""The demo feed: a small cloud to look at, made of recorded notifications and a simulated fleet.

Guarantee: none is needed. What is sent follows from the clock and the seed alone: after a restart
    the demo goes on where the clock is, and what it sends twice are repeats.
"""

import dataclasses
import math
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

import pydantic
import xxhash

from sources.feed import Feed, FeedError, FeedSettings, Payloads
from sources.files import unwrapped
from sources.fleet import METERS, Fleet
from sources.lines import Lines
from sources.shift import message_time, shifted

_MISSED: Final = 60.0  # s; what a stalled demo missed longer ago is left out
_ID: Final = re.compile(  # of 128 bits, with dashes or without
    rb"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])"
)
_OWNER: Final = (
    re.compile(  # a field that names projects, users or domains, in JSON or JSON in JSON
        rb'"[a-z_]*(?:project|tenant|user|owner|domain)[a-z_]*\\*": ?\\*"([^"\\]*)'
    )
)


class DemoSettings(FeedSettings):
    """How large the demo is."""

    type: str = "demo"
    instances: int = pydantic.Field(100, ge=0, description="simulated instances")
    meters: int = pydantic.Field(
        20, ge=1, le=len(METERS), description="meters of each simulated instance"
    )
    interval: int = pydantic.Field(10, ge=1, description="seconds between two polls of the fleet")
    seed: int = pydantic.Field(1, ge=0, description="another seed makes another fleet")
    corpus: Path | None = pydantic.Field(
        Path("etc/demo/corpus"),
        description="folder of recorded notifications (*.jsonl, *.jsonl.gz); null is none",
    )
    rate: float = pydantic.Field(
        2.0, gt=0, le=1000, description="recorded notifications sent a second"
    )


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Recorded notifications, played over and over: each time with other ids, and as of then.

    Projects and users keep their ids; all others are new in each repeat, and the same within it.
    """

    messages: list[bytes]
    staying: frozenset[bytes]  # ids, without dashes

    @classmethod
    def of(cls, messages: list[bytes]) -> "Corpus":
        """Return the corpus of these messages."""
        values = (value for text in messages for value in _OWNER.findall(text))
        ids = (_plain(match[0]) for value in values for match in _ID.finditer(value))
        return cls(messages, frozenset(ids))

    def message(self, number: int, moment: float) -> bytes:
        """Return the message sent as the `number`-th, at `moment` (s)."""
        repeat, index = divmod(number, len(self.messages))
        text = self.messages[index]
        recorded = message_time(text)
        if recorded is not None:
            text = shifted(text, math.floor(moment - recorded))
        return _ID.sub(lambda match: self._renamed(match, repeat), text)

    def _renamed(self, match: re.Match[bytes], repeat: int) -> bytes:
        plain = _plain(match[0])
        if plain in self.staying:
            return match[0]
        new = uuid.UUID(int=xxhash.xxh128_intdigest(plain, repeat), version=4)
        return (str(new) if match[1] else new.hex).encode()


def _plain(id_: bytes) -> bytes:
    return id_.replace(b"-", b"")


class DemoFeed(Feed):
    """Recorded notifications at a gentle rate, and the polls of a simulated fleet."""

    Settings: ClassVar[type[FeedSettings]] = DemoSettings

    def __init__(
        self,
        settings: DemoSettings,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        self._clock = clock
        self._sleep = sleep
        self._folder = settings.corpus
        self._rate = settings.rate
        self._interval = settings.interval
        self._fleet = Fleet(settings.instances, settings.meters, settings.interval, settings.seed)
        self._corpus = Corpus.of([])
        self._poll = 0  # the next poll of the fleet
        self._number = 0  # the next message of the corpus

    def open(self) -> None:
        """Read the corpus, and begin with the fleet's last poll. Raises FeedError."""
        self._corpus = Corpus.of([] if self._folder is None else _recorded(self._folder))
        now = self._clock()
        self._poll = math.floor(now / self._interval)
        self._number = math.floor(now * self._rate)

    def poll(self, timeout: float) -> Payloads | None:
        """Return what the small cloud has sent since."""
        deadline = self._clock() + timeout
        while not (bodies := self._sent(self._clock())):
            now = self._clock()
            if now >= deadline:
                return None
            due = min(self._poll * self._interval, self._number / self._rate)
            self._sleep(max(0.001, min(due, deadline) - now))
        return Payloads(self.name, bodies)

    def ack(self, receipt: Any) -> None:
        """Nothing to do: what was not stored is a gap in a demo."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _sent(self, now: float) -> list[bytes]:
        bodies: list[bytes] = []
        last = math.floor(now * self._rate)
        first = max(self._number, last - math.floor(_MISSED * self._rate))
        if self._corpus.messages:
            bodies += [self._corpus.message(n, n / self._rate) for n in range(first, last + 1)]
        self._number = max(self._number, last + 1)
        last = math.floor(now / self._interval)
        first = max(self._poll, last - math.floor(_MISSED / self._interval))
        for poll in range(first, last + 1):
            bodies += self._fleet.messages(poll)
        self._poll = max(self._poll, last + 1)
        return bodies


def _recorded(folder: Path) -> list[bytes]:
    """Return the messages of all recordings in a folder, side by side. Raises FeedError."""
    paths = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
    placed = []
    for path in paths:
        lines = [unwrapped(line) for line in Lines(path) if line.strip()]
        placed += [(place / len(lines), path.name, text) for place, text in enumerate(lines)]
    if not placed:
        raise FeedError(
            f"the demo finds no recorded notifications (*.jsonl) in {folder}: start it in the"
            " project's folder, or set the feed's corpus to where they are, or to null"
        )
    return [text for _, _, text in sorted(placed, key=lambda each: each[:2])]
