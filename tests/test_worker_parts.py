"""What a worker of a cluster gives its pipeline."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.resources import resources
from jobs.worker_parts import worker_parts
from metering.config import Config, Database, Spool
from sinks.writer import PromptWriter
from store.alarm_states import write_transitions
from store.client import Store
from tests.delivering import transition
from tests.servers.rabbitmq import wait_until


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Iterator[Config]:
    config = Config(
        database=Database(path=store.database.path, name=store.name),
        spool=Spool(path=tmp_path / "spool"),
    )
    yield config
    resources(config).delivering.close()
    resources(config).close()


@pytest.mark.parametrize(
    "name", ["watermark", "sieve", "reached", "deriver", "usage_windows", "telling", "alarms"]
)
def test_the_steps_of_every_bundle_share_what_they_remember(config: Config, name: str) -> None:
    earlier, later = getattr(worker_parts(config), name), getattr(worker_parts(config), name)
    assert earlier() is later()


def test_rows_are_written_before_a_bundle_ends(config: Config) -> None:
    assert isinstance(worker_parts(config).outlet().writer, PromptWriter)


def test_a_worker_delivers_what_alarms_call(config: Config, store: Store) -> None:
    now = int(time.time() * 1000)
    write_transitions(store, [transition(1, "a", "test://", at=now)])  # before the worker came
    given = worker_parts(config)
    given.alarms()
    given.offer(write_transitions(store, [transition(1, "b", "test://", at=now)]))
    states = f"SELECT alarm_id FROM {store.name}.deliveries FINAL WHERE state = 'delivered'"
    wait_until(
        lambda: sorted(store.query(states).result_rows) == [("a",), ("b",)],
        "both to be delivered",
        60,
    )
