"""What a worker of a cluster gives its pipeline."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.resources import resources
from jobs.worker_parts import worker_parts
from metering.config import Config, Database, Spool
from sinks.writer import PromptWriter
from store.client import Store


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Iterator[Config]:
    config = Config(
        database=Database(path=store.database.path, name=store.name),
        spool=Spool(path=tmp_path / "spool"),
    )
    yield config
    resources(config).close()


@pytest.mark.parametrize(
    "name", ["watermark", "sieve", "reached", "deriver", "usage_windows", "telling", "alarms"]
)
def test_the_steps_of_every_bundle_share_what_they_remember(config: Config, name: str) -> None:
    earlier, later = getattr(worker_parts(config), name), getattr(worker_parts(config), name)
    assert earlier() is later()


def test_rows_are_written_before_a_bundle_ends(config: Config) -> None:
    assert isinstance(worker_parts(config).outlet().writer, PromptWriter)
