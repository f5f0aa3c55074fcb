"""The way to ClickHouse: the embedded engine or a server, through the same clickhouse-connect client.

Guarantee: one client a thread (a client serialises its calls; chDB's releases the GIL meanwhile).
Errors: StoreError where the store can't be used as it is, with what to do; StoreAwayError where
    trying again may help (a server that does not answer, a full disk). Others are the query's own.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError
from clickhouse_connect.driver.query import QueryResult

from metering.config import Database


class StoreError(Exception):
    """The store cannot be used as it is configured or found; says what to do."""


class StoreAwayError(StoreError):
    """The store does not take this now, but may later."""


class Store:
    """A database of samples, events and what was refused.

    Not picklable on purpose: what travels through the job is the configuration.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.name = database.name
        self._local = threading.local()
        self._clients: list[Client] = []
        self._lock = threading.Lock()
        self._closed = False
        self.last_error: str | None = None  # why the last write was not taken; None once one was

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self.database.url is None

    def client(self) -> Client:
        """Return this thread's client, connecting at first use. Raises StoreError."""
        client = getattr(self._local, "client", None)
        if client is None:
            if self._closed:
                raise StoreError("the store is closed")
            client = self._local.client = self._connect()
            with self._lock:
                self._clients.append(client)
        return client

    def insert(self, table: str, rows: pa.Table) -> None:
        """Write rows; durable when it returns. Raises StoreAwayError."""
        with self._told_apart():
            self.client().insert_arrow(table, rows, database=self.name)
        self.last_error = None

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> QueryResult:
        """Run the program's own bounded query. Raises StoreAwayError."""
        with self._told_apart():
            return self.client().query(sql, parameters=parameters)

    def query_arrow(self, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
        """Run the program's own bounded query for many rows. Raises StoreAwayError."""
        with self._told_apart():
            return self.client().query_arrow(sql, parameters=parameters)

    def command(self, sql: str, **parameters: Any) -> Any:
        """Run a statement that returns at most one value."""
        return self.client().command(sql, parameters=parameters or None)

    def close(self) -> None:
        """Let go of every client; the folder is free for another process then."""
        self._closed = True
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    @contextlib.contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Raise StoreAwayError for what may pass, and keep it for the status."""
        try:
            yield
        except (
            DatabaseError,
            OperationalError,
            OSError,
        ) as error:  # OSError: our own temporary file
            reason = _passing(error, self.database)
            if reason is None:
                raise
            self.last_error = reason
            raise StoreAwayError(reason) from error

    def _connect(self) -> Client:
        try:
            if self.database.url is None:
                return _connect_embedded(self.database.path)
            password = self.database.password
            return clickhouse_connect.get_client(
                dsn=self.database.url,
                password=password.get_secret_value() if password else "",
                autogenerate_session_id=False,
            )
        except (DatabaseError, OperationalError, ProgrammingError) as error:
            raise _unusable(error, self.database) from error


def _connect_embedded(path: Path) -> Client:
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / _INSERTS).mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"database.path {path}: {error.strerror}; {_REMEDIES.get(error.errno or 0, 'choose another folder')}"
        ) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(
            f"database.path {path} cannot be read and written by this user; {_REMEDIES[errno.EACCES]}"
        )
    if tempfile.tempdir != str(path / _INSERTS) and in_use(path):  # it is not ours yet
        raise StoreError(
            f"database.path {path} is in use by another process;"
            " stop that one first, or set another database.path"
        )
    client = clickhouse_connect.get_client(interface="chdb", path=str(path))
    _sweep(path / _INSERTS)
    return client


def _sweep(folder: Path) -> None:
    """Have this process' inserts pass through `folder`, emptied of what a killed process left.

    clickhouse-connect hands rows to the engine through a file in the temporary folder. Only once, and
    once the engine's lock is ours: no other process writes there then.
    """
    if tempfile.tempdir != str(folder):
        for left in folder.iterdir():  # other libraries' temporary folders come here too
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        tempfile.tempdir = str(folder)


_INSERTS = "inserts"
_REMEDIES = {
    errno.EACCES: "change its owner or mode, or choose another folder",
    errno.ENOSPC: "free some space on that disk",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.ENOTDIR: "it must be a folder",
    errno.EEXIST: "it must be a folder",
}


def _unusable(error: Exception, database: Database) -> StoreError:
    text = str(error)
    if database.url is not None:
        return StoreAwayError(
            f"database.url: the ClickHouse server cannot be reached or refused us: {_first_line(text)}"
        )
    return StoreError(
        f"database.path {database.path} cannot be opened; is another process just starting on it?"
        f" {_first_line(text)}"
    )


def in_use(folder: Path) -> bool:
    """Return whether another process holds the engine's lock (the engine itself only says "cannot initialize")."""
    try:
        with (folder / "status").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


# ClickHouse's codes for what may pass: time-outs, sockets, read-only, memory, disk, too many parts.
_PASSING: Final = frozenset({159, 202, 203, 209, 210, 241, 242, 243, 252, 279, 285, 319, 425})


_FULL: Final = ("No space left", "NOT_ENOUGH_SPACE", "Disk quota exceeded")


def _passing(error: Exception, database: Database) -> str | None:
    """Return what to say of an error that may pass by itself; None for any other."""
    text = str(error)
    if any(sign in text for sign in _FULL):
        return (
            f"the disk of database.path {database.path} is full: free some space;"
            " nothing is lost, feeds wait meanwhile"
        )
    if isinstance(error, OperationalError) or getattr(error, "code", None) in _PASSING:
        return f"the store did not answer: {_first_line(text)}"
    return None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "no reason given"
