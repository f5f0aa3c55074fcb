"""What the API asks of a ClickHouse server: its tests again, with the store reached over HTTP."""

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.config import Config, Database, Sql
from store.client import Store
from store.migrate import migrate
from tests import (
    test_api_errors,
    test_api_meters,
    test_api_query_samples,
    test_api_samples,
    test_api_statistics,
)
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
def store(engine: Serving) -> Iterator[Store]:
    """A migrated store, empty, reached over HTTP."""
    url, name = f"http://analyst@{engine.address}", f"test_api_http_{next(_numbers)}"
    opened = Store(Database.model_validate({"url": url, "password": "secret", "name": name}))
    migrate(opened)
    yield opened
    opened.command(f"DROP DATABASE {opened.name}")
    opened.close()


for _module in (
    test_api_errors,
    test_api_meters,
    test_api_query_samples,
    test_api_samples,
    test_api_statistics,
):
    for _name, _value in vars(_module).items():
        # Those with a store are asked for here, by this module's fixture.
        if _name.startswith("test_") and "store" in inspect.signature(_value).parameters:
            globals()[_name] = _value
