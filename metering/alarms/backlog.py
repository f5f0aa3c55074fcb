"""What is to be delivered, and which of it may go now.

An alarm's deliveries to one receiver go by their sequence: what follows waits until all before are
delivered or dead. Only what the receiver refused (404, 403, ...) holds up nothing but its own URL: a
policy that was deleted must not keep the others of its host from being called.
State: deliveries in memory, a bounded number a receiver; the rest is in the store alone until `fill`.
"""

import bisect
import collections
import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from metering.alarms.attempts import was_refused
from metering.alarms.transitions import Delivery

_Lane = tuple[str, str]  # receiver, alarm
_Entry = tuple[int, int, str, str]  # when it is due (ms), sequence, id, receiver


@dataclasses.dataclass(slots=True)
class _Receiver:
    kept: int = 0
    under_way: set[str] = dataclasses.field(default_factory=set[str])
    held: list[_Entry] = dataclasses.field(
        default_factory=list[_Entry]
    )  # a heap: due, no place yet


class Backlog:
    """Deliveries that wait and that are under way. Of one thread. Units: times in ms."""

    def __init__(self, at_once: int, at_once_each: int, kept_each: int) -> None:
        self._at_once = at_once
        self._at_once_each = at_once_each
        self._kept_each = kept_each
        self._known: dict[str, Delivery] = {}
        self._lanes: dict[_Lane, list[Delivery]] = {}
        self._receivers: dict[str, _Receiver] = {}
        self._short: set[str] = set()  # receivers of which the store has more
        self._all_short = False
        self._due: list[_Entry] = []  # a heap of those that may go
        self._queued: dict[str, _Entry] = {}  # the entry of each that counts
        self.under_way = 0

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._known

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Take new deliveries, unless the store alone has earlier ones of their receiver, or soon will."""
        for delivery in deliveries:
            if self._kept(delivery.receiver) >= self._kept_each:
                self._short.add(delivery.receiver)
            if delivery.receiver not in self._short and not self._all_short:
                self.put(delivery)

    def put(self, delivery: Delivery) -> None:
        """Take a delivery, or what it has become; what is under way or known so already stays."""
        known = self._known.get(delivery.id)
        if known is None:
            self._insert(delivery)
        elif delivery.version > known.version and not self._is_under_way(known):
            self._remove(known)
            self._insert(delivery)

    def fill(
        self,
        deliveries: Sequence[Delivery],
        whole: bool = True,
        settled: Callable[[Delivery], bool] = lambda _: False,
    ) -> None:
        """Take the first pending ones of each receiver, `kept_each` at the most, as the store has them.

        Where these are not the `whole` answer, any receiver may have more. `settled` tells which are done
        with though the store did not know it yet.
        """
        counts = collections.Counter(delivery.receiver for delivery in deliveries)
        self._short = {name for name, count in counts.items() if count >= self._kept_each}
        self._all_short = not whole
        for delivery in deliveries:
            if not settled(delivery):
                self.put(delivery)

    @property
    def is_short(self) -> bool:
        """Whether there is room again for what the store alone has."""
        return any(self._kept(name) <= self._kept_each // 2 for name in self._short)

    def start(self, now: int) -> Iterator[Delivery]:
        """Yield those to be called now; each is under way until `finish`."""
        while self._due and self._due[0][0] <= now and self.under_way < self._at_once:
            entry = heapq.heappop(self._due)
            delivery = self._called_by(entry)
            if delivery is not None:
                self._receivers[delivery.receiver].under_way.add(delivery.id)
                self.under_way += 1
                yield delivery

    def next_at(self) -> int | None:
        """Return when the next one is due, if no call ends before."""
        return self._due[0][0] if self._due and self.under_way < self._at_once else None

    def finish(self, after: Delivery) -> None:
        """Take a delivery as it is after its call: it waits, or is done with."""
        self.under_way -= 1
        self._receivers[after.receiver].under_way.remove(after.id)
        self._release(after.receiver)
        self._remove(self._known[after.id])
        if after.state == "pending":
            self._insert(after)
        else:
            self._queue(_lane(after))

    def _called_by(self, entry: _Entry) -> Delivery | None:
        """Return the delivery that an entry lets go; None where it must wait, or is no more."""
        _, _, delivery_id, receiver = entry
        if self._queued.get(delivery_id) != entry:
            self._release(receiver)
            return None
        if len(self._receivers[receiver].under_way) >= self._at_once_each:
            heapq.heappush(self._receivers[receiver].held, entry)
            return None
        del self._queued[delivery_id]
        delivery = self._known[delivery_id]
        if all(one.id != delivery_id for one in may_go(self._lanes[_lane(delivery)])):
            self._release(receiver)  # an earlier one has come meanwhile
            return None
        return delivery

    def _release(self, receiver: str) -> None:
        """Let one that had no place try again."""
        found = self._receivers.get(receiver)
        if found is not None and found.held:
            heapq.heappush(self._due, heapq.heappop(found.held))

    def _kept(self, receiver: str) -> int:
        return self._receivers[receiver].kept if receiver in self._receivers else 0

    def _is_under_way(self, delivery: Delivery) -> bool:
        return delivery.id in self._receivers[delivery.receiver].under_way

    def _insert(self, delivery: Delivery) -> None:
        self._known[delivery.id] = delivery
        self._receivers.setdefault(delivery.receiver, _Receiver()).kept += 1
        bisect.insort(self._lanes.setdefault(_lane(delivery), []), delivery, key=_order)
        self._queue(_lane(delivery))

    def _remove(self, delivery: Delivery) -> None:
        del self._known[delivery.id]
        self._queued.pop(delivery.id, None)
        lane = self._lanes[_lane(delivery)]
        lane.remove(delivery)
        if not lane:
            del self._lanes[_lane(delivery)]
        self._receivers[delivery.receiver].kept -= 1
        if not self._receivers[delivery.receiver].kept:
            del self._receivers[delivery.receiver]

    def _queue(self, lane: _Lane) -> None:
        for delivery in may_go(self._lanes.get(lane, ())):
            if delivery.id not in self._queued and not self._is_under_way(delivery):
                entry = (
                    delivery.next_attempt_at,
                    delivery.sequence,
                    delivery.id,
                    delivery.receiver,
                )
                self._queued[delivery.id] = entry
                heapq.heappush(self._due, entry)


def may_go(lane: Sequence[Delivery]) -> Iterator[Delivery]:
    """Yield those of an alarm's deliveries to one receiver, in order, that need not wait for another."""
    refused: set[str] = set()  # URLs
    for _, found in itertools.groupby(lane, key=lambda delivery: delivery.sequence):
        together = list(found)
        yield from (one for one in together if one.action not in refused)
        refused |= {one.action for one in together if was_refused(one)}
        if any(one.action not in refused for one in together):
            return


def _lane(delivery: Delivery) -> _Lane:
    return delivery.receiver, delivery.alarm_id


def _order(delivery: Delivery) -> tuple[int, str]:
    return delivery.sequence, delivery.id
