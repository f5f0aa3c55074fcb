"""The store's own suite over HTTP: the client that talks to a server, against the SQL endpoint."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.config import Config, Database, Sql
from store.client import Store
from store.migrate import migrate
from tests import test_store
from webapi.serving import Serving, serve
from webapi.sql_endpoint import create_sql_app

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def engine(engine_path: Path) -> Iterator[Serving]:
    """The embedded engine behind HTTP, taking every statement."""
    behind = Store(Database(path=engine_path))
    config = Config(database=behind.database, sql=Sql.model_validate({"password": "secret"}))
    serving = serve(create_sql_app(config, behind, writable=True), "127.0.0.1:0", 4)
    yield serving
    serving.close()
    behind.close()


@pytest.fixture
def store(engine: Serving, engine_path: Path) -> Iterator[Store]:
    """A migrated store, empty, reached over HTTP."""
    database = Database.model_validate(
        {
            "path": engine_path,
            "url": f"http://analyst@{engine.address}",
            "password": "secret",
            "name": f"test_http_{next(_numbers)}",
        }
    )
    opened = Store(database)
    migrate(opened)
    yield opened
    opened.command(f"DROP DATABASE {opened.name}")
    opened.close()


for _name in dir(test_store):
    if _name.startswith("test_"):
        globals()[_name] = getattr(test_store, _name)


def test_the_store_is_reached_over_http(store: Store) -> None:
    assert not store.embedded
    assert store.command("SELECT 1") == 1
