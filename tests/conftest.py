"""Fixtures for every test: one embedded engine for the whole run, a database of its own for each test."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from metering.config import Database
from store.client import Store
from tests.servers.openstack import cloud
from tests.servers.pubsub import pstest, pubsub
from tests.servers.rabbitmq import certificates, rabbitmq, second_rabbitmq
from tests.soak.sources import source
from tests.stores import migrated

__all__ = [
    "certificates",
    "cloud",
    "pstest",
    "pubsub",
    "rabbitmq",
    "second_rabbitmq",
    "source",
]  # one of each for the whole run

# How fast a busy machine draws inputs or runs an example says nothing about the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

_numbers = itertools.count(1)
_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="count a skipped test as failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    report = yield
    return _failed_if_skipped(report, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport]:
    report = yield
    return _failed_if_skipped(report, collector.config)


@pytest.fixture(scope="session")
def engine_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the embedded engine; chDB opens one folder a process.

    It stays open for the whole run: the engine stops with its last client, and starting it again and
    again takes a second each time, or for ever.
    """
    path = tmp_path_factory.mktemp("engine")
    anchor = Store(Database(path=path))
    anchor.client()
    yield path
    anchor.close()


@pytest.fixture
def store(engine_path: Path) -> Iterator[Store]:
    """A migrated store, empty, on the embedded engine."""
    with migrated(Database(path=engine_path, name=f"test_{next(_numbers)}")) as opened:
        yield opened


def _failed_if_skipped(report: _Report, config: pytest.Config) -> _Report:
    """Turn a skip into a failure with its reason, where --fail-on-skip is set."""
    if config.getoption("--fail-on-skip") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"no test may be skipped here: {reason}"
    return report
