"""Looks at the members of load balancers' pools for the alarms on them, beside the stream."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from metering.alarms.book import AlarmBook
from metering.alarms.evaluation_members import Member, PoolsError
from transforms.counters import count

_log: Final = logging.getLogger(__name__)
_EVERY: Final = 60.0  # s between two looks at a pool, as Aodh
_LOOK: Final = 1.0  # s between two looks for new alarms

Members = Callable[[str], Sequence[Member] | None]


class MemberWatch:
    """A thread that tells the book of alarms what members are like.

    Errors: a cloud that does not answer is asked again; what is unforeseen is in `failure`.
    """

    def __init__(
        self, book: AlarmBook, members: Members, ended: threading.Event, every: float = _EVERY
    ) -> None:
        self._book, self._members, self._every = book, members, every
        self._ended = ended
        self._looked_at: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pool members", daemon=True)
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(_LOOK):
                self._look()
        except BaseException as error:  # noqa: BLE001 - the service ends with it
            self.failure = error
            self._ended.set()

    def _look(self) -> None:
        pools = self._book.pools()
        looked_at = {pool: self._looked_at[pool] for pool in pools if pool in self._looked_at}
        self._looked_at = looked_at
        for pool in pools:
            if time.monotonic() - looked_at.get(pool, -self._every) >= self._every:
                looked_at[pool] = time.monotonic()
                self._tell(pool)

    def _tell(self, pool: str) -> None:
        try:
            found = self._members(pool)
        except PoolsError as error:
            count("pool_member_errors")
            _log.warning("members of pool %s: %s; asked again later", pool, error)
        else:
            self._book.take_members(pool, found)
