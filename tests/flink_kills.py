"""Parts of a cluster killed with -9 at random moments, while messages come; and what the tables must be then."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import amqp

from tests.flink_happenings import traffic_past_an_hour
from tests.flink_job import SECONDS, Job, assert_all_acknowledged, assert_the_same
from tests.servers.rabbitmq import wait_until
from tests.soak.notifications import Message
from tests.soak.service import Service

_SAMPLES: Final = 1200  # and notifications, for each kill
_PIECES: Final = 20
_PAUSE: Final = 0.25  # s between pieces: messages come for some five seconds
_LAST: Final = "SELECT toUnixTimestamp(max(recorded_at)) FROM metering.samples"
_AWAY: Final = (OSError, amqp.exceptions.AMQPError)


def put_through_kills(job: Job, service: Service, times: int, seed: int) -> None:
    """Kill each part so many times, in random order, then compare the tables. Prints what it did."""
    rng = random.Random(seed)
    kills = [*KILLS] * times
    rng.shuffle(kills)
    now = int(time.time() * 1000)
    messages = traffic_past_an_hour(seed, _SAMPLES * len(kills), now)
    print(f"seed {seed}, {len(kills)} kills, {len(messages)} messages at {now}", flush=True)
    job.start("submit")
    job.published += messages
    size = -(-len(messages) // len(kills))
    for number, kind in enumerate(kills):
        began = time.monotonic()
        _killed_meanwhile(job, messages[number * size : (number + 1) * size], KILLS[kind], rng)
        took = time.monotonic() - began
        print(f"{number + 1} of {len(kills)}: {kind} after {took:.1f} s", flush=True)
    service.drain()
    assert_the_same(service, job, now)
    assert_all_acknowledged(job)


def _killed_meanwhile(
    job: Job, messages: Sequence[Message], kill: Callable[[Job], None], rng: random.Random
) -> None:
    """Kill at a random moment while these are published, once the job was seen to work."""
    size = -(-len(messages) // _PIECES)
    first, *rest = [messages[n : n + size] for n in range(0, len(messages), size)]
    before = int(time.time())
    _published(job, first)
    wait_until(lambda: job.engine.query(_LAST)[0][0] >= before, "the job to work", SECONDS)
    ended = threading.Event()
    with ThreadPoolExecutor(1) as publisher:
        done = publisher.submit(_publish_slowly, job, rest, ended)
        ended.wait(rng.uniform(0, _PIECES * _PAUSE))
        kill(job)
        done.result(SECONDS)


def _publish_slowly(job: Job, pieces: Sequence[Sequence[Message]], ended: threading.Event) -> None:
    for piece in pieces:
        _published(job, piece)
        ended.wait(_PAUSE)


def _published(job: Job, messages: Sequence[Message]) -> None:
    """Publish all, again where the broker went away meanwhile: what comes twice changes nothing."""
    ends = time.monotonic() + SECONDS
    while True:
        try:
            return job.source.publish(messages)
        except _AWAY:
            assert time.monotonic() < ends, "the broker did not come back"
            threading.Event().wait(0.2)


KILLS: Final = {
    "workers": Job.kill_workers,
    "TaskManager": Job.kill_task_manager,
    "JobManager": Job.kill_job_manager,
    "RabbitMQ": Job.kill_broker,
    "database": Job.kill_database,
}
