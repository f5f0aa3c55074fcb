"""Messages that are ours for now: which, under which receipt, and when to say that they still are.

State: a lease each receipt, until it is dropped. No clock: times are arguments, monotonic s.
"""

import dataclasses
import threading
from collections.abc import Iterable


@dataclasses.dataclass(slots=True)
class Lease:
    """Messages of one subscription that were handed out together."""

    subscription: str
    ack_ids: list[str]
    due: float  # when to extend it


class Leases:
    """Leases by receipt. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[int, Lease] = {}
        self._number = 0

    def add(self, subscription: str, ack_ids: list[str], due: float) -> int:
        """Note messages that were handed to us, and return their receipt."""
        with self._lock:
            self._number += 1
            self._leases[self._number] = Lease(subscription, ack_ids, due)
            return self._number

    def due(self, now: float, again: float) -> list[Lease]:
        """Return what is to be extended now; it will be again at `again`."""
        with self._lock:
            found = [lease for lease in self._leases.values() if lease.due <= now]
            for lease in found:
                lease.due = again
            return [dataclasses.replace(lease) for lease in found]

    def ack_ids(self, receipts: Iterable[int]) -> dict[str, list[str]]:
        """Return the messages under these receipts, by subscription; dropped ones have none."""
        found: dict[str, list[str]] = {}
        with self._lock:
            for receipt in receipts:
                if (lease := self._leases.get(receipt)) is not None:
                    found.setdefault(lease.subscription, []).extend(lease.ack_ids)
        return found

    def settle(self, receipts: Iterable[int], left: set[str]) -> list[int]:
        """Forget messages but those `left` to acknowledge; return the receipts that still hold any."""
        holding = []
        with self._lock:
            for receipt in receipts:
                lease = self._leases.pop(receipt, None)
                kept = [ack_id for ack_id in lease.ack_ids if ack_id in left] if lease else []
                if lease is not None and kept:
                    self._leases[receipt] = Lease(lease.subscription, kept, lease.due)
                    holding.append(receipt)
        return holding

    def all(self) -> list[int]:
        """Return every receipt."""
        with self._lock:
            return list(self._leases)

    def messages(self) -> int:
        """Return how many messages are held."""
        with self._lock:
            return sum(len(lease.ack_ids) for lease in self._leases.values())
