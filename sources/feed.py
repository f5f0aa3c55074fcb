"""The contract of a feed: something to read payloads from, and to tell what has been stored.

An operator adds a feed by an entry point in the group `streamgauge.feeds` whose value is a Feed
subclass; its name is the `type` in the configuration's list of feeds.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import pydantic

from metering.elements import Payloads

__all__ = ["GROUP", "Feed", "FeedError", "FeedSettings", "Payloads", "SplitSettings", "dealt"]

GROUP: Final = "streamgauge.feeds"


class FeedSettings(pydantic.BaseModel):
    """What every feed can be told; a feed's own settings extend it."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    type: str = pydantic.Field(description="which feed: an entry point's name")
    name: str = pydantic.Field("", description="unique among the feeds; the type where empty")
    disorder: float = pydantic.Field(
        300.0, ge=0, description="seconds; how far behind its newest event time a message may be"
    )
    idle_after: float = pydantic.Field(
        900.0, ge=0, description="seconds; empty this long, its watermark follows the clock"
    )

    def split(self, readers: int) -> Sequence["FeedSettings"]:
        """Return settings of feeds, at most so many, that together read what this one does."""
        return [self]


class SplitSettings(FeedSettings):
    """Of a feed that several readers of a cluster can share, where it is told so.

    Each part is a feed with a name of its own, and so with its own part of the watermark.
    """

    parts: int = pydantic.Field(
        1, ge=1, le=64, description="readers of a cluster that share it, where slots are enough"
    )

    def split(self, readers: int) -> Sequence["SplitSettings"]:
        """Return its parts: as many as it is told, or as readers there are."""
        of = min(self.parts, readers)
        if of == 1:
            return [self]
        name = self.name or self.type
        return [
            self.model_copy(
                update={"name": f"{name}/{number}", "parts": 1, **self.part(number, of)}
            )
            for number in range(of)
        ]

    @abc.abstractmethod
    def part(self, number: int, of: int) -> dict[str, Any]:
        """Return what is other in the settings of one of so many parts, numbered from 0."""


def dealt(names: Sequence[str], number: int, of: int) -> list[str]:
    """Return what one of so many parts has of these; one of them where the parts are more."""
    return list(names[number::of]) or [names[number % len(names)]]


class FeedError(Exception):
    """A feed cannot be opened or read, and trying again will not help; says what to do."""


class Feed(abc.ABC):
    """One source of payloads.

    Guarantee: at least once. What `poll` returned and `ack` has not been called for is returned
        again after a restart (or a reconnection).
    Errors: a source that is away for a while is the feed's own business: it reconnects with
        backoff inside `poll`, returns None meanwhile and says so in `status`. FeedError is final.
    Watermark: `settings.disorder` and `settings.idle_after` are the feed's part of it. Its event
        times are inside the payloads, so the job reckons it where they are decoded
        (metering.elements.Watermark).
    Threads: open, poll and close are called from one thread; ack and status from others.
    """

    Settings: ClassVar[type[FeedSettings]] = FeedSettings

    def __init__(self, settings: FeedSettings) -> None:
        self.settings = settings
        self.name = settings.name or settings.type

    @abc.abstractmethod
    def open(self) -> None:
        """Get ready to poll. A source that is away is no error here. Raises FeedError."""

    @abc.abstractmethod
    def poll(self, timeout: float) -> Payloads | None:
        """Return the next payloads, waiting at most `timeout` s; None where there are none.

        Takes what is there at once rather than waiting for more. Raises FeedError.
        """

    @abc.abstractmethod
    def ack(self, receipt: Any) -> None:
        """Say that everything under `receipt` is stored. Safe to call twice, from any thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Flush pending acknowledgements and let go of the source. Safe to call twice."""

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to see: at least `connected` and `last_error`."""
        return {"connected": True, "last_error": None}

    def finished(self) -> bool:
        """Return whether the feed has come to its end for good (a file that was read)."""
        return False
