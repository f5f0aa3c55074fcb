"""The feeds of a reader whose rows are written in other slots: acknowledged by the checkpoint that covers them.

Flink's runner of Beam tells every bundle that is over when a checkpoint is done, those too that came behind its
barrier: their rows may be under way to a slot that writes them. Of checkpoints there is one at a time, and a savepoint may
overlap one: so the barrier of a checkpoint comes after the last but one was done, and covers what was taken
before that.
Source: Beam's ExecutableStageDoFnOperator.notifyCheckpointComplete, which does not ask which checkpoint.
"""

import threading
from typing import Final

from metering.elements import Payloads
from sources.feed import Feed
from sources.hub import Hub

_OVERLAP: Final = 1  # checkpoints that may be under way beside one


class _Taken(list[Payloads]):
    """What was taken at once, and how many checkpoints had told by then."""

    told: int = 0


class CoveredHub(Hub):
    """A hub that is told by checkpoints.

    Guarantee: nothing is acknowledged before a checkpoint is done whose barrier came behind it.
    """

    def __init__(self, feeds: list[Feed], queue_bytes: int) -> None:
        super().__init__(feeds, queue_bytes)
        self._told = 0  # checkpoints
        self._waits: list[_Taken] = []  # for one that covers it
        self._lock = threading.Lock()

    def take(self, payloads: int, size: int, wait: float, linger: float) -> list[Payloads]:
        """Return what waits, as a hub; nothing is to be given to `ack` as well."""
        with self._lock:
            told = self._told
        taken = _Taken(super().take(payloads, size, wait, linger))
        taken.told = told
        return taken

    def ack(self, taken: list[Payloads]) -> None:
        """Take that a checkpoint is done after which this was finalized; tell the feeds what it covers."""
        assert isinstance(taken, _Taken)
        for each in self._covered(taken):
            super().ack(each)

    def _covered(self, taken: _Taken) -> list[_Taken]:
        with self._lock:
            if taken.told == self._told:  # so this is another checkpoint
                self._told += 1
            reach = self._told - 1 - _OVERLAP
            self._waits.append(taken)
            covered = [each for each in self._waits if each.told < reach]
            self._waits = [each for each in self._waits if each.told >= reach]
            return covered
