"""What a worker of a cluster gives its pipeline."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from jobs import pipeline
from jobs.resources import resources
from jobs.worker_parts import worker_parts
from metering.config import Config, Database, Spool
from sinks.writer import PromptWriter
from store.alarm_states import write_transitions
from store.client import Store
from tests.delivering import transition
from tests.servers.rabbitmq import wait_until
from tests.test_job import STEPS


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Iterator[Config]:
    config = Config(
        database=Database(path=store.database.path, name=store.name),
        spool=Spool(path=tmp_path / "spool"),
    )
    yield config
    resources(config).delivering.close()
    resources(config).close()


OF_PLACES = ["common", "deriver", "reached", "sieve", "telling", "usage_windows", "waiting"]


@pytest.mark.parametrize("name", ["watermark", "alarms"])
def test_the_steps_of_every_bundle_share_what_they_remember(config: Config, name: str) -> None:
    earlier, later = getattr(worker_parts(config), name), getattr(worker_parts(config), name)
    assert earlier() is later()


@pytest.mark.parametrize("name", OF_PLACES)
def test_what_a_place_remembers_is_its_own_in_every_bundle(config: Config, name: str) -> None:
    earlier, later = (getattr(worker_parts(config, 2), name) for _ in range(2))
    first, second = worker_parts(config, 2).places.all()
    assert earlier(first) is later(first)
    assert earlier(first) is not later(second)


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


def files(folder: Path, name: str) -> dict[str, str | list[str]]:
    return {"type": "files", "name": name, "paths": [str(folder / "*.jsonl")]}


def test_of_two_slots_each_has_a_reader_that_opens_its_own_feeds(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").touch()
    nowhere = Database(url="http://127.0.0.1:1")  # a reader asks no store
    config = Config(database=nowhere, feeds=[files(tmp_path, name) for name in "abc"])
    given = worker_parts(config, 2)
    hubs = [given.hub(reader) for reader in given.readers]
    try:
        assert [sorted(hub.feeds) for hub in hubs] == [["a", "c"], ["b"]]
        assert [given.hub(reader) for reader in given.readers] == hubs
    finally:
        for hub in hubs:
            hub.close()


def test_the_parts_of_a_feed_are_opened_by_a_reader_each(tmp_path: Path) -> None:
    paths = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for path in paths:
        path.write_text(f'"{path.stem}"')
    feed = {"type": "files", "paths": list(map(str, paths)), "parts": 2}
    given = worker_parts(Config(database=Database(url="http://127.0.0.1:1"), feeds=[feed]), 2)
    hubs = [given.hub(reader) for reader in given.readers]
    try:
        taken = [hub.take(10, 1000, 60, 0) for hub in hubs]
        found = [(part.feed, part.bodies) for parts in taken for part in parts]
        assert found == [("files/0", [b'"one"']), ("files/1", [b'"two"'])]
    finally:
        for hub in hubs:
            hub.close()


def test_a_reader_is_told_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(b"{}\n")
    nowhere = Database(url="http://127.0.0.1:1")
    given = worker_parts(Config(database=nowhere, feeds=[files(tmp_path, "a")]), 2)
    (reader,) = given.readers
    hub = given.hub(reader)
    try:
        taken = hub.take(10, 1000, 60, 0)
        given.acknowledge(reader, taken)
        assert [part.bodies for part in taken] == [[b"{}"]]
        for _ in range(2):
            assert hub.lag == 0  # a checkpoint is done; the last but one after it covers it
            given.acknowledge(reader, hub.take(10, 1000, 0, 0))
        assert hub.lag > 0
    finally:
        hub.close()


def test_who_holds_the_state_opens_no_feed(config: Config) -> None:
    given = worker_parts(config, 2)
    given.alarms()
    given.sieve(given.places.all()[1])
    given.outlet()
    assert "hub" not in vars(resources(config))


def steps_by_worker(config: Config, slots: int) -> list[list[str]]:
    """Return the steps that share a kind of worker."""
    job = beam.Pipeline(options=PipelineOptions(["--streaming"]))
    pipeline.build(job, config, worker_parts(config, slots))
    steps = job.to_runner_api().components.transforms.values()
    named = [(step.environment_id, step.unique_name) for step in steps if step.environment_id]
    whole = sorted((worker, name) for worker, name in named if name in STEPS)
    return [
        [name for _, name in of_worker]
        for _, of_worker in itertools.groupby(whole, key=lambda pair: pair[0])
    ]


def test_readers_and_alarms_have_workers_of_their_own_where_there_are_several_slots(
    config: Config,
) -> None:
    reading = ["DecodePayloads", "ReadFeeds"]
    alarms = [
        "EvaluateAlarms",
        "EvaluateEventAlarms",
        "MatchAlarms",
        "NotifyActions",
        "NotifyEventActions",
    ]
    state = [step for step in STEPS if step not in (*reading, *alarms)]
    assert sorted(steps_by_worker(config, 2)) == [reading, state, alarms]
    assert steps_by_worker(config, 1) == [STEPS]
