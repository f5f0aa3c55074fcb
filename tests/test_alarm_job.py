"""Alarms in the running job: definitions from the store, samples and events from a feed, transitions stored."""

import contextlib
import dataclasses
import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import resources
from jobs.embedded import EmbeddedJob
from metering.config import Config, Database, Job
from metering.config import Spool as SpoolConfig
from store.alarm_states import alarm_states
from store.alarms import delete_alarms, write_alarms
from store.client import Store
from tests.alarms.transcript import alarm
from tests.test_decode import SAMPLE, batch, enveloped, message

DEADLINE = 30.0  # s
RULE: dict[str, Any] = {"meter_name": "cpu", "threshold": 50.0, "comparison_operator": "gt"}
HIGH: dict[str, Any] = {"type": "threshold", "threshold_rule": RULE}


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Config:
    return Config(
        database=Database(path=store.database.path, name=store.name),
        spool=SpoolConfig(path=tmp_path / "spool"),
        job=Job(tick=0.1),
    )


@contextlib.contextmanager
def running(config: Config) -> Iterator[resources.Resources]:
    opened = resources.resources(config)
    job = EmbeddedJob(opened)
    job.start()
    yield opened
    job.stop()
    opened.close()
    assert job.failure is None


@pytest.fixture
def held(config: Config) -> Iterator[resources.Resources]:
    with running(config) as opened:
        yield opened


def until(condition: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends, f"waited {DEADLINE} s for: {what}"
        threading.Event().wait(0.02)


def defined(store: Store, **fields: Any) -> None:
    version = time.time_ns() // 1000
    write_alarms(store, [dataclasses.replace(alarm(**fields), version=version)])


def deleted(store: Store, **fields: Any) -> None:
    version = time.time_ns() // 1000
    delete_alarms(store, [dataclasses.replace(alarm(**fields), version=version)])


def pushed(held: resources.Resources, volume: float, **fields: Any) -> None:
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None).isoformat()
    named = {"counter_volume": volume, "timestamp": now, "message_id": uuid.uuid4().hex}
    held.spool.append([enveloped(batch(SAMPLE | named | fields))])


def entered(store: Store, state: str, alarm_id: str = "a") -> None:
    """Wait until an alarm is in a state."""

    def there() -> bool:
        found = alarm_states(store).get(alarm_id)
        return found is not None and found.state == state

    until(there, f"{alarm_id} to be {state}")


def history(store: Store) -> list[tuple[str, str]]:
    """Return the states that alarms went to, in order."""
    rows = store.query(
        f"SELECT alarm_id, JSONExtractString(detail, 'state') FROM {store.name}.alarm_history FINAL"
        " ORDER BY version"
    ).result_rows
    return [tuple(row) for row in rows]


def test_samples_lead_to_stored_transitions(held: resources.Resources, store: Store) -> None:
    pushed(held, 90)
    defined(store, **HIGH)
    entered(store, "alarm")
    pushed(held, -100)
    entered(store, "ok")
    defined(store, **HIGH | {"threshold_rule": RULE | {"threshold": -1000}})
    entered(store, "alarm")
    assert history(store) == [("a", "alarm"), ("a", "ok"), ("a", "alarm")]


def test_events_and_the_states_of_others_lead_to_transitions(
    held: resources.Resources, store: Store
) -> None:
    on_event = {"type": "event", "event_rule": {"event_type": "x.*"}, "alarm_id": "e", "name": "e"}
    both = {
        "type": "combination",
        "combination_rule": {"operator": "and", "alarm_ids": ["e", "a"]},
    }
    defined(store, **HIGH)
    defined(store, **on_event)
    defined(store, **both | {"alarm_id": "b", "name": "b"})
    pushed(held, 90)
    entered(store, "alarm")
    held.spool.append([enveloped(message("x.y", {"a": 1}))])
    entered(store, "alarm", "e")
    entered(store, "alarm", "b")
    assert sorted(history(store)) == [("a", "alarm"), ("b", "alarm"), ("e", "alarm")]


def test_what_is_deleted_makes_no_transition(held: resources.Resources, store: Store) -> None:
    other = HIGH | {"alarm_id": "other", "name": "other"}
    defined(store, **HIGH)
    defined(store, **other)
    pushed(held, 90)
    entered(store, "alarm")
    deleted(store, **HIGH)
    gone = HIGH | {"alarm_id": "later", "name": "later"}
    defined(store, **gone)  # once it is evaluated the deletion has been read
    entered(store, "alarm", "later")
    pushed(held, -100)
    entered(store, "ok", "other")
    entered(store, "ok", "later")
    assert ("a", "ok") not in history(store)


def test_a_late_sample_counts_after_the_next_tick(held: resources.Resources, store: Store) -> None:
    maximum = {"threshold_rule": RULE | {"statistic": "max", "period": 3600}}
    defined(store, **HIGH | maximum)
    pushed(held, 10)
    entered(store, "ok")
    earlier = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None) - dt.timedelta(seconds=60)
    pushed(held, 90, timestamp=earlier.isoformat())
    entered(store, "alarm")


def test_a_new_process_makes_the_transitions_that_the_last_one_did_not_write(
    config: Config, store: Store
) -> None:
    defined(store, **HIGH)
    with running(config) as held:
        pushed(held, 90)
        entered(store, "alarm")
    for table in ("alarm_history", "alarm_states", "deliveries"):
        store.command(f"TRUNCATE TABLE {store.name}.{table}")
    with running(config):
        entered(store, "alarm")
    assert history(store) == [("a", "alarm")]


def test_what_is_evaluated_is_counted(held: resources.Resources, store: Store) -> None:
    defined(store, **HIGH)
    pushed(held, 90)
    entered(store, "alarm")
    held.alarms.tell_counts()
    held.writer.flush()
    rows = store.query(
        f"SELECT alarm_id, state, evaluations > 0 FROM {store.name}.alarm_evaluations FINAL"
    ).result_rows
    assert ("a", "alarm", 1) in [tuple(row) for row in rows]
