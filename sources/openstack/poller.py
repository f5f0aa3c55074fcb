"""One poller: one kind of resource of one region, at one interval, in a thread of its own.

Guarantee: a poll's samples share one timestamp, that of its begin. A poll that overruns its interval
    lets those pass that fell due meanwhile; none is ever queued.
Errors: what of an answer cannot be read goes on as a payload of its own, and so into `invalid`.
"""

import abc
import dataclasses
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from metering.identity import content_id
from metering.pollsters.pace import following, pause
from metering.pollsters.readings import Poll
from sources.agent_message import agent_message, signed, stray_message
from sources.openstack.outbox import Outbox, StoppedError, Ticket
from sources.openstack.region import Region
from sources.openstack.service import AbsentError, CallError, Service, result_of
from sources.openstack.settings import OpenStackSettings
from sources.openstack.tally import Tally

BATCH: Final = 250  # samples a message
_IN_VAIN: Final = 20  # calls without an answer, one after the other, that end a poll
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands among the samples for an answer that is none: it goes to `invalid`."""

    answer: Any
    reason: str

    @classmethod
    def by(cls, answer: Any, error: Exception) -> "Unreadable":
        """Return what could not be read, and the error that says so."""
        return cls(answer, f"{type(error).__name__}: {error}")


class Poller(abc.ABC):
    """Polls when it is due, until it is stopped; what it polls is its subclass's business."""

    def __init__(
        self, region: Region, name: str, interval: float, meters: frozenset[str], several: bool
    ) -> None:
        """`several` regions are polled: what only a region knows by its id is named after it too."""
        self.region = region
        self.what = name
        self.name = f"{region.name} {name}"
        self.interval = interval
        self._meters = meters
        self._several = several
        self._trouble: str | None = None  # of a poll under way, though it goes on

    def start(
        self, settings: OpenStackSettings, outbox: Outbox, tally: Tally, stopping: threading.Event
    ) -> threading.Thread:
        """Poll from now on, in a thread that is returned."""
        self._settings = settings
        self._outbox = outbox
        self._tally = tally
        self._stopping = stopping
        thread = threading.Thread(target=self._watched, name=f"poll {self.name}", daemon=True)
        thread.start()
        return thread

    @abc.abstractmethod
    def _read(self, poll: Poll) -> Iterator[dict[str, Any] | Unreadable]:
        """Yield the poll's samples. Raises AbsentError, CallError, StoppedError."""

    @property
    @abc.abstractmethod
    def _services(self) -> tuple[str, ...]:
        """The types of the services that it asks."""

    def _watched(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - ends the feed, which tells it
            self._tally.failure = f"{self.name}: {type(error).__name__}: {error}"
            _log.debug("%s failed", self.name, exc_info=True)

    def _run(self) -> None:
        due = time.monotonic() + random.uniform(0, self._settings.jitter)
        failures = 0
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            try:
                well = self._poll()
            except StoppedError:
                return
            due, missed = following(due, self.interval, time.monotonic())
            self._tally.count("polls_skipped", missed)
            failures = 0 if well else failures + 1
            if failures:  # again sooner than the interval says
                settings = self._settings
                rest = pause(failures, settings.backoff_min, settings.backoff_max, random.random())
                due = min(due, time.monotonic() + rest)

    def _poll(self) -> bool:
        """Poll once; return whether there is nothing to try again soon. Raises StoppedError."""
        ticket = Ticket()
        prefix = f"{self.region.place['region']}/" if self._several else ""
        poll = Poll.of(time.time(), self._meters, place=self.region.place, prefix=prefix)
        self._trouble = None
        try:
            for batch in _batches(self._read(poll), BATCH):
                self._send(batch, poll, ticket)
        except AbsentError as error:
            self._tally.absent(f"{self.region.name} {error.what}", str(error))
        except CallError as error:
            self._tally.count("polls_failed")
            self._tally.troubled(self.name, self.region.name, str(error), error.status is None)
            return False
        else:
            self._tally.count("polls")
            self._outbox.end(ticket)
            for what in (*self._services, self.what):
                self._tally.present(f"{self.region.name} {what}")
        if self._trouble:
            self._tally.troubled(self.name, self.region.name, self._trouble, False)
        else:
            self._tally.well(self.name, self.region.name)
        return True

    def _send(self, batch: list[dict[str, Any] | Unreadable], poll: Poll, ticket: Ticket) -> None:
        samples = []
        for each in batch:
            if isinstance(each, Unreadable):
                self._tally.count("unreadable")
                self._outbox.put(stray_message(each.answer, self.name, each.reason), ticket)
            else:
                samples.append(each)
        if not samples:
            return
        self._tally.count("samples", len(samples))
        name = str(uuid.UUID(content_id(each["message_id"] for each in samples)))
        secret = self._settings.telemetry_secret
        if secret is not None:
            samples = signed(samples, secret.get_secret_value())
        self._outbox.put(agent_message(samples, "streamgauge", poll.timestamp, name), ticket)

    def _side_by_side(
        self, service: Service, work: Callable[[_T], Any], things: Iterable[_T]
    ) -> Iterator[Any]:
        """Yield what `work` returns for each thing, in order, as many under way as may be.

        Raises CallError where one call after the other is in vain.
        """
        under_way: deque[Any] = deque()
        in_vain = 0
        for thing in (*things, None):
            if thing is not None:
                under_way.append(service.submit(work, thing))
            while under_way and (thing is None or len(under_way) >= 2 * service.concurrency):
                found = result_of(under_way.popleft())
                failed = isinstance(found, CallError) and not found.missing
                in_vain = in_vain + 1 if failed else 0
                if in_vain >= _IN_VAIN:
                    raise found
                yield found


def _batches(samples: Iterable[_T], size: int) -> Iterator[list[_T]]:
    batch: list[_T] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
