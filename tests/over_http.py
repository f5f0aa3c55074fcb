"""Fixtures of suites that run again with the store reached over HTTP, as a server's would be."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.config import Config, Database, Sql
from store.client import Store
from tests.stores import migrated
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
    with migrated(database) as opened:
        yield opened
