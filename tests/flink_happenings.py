"""What happens to the job on Flink while it works, each under load; and what the tables must be then."""

import contextlib
import dataclasses
import random
import time
from collections.abc import Sequence
from typing import Final

from metering.alarms.definition import Alarm
from metering.config import Database
from store.alarms import write_alarms
from store.client import Store
from tests.alarms.transcript import alarm
from tests.flink_api import watched_by_the_api
from tests.flink_job import (
    SECONDS,
    Job,
    assert_all_acknowledged,
    assert_the_same,
    eventually,
)
from tests.flink_racks import racks
from tests.servers.engine import EngineServer
from tests.servers.rabbitmq import wait_until
from tests.soak.notifications import Message, measured
from tests.soak.service import Service
from tests.soak.traffic import STEP, traffic

SEED: Final = 11
_HOUR: Final = 3_600_000  # ms
_EARLIER: Final = 40 * 60_000  # ms that the hour in the middle of the traffic is ago, at the least
_DAY: Final = 86_400  # s
_RACKS: Final = 20_000  # ms that racks are measured later, once their definitions have changed
# Of all heat that a day brought: what came before the job was submitted anew is in both.
_HEAT: Final = {"largest": ("max", 50.0), "total": ("sum", 100.0)}
_HISTORY: Final = (
    "SELECT alarm_id, JSONExtractString(detail, 'state') FROM metering.alarm_history FINAL"
    " WHERE type = 'state transition' ORDER BY alarm_id, version"
)
_DELIVERED: Final = (
    "SELECT alarm_id FROM metering.deliveries FINAL WHERE state = 'delivered' ORDER BY alarm_id"
)


def traffic_past_an_hour(seed: int, count: int, now: int) -> list[Message]:
    """Return traffic half of which is before a full hour: it passes windows, whatever time it is."""
    return traffic(seed, count, (now - _EARLIER) // _HOUR * _HOUR - count * STEP // 2)


def put_through(job: Job, service: Service, happenings: Sequence[str], count: int) -> None:
    """Let these happen under load, one after another, then compare the tables. See HAPPENINGS."""
    now = int(time.time() * 1000)
    messages = traffic_past_an_hour(SEED, count, now)
    part = len(messages) // (2 * len(happenings)) + 1
    parts = [messages[start : start + part] for start in range(0, len(messages), part)]
    job.start("submit")
    _measure_racks(job)
    for what, some, more in zip(happenings, parts[::2], parts[1::2], strict=True):
        until_more_is_stored(job, some)
        HAPPENINGS[what](job, more)
    service.drain()
    assert_the_same(service, job, now)
    assert_all_acknowledged(job)


def _measure_racks(job: Job) -> None:
    """Publish what racks say; it is to be stored by the definitions that hold now."""
    start = int(time.time()) * 1000 - _HOUR + (_RACKS if job.changed else 0)
    messages, rows = racks(SEED + job.changed, start, job.changed)
    job.publish(messages)
    job.racks += rows


def until_more_is_stored(job: Job, messages: Sequence[Message]) -> None:
    """Publish, and wait until some of it is there: what happens then happens under load."""
    before = _stored(job.engine)
    job.publish(messages)
    wait_until(lambda: _stored(job.engine) > before, "samples", SECONDS)


def _stored(engine: EngineServer) -> int:
    return int(engine.query("SELECT count() FROM metering.samples")[0][0])


def until_restarted(job: Job, before: int) -> None:
    """Wait until Flink has noticed and all of the job runs again: what is left of it writes until then."""
    wait_until(lambda: job.restarted() > before and job.runs(), "the job to run again", SECONDS)


def worker_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    before = job.restarted()
    job.publish(meanwhile)
    job.kill_workers()
    until_restarted(job, before)


def task_manager_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    before = job.restarted()
    job.publish(meanwhile)
    job.kill_task_manager()
    until_restarted(job, before)


def job_manager_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    """The one that is started again finds the job by ZooKeeper, and goes on from its last checkpoint."""
    job.publish(meanwhile)
    job.kill_job_manager()
    wait_until(job.runs, "the job to run again", SECONDS)


def step_fails(job: Job, meanwhile: Sequence[Message]) -> None:
    """A table that is away is no passing fault: the bundle fails, and the job starts again."""
    workers = set(job.cluster.workers())
    assert workers
    job.engine.query("RENAME TABLE metering.samples TO metering.elsewhere")
    job.publish(meanwhile)
    # Their memory is ahead of the store: they must not go on.
    wait_until(lambda: not workers & set(job.cluster.workers()), "new workers", SECONDS)
    job.engine.query("RENAME TABLE metering.elsewhere TO metering.samples")
    wait_until(job.runs, "the job to run again", SECONDS)


def database_away(job: Job, meanwhile: Sequence[Message]) -> None:
    job.engine.stop()
    job.publish(meanwhile)
    job.engine.start()


def broker_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    job.publish(meanwhile)
    job.kill_broker()


def stopped_and_resumed(job: Job, meanwhile: Sequence[Message]) -> None:
    """By a savepoint, with changed definitions: what came before they changed stays as it was."""
    job.until_acknowledged()  # what comes again is read by the definitions that hold then
    savepoint = job.command("job", "stop", job.id, "--savepoint").strip()
    job.publish(meanwhile)
    job.changed = True
    job.start("job", "resume", savepoint)
    _measure_racks(job)


def submitted_anew(job: Job, meanwhile: Sequence[Message]) -> None:
    """Canceled, with no savepoint: growth, windows and alarms go on by what the store knows, in other places."""
    _watch_heat(job)
    _bring_heat(job, 10)
    eventually(lambda: _history(job), lambda: [("largest", "ok"), ("total", "ok")])
    _bring_heat(job, 90)
    once = [("largest", "ok"), ("largest", "alarm"), ("total", "ok")]
    eventually(lambda: _history(job), lambda: once)
    job.flink().cancel(job.id)
    job.publish(meanwhile)
    job.slots += job.slots > 1
    job.start("submit")
    _bring_heat(job, 20)  # 90 is still the largest, 120 the sum of all
    eventually(lambda: _history(job), lambda: [*once, ("total", "alarm")])
    eventually(lambda: job.engine.query(_DELIVERED), lambda: [("largest",), ("total",)])


def _watch_heat(job: Job) -> None:
    with contextlib.closing(Store(Database.model_validate(job.engine.database()))) as store:
        version = time.time_ns() // 1000
        write_alarms(
            store,
            [
                dataclasses.replace(_alarm(name, *rule), version=version)
                for name, rule in _HEAT.items()
            ],
        )


def _alarm(name: str, statistic: str, threshold: float) -> Alarm:
    rule = {
        "meter_name": "heat",
        "statistic": statistic,
        "comparison_operator": "gt",
        "threshold": threshold,
        "period": _DAY,
    }
    return alarm(
        alarm_id=name,
        name=name,
        type="threshold",
        threshold_rule=rule,
        alarm_actions=["test://"],
    )


def _bring_heat(job: Job, volume: int) -> None:
    an_hour_ago = int(time.time() * 1000) - _HOUR
    job.publish([measured(random.Random(volume), "heat", volume, an_hour_ago)])


def _history(job: Job) -> list[tuple[str, str]]:
    """Return the states that alarms went to, in order of each."""
    return job.engine.query(_HISTORY)


HAPPENINGS: Final = {
    each.__name__: each
    for each in (
        worker_killed,
        task_manager_killed,
        job_manager_killed,
        step_fails,
        database_away,
        broker_killed,
        submitted_anew,
        stopped_and_resumed,
        watched_by_the_api,
    )
}
