"""The store's own suite over HTTP: the client that talks to a server, against the SQL endpoint."""

from store.client import Store
from tests import test_store
from tests.over_http import engine, store

__all__ = ["engine", "store"]  # in the place of conftest's

for _name in dir(test_store):
    if _name.startswith("test_"):
        globals()[_name] = getattr(test_store, _name)


def test_the_store_is_reached_over_http(store: Store) -> None:
    assert not store.embedded
    assert store.command("SELECT 1") == 1
