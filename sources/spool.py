"""The spool: a durable folder where REST pushes land before they are answered, and the feed of it.

Guarantee: what `append` returned for is on disk, and is polled again after a crash until it is
    acknowledged. A crash may repeat what was acknowledged last; it loses nothing.
State: the folder (sources.journal), and in it `lock`, held by the one process that may use it.
Errors: a record that is not what was written, and all behind it in its segment, is set aside as
    `NUMBER.damaged` beside the segments, and `status` says so until that file is taken away.
"""

import dataclasses
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pydantic

from sources.feed import Feed, FeedError, FeedSettings, Payloads
from sources.journal import Journal, Receipt
from sources.segment import find_damaged, pack

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class SpoolError(Exception):
    """The spool cannot take records now; nothing of the request counts."""


class SpoolFullError(SpoolError):
    """The spool, or the disk below it, has no room until the store has caught up."""


class SpoolSettings(FeedSettings):
    """Where the spool is and how large it may grow (metering.config.Spool)."""

    type: str = "spool"
    path: Path = pydantic.Field(Path("data/spool"), description="folder of segments")
    segment_bytes: int = pydantic.Field(
        16 * 1024**2, ge=4096, description="bytes after which a new segment is begun"
    )
    max_bytes: int = pydantic.Field(
        4 * 1024**3, ge=4096, description="bytes the folder may hold; appends beyond are refused"
    )


@dataclasses.dataclass(slots=True)
class _Group:
    """The records of one append, on their way to the disk together with others'."""

    blob: bytes
    count: int
    done: bool = False
    error: OSError | None = None


class SpoolFeed(Feed):
    """Records appended by many threads, polled by one, acknowledged from another."""

    Settings: ClassVar[type[FeedSettings]] = SpoolSettings

    def __init__(
        self,
        settings: SpoolSettings,
        clock: Callable[[], float] = time.time,
        pwrite: Callable[..., int] = os.pwrite,
    ) -> None:
        super().__init__(settings)
        self._folder = settings.path
        self._max_bytes = settings.max_bytes
        self._segment_bytes = min(settings.segment_bytes, settings.max_bytes // 4)
        self._clock = clock
        self._pwrite = pwrite
        self._changed = threading.Condition()  # guards all below
        self._lock: int | None = None
        self._journal: Journal | None = None  # while open
        self._pending: list[_Group] = []
        self._pending_bytes = 0  # of these and of those being written
        self._writing = False
        self._closing = False
        self._last_error: str | None = None

    def open(self) -> None:
        """Take the folder and find where to go on. Does nothing when open. Raises FeedError."""
        with self._changed:
            if self._journal is not None:
                return
            self._closing = False
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock = _take_lock(self._folder)
                self._journal = Journal(self._folder, self._segment_bytes, self._pwrite)
            except OSError as error:
                self._let_go()
                raise FeedError(
                    f"the spool folder {self._folder} cannot be used: {error}; make it readable"
                    " and writable for this user, or set spool.path to another folder"
                ) from error

    def append(self, bodies: Sequence[bytes]) -> None:
        """Put records on disk, all or none, before returning. Safe from any thread.

        Raises SpoolFullError where there is no room, SpoolError where the disk fails or the
        spool is not open.
        """
        if not bodies:
            return
        group = _Group(pack(bodies, int(self._clock())), len(bodies))
        with self._changed:
            journal = self._admit(len(group.blob))
            self._pending.append(group)
            self._pending_bytes += len(group.blob)
            while not group.done:
                if self._writing:
                    self._changed.wait()
                else:
                    self._write_pending(journal)
        if group.error is not None:
            raise _refusal(group.error, self._folder) from group.error

    def poll(self, timeout: float) -> Payloads | None:
        """Return the oldest records not polled yet. Raises FeedError where the disk fails."""
        with self._changed:
            self._changed.wait_for(self._may_poll, timeout)
            try:
                while (journal := self._journal) is not None and journal.read < journal.next:
                    if (taken := journal.take()) is not None:
                        return Payloads(self.name, *taken)
                    self._changed.wait_for(lambda: not self._writing)
                    journal.pass_damage()
            except OSError as error:
                raise FeedError(
                    f"the spool folder {self._folder} is unreadable: {error}"
                ) from error
        return None

    def ack(self, receipt: Receipt) -> None:
        """Say that these records are stored. Does nothing for a spool that was closed since."""
        with self._changed:
            if self._journal is not None:
                self._journal.ack(receipt)

    def close(self) -> None:
        """Finish the appends under way, then let go of the folder."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._writing and not self._pending)
            self._let_go()
            self._changed.notify_all()

    def status(self) -> dict[str, Any]:
        """Return also the depth: `records`, `bytes` and the `oldest_age` (s) not acknowledged."""
        with self._changed:
            journal = self._journal
            records, size, arrived = journal.depth() if journal is not None else (0, 0, None)
            return {
                "connected": journal is not None,
                "last_error": (journal and journal.last_error) or self._last_error,
                "records": records,
                "bytes": size,
                "oldest_age": None if arrived is None else max(0.0, self._clock() - arrived),
                "damaged": len(find_damaged(self._folder)),
            }

    def _may_poll(self) -> bool:
        return self._journal is None or self._journal.read < self._journal.next

    def _admit(self, size: int) -> Journal:
        journal = self._journal
        if journal is None or self._closing:
            raise SpoolError(f"the spool {self._folder} is not open")
        if self._beyond(journal, size) and journal.position == journal.next and not self._writing:
            journal.seal()  # everything is stored: the segment being written can go, too
            journal.forget()
        if self._beyond(journal, size):
            raise SpoolFullError(
                f"the spool {self._folder} holds its {self._max_bytes} bytes (spool.max_bytes);"
                " it empties as the store catches up"
            )
        return journal

    def _beyond(self, journal: Journal, size: int) -> bool:
        return journal.size + self._pending_bytes + size > self._max_bytes

    def _write_pending(self, journal: Journal) -> None:
        """Write what all threads have waiting with one fsync; others get the lock meanwhile."""
        groups, self._pending = self._pending, []
        blob = b"".join(group.blob for group in groups)
        error: OSError | None = None
        self._writing = True
        self._changed.release()
        try:
            place = journal.write(blob)
        except OSError as fault:
            error = fault
        finally:
            self._changed.acquire()
            self._writing = False
        if error is None:
            journal.commit(place, sum(group.count for group in groups), len(blob))
        else:
            self._last_error = str(_refusal(error, self._folder))
            journal.seal()  # what stands behind the last record may be anything now
        self._pending_bytes -= len(blob)
        for group in groups:
            group.done, group.error = True, error
        self._changed.notify_all()

    def _let_go(self) -> None:
        if self._journal is not None:
            self._last_error = self._journal.last_error
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _refusal(error: OSError, folder: Path) -> SpoolError:
    if error.errno in _FULL:
        return SpoolFullError(f"the disk of the spool {folder} is full ({error}); free some space")
    return SpoolError(f"the spool {folder} cannot be written: {error}")


def _take_lock(folder: Path) -> int:
    """Hold the folder's lock file until the descriptor is closed. Raises FeedError where taken."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise FeedError(
            f"the spool folder {folder} is in use by another process; stop that one, or set"
            " spool.path to another folder"
        ) from error
    return fd
