"""Fixtures for every test: one embedded engine for the whole run, a database of its own for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from metering.config import Database
from store.client import Store
from store.migrate import migrate

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def engine_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the embedded engine; chDB opens one folder a process."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def store(engine_path: Path) -> Iterator[Store]:
    """A migrated store, empty, on the embedded engine."""
    opened = Store(Database(path=engine_path, name=f"test_{next(_numbers)}"))
    migrate(opened)
    yield opened
    opened.command(f"DROP DATABASE {opened.name}")
    opened.close()
