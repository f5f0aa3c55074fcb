"""The store's own suite over HTTP: the client that talks to a server, against the SQL endpoint."""

from pathlib import Path

import pytest

from metering.config import Database
from store.client import Store, StoreAwayError
from store.latest import mend_latest
from tests import test_store
from tests.over_http import engine, store
from tests.servers.engine import engine_in
from tests.stores import migrated

__all__ = ["engine", "store"]  # in the place of conftest's

for _name in dir(test_store):
    if _name.startswith("test_"):
        globals()[_name] = getattr(test_store, _name)


def test_the_store_is_reached_over_http(store: Store) -> None:
    assert not store.embedded
    assert store.command("SELECT 1") == 1


def test_a_server_that_is_away_when_latest_is_mended_is_told_as_away_and_takes_it_later(
    tmp_path: Path,
) -> None:
    with engine_in(tmp_path / "engine") as server:
        database = Database.model_validate(server.database())
        with migrated(database) as opened:
            server.stop()
            with pytest.raises(StoreAwayError):  # which the writer waits for
                mend_latest(opened, [("a resource", "a meter")])
            server.start()
            mend_latest(opened, [("a resource", "a meter")])
