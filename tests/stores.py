"""Stores for tests."""

import contextlib
from collections.abc import Iterator

from metering.config import Database
from store.client import Store
from store.migrate import migrate


@contextlib.contextmanager
def migrated(database: Database) -> Iterator[Store]:
    """A migrated store, empty, gone afterwards.

    What tests write has the times it had when they were written: nothing of it is ever too old.
    """
    opened = Store(database)
    migrate(opened)
    opened.command("SYSTEM STOP TTL MERGES")
    yield opened
    opened.command(f"DROP DATABASE {opened.name}")
    opened.close()
