"""The job on a Flink of its own for tests: started, hurt, and compared with one process and an oracle.

The database is the embedded engine behind its HTTP interface, a process of its own.
"""

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import amqp
import pytest
import yaml

from jobs.flink_rest import Flink, FlinkError
from tests.servers.engine import EngineServer, engine_in
from tests.servers.flink import FlinkCluster, flink_in
from tests.servers.rabbitmq import RabbitServer, connect, wait_until
from tests.soak.comparison import differences
from tests.soak.derived import derived_differences
from tests.soak.notifications import MAX_PAYLOAD, Message
from tests.soak.oracle import expected
from tests.soak.publisher import waiting
from tests.soak.service import PROGRAM, Service, service_in
from tests.soak.sources import RabbitSource
from tests.soak.traffic import STEP, traffic
from tests.soak.usage import SETTINGS

SECONDS: Final = 180.0  # for anything to come about
QUEUE: Final = "flink"
SEED: Final = 11
_HOUR: Final = 3_600_000  # ms
_EARLIER: Final = 40 * 60_000  # ms that the hour in the middle of the traffic is ago, at the least
SAMPLES: Final = (
    "SELECT meter, type, unit, volume, resource_id, project_id, user_id, timestamp, source,"
    " resource_metadata, message_id, late FROM metering.v_samples ORDER BY ALL"
)
EVENTS: Final = "SELECT * EXCEPT recorded_at FROM metering.v_events ORDER BY ALL"
INVALID: Final = (
    "SELECT * EXCEPT (recorded_at, redriven_at, feed) FROM metering.v_invalid ORDER BY ALL"
)
# What is derived is looked at as samples alone: `latest` keeps the time of a first one that is gone.
CAME: Final = "NOT endsWith(meter, '.rate') AND NOT endsWith(meter, '_util')"
LATEST: Final = f"SELECT * FROM metering.v_latest WHERE {CAME} ORDER BY ALL"
# Of windows that samples have passed: what is told of the others, and when, depends on ticks.
USAGE: Final = (
    "SELECT * EXCEPT (version, interim, restated, newest)"
    f" FROM (SELECT * FROM metering.usage FINAL WHERE {CAME}) AS told"
    " JOIN (SELECT meter, resource_id, max(timestamp) AS newest FROM metering.v_samples"
    " GROUP BY meter, resource_id) AS series USING (meter, resource_id)"
    " WHERE start + period <= newest ORDER BY ALL"
)


@dataclasses.dataclass
class Job:
    """The job on a cluster, submitted and stopped by the command."""

    folder: Path
    cluster: FlinkCluster
    engine: EngineServer
    broker: RabbitServer
    id: str = ""

    @property
    def source(self) -> RabbitSource:
        """Where its messages come from."""
        return RabbitSource(self.broker.url)

    def command(self, *words: str) -> str:
        """Run the command and return what it printed."""
        done = subprocess.run(
            [PROGRAM, *words, "--flink-master", self.cluster.cluster.master],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + self.cluster.tail("taskmanager")
        return done.stdout

    def start(self, *words: str) -> None:
        """Submit it, and wait until it reads: nothing that is published then gets lost on the way."""
        config = {
            "database": self.engine.database(),
            "spool": {"path": str(self.folder / "spool")},
            "feeds": [self.source.feed() | {"queue": QUEUE}],
            "usage": {"periods": list(SETTINGS.periods)},
            "decode": {"max_payload_bytes": MAX_PAYLOAD},
        }
        file = self.folder / "flink.yaml"
        file.write_text(yaml.safe_dump(config))
        cluster = self.cluster.cluster
        at = ("--worker-pool", cluster.worker_pool, "--artifacts", str(cluster.artifacts))
        self.id, page = self.command(*words, "--config", str(file), *at).split()
        assert page == f"http://{cluster.master}/#/job/running/{self.id}/overview"
        wait_until(self._reads, "the job to read", SECONDS)

    def waiting(self) -> int:
        """Return how many messages are in its queue and with no consumer."""
        return waiting(self.source.url, f"{QUEUE}.notifications")

    def flink(self) -> Flink:
        """Return Flink's REST."""
        return Flink(self.cluster.cluster.master)

    def runs(self) -> bool:
        """Return whether every part of it runs; a JobManager that starts does not know yet."""
        try:
            return self.flink().runs(self.id)
        except FlinkError:
            return False

    def restarted(self) -> int:
        """Return when (ms) Flink began to start it again, the last time."""
        return int(self.flink().job(self.id)["timestamps"]["RESTARTING"])

    def until_acknowledged(self) -> None:
        """Wait until what is stored is acknowledged: two checkpoints later it was, by the first."""
        wanted = self._checkpoints() + 2
        wait_until(lambda: self._checkpoints() >= wanted, "checkpoints", SECONDS)

    def _checkpoints(self) -> int:
        return int(self.flink().checkpoints(self.id)["counts"]["completed"])

    def _reads(self) -> bool:
        """Return whether its queue has a consumer: it is bound to every exchange by then."""
        with connect(self.source.url) as connection:
            try:
                found = connection.channel().queue_declare(f"{QUEUE}.notifications", passive=True)
            except amqp.exceptions.NotFound:
                return False
            return bool(found.consumer_count)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with flink_in(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


@pytest.fixture
def job(cluster: FlinkCluster, second_rabbitmq: RabbitServer, tmp_path: Path) -> Iterator[Job]:
    second_rabbitmq.start()
    with engine_in(tmp_path / "engine") as engine:
        job = Job(tmp_path, cluster, engine, second_rabbitmq)
        yield job
        if job.id and job.flink().job(job.id)["state"] != "CANCELED":
            job.flink().cancel(job.id)


@pytest.fixture
def service(job: Job, tmp_path: Path) -> Iterator[Service]:
    """One process that takes in the same messages, by a queue of its own, and that nothing happens to."""
    with service_in(tmp_path / "service", job.source) as service:
        service.start()
        wait_until(lambda: service.feed()["connected"], "the feed to connect")
        yield service


def eventually(found: Callable[[], Any], wanted: Callable[[], Any]) -> None:
    """Poll until both are the same, now and then as it takes time; show where they are not."""
    ends = time.monotonic() + SECONDS
    while (there := found()) != (should := wanted()) and time.monotonic() < ends:
        time.sleep(1)
    assert there == should


def assert_the_same(service: Service, job: Job, bodies: list[bytes], now: int) -> None:
    """Compare the tables of a cluster with an oracle, and with those of one process."""
    oracle = expected(bodies, now, MAX_PAYLOAD)
    eventually(lambda: differences(job.engine.query, oracle), list)
    eventually(lambda: derived_differences(job.engine.query), list)
    service.drain()
    for question in (SAMPLES, EVENTS, INVALID, LATEST, USAGE):
        eventually(
            lambda asked=question: job.engine.query(asked),
            lambda asked=question: service.query(asked),
        )
        assert service.query(question)
    job.until_acknowledged()
    job.command("job", "stop", job.id)
    assert job.waiting() == 0  # all is acknowledged


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
    for what, some, more in zip(happenings, parts[::2], parts[1::2], strict=True):
        until_more_is_stored(job, some)
        HAPPENINGS[what](job, more)
    assert_the_same(service, job, [message.body for message in messages], now)


def until_more_is_stored(job: Job, messages: Sequence[Message]) -> None:
    """Publish, and wait until some of it is there: what happens then happens under load."""
    before = _stored(job.engine)
    job.source.publish(messages)
    wait_until(lambda: _stored(job.engine) > before, "samples", SECONDS)


def _stored(engine: EngineServer) -> int:
    return int(engine.query("SELECT count() FROM metering.samples")[0][0])


def until_restarted(job: Job, before: int) -> None:
    """Wait until Flink has noticed and all of the job runs again: what is left of it writes until then."""
    wait_until(lambda: job.restarted() > before and job.runs(), "the job to run again", SECONDS)


def worker_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    before, workers = job.restarted(), job.cluster.workers()
    assert workers
    job.source.publish(meanwhile)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until_restarted(job, before)


def task_manager_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    before = job.restarted()
    job.source.publish(meanwhile)
    job.cluster.kill("taskmanager")
    job.cluster.start_one("taskmanager")
    until_restarted(job, before)


def job_manager_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    """The one that is started again finds the job by ZooKeeper, and goes on from its last checkpoint."""
    job.source.publish(meanwhile)
    job.cluster.kill("jobmanager")
    job.cluster.start_one("jobmanager")
    wait_until(job.runs, "the job to run again", SECONDS)


def step_fails(job: Job, meanwhile: Sequence[Message]) -> None:
    """A table that is away is no passing fault: the bundle fails, and the job starts again."""
    workers = set(job.cluster.workers())
    assert workers
    job.engine.query("RENAME TABLE metering.samples TO metering.elsewhere")
    job.source.publish(meanwhile)
    # Their memory is ahead of the store: they must not go on.
    wait_until(lambda: not workers & set(job.cluster.workers()), "new workers", SECONDS)
    job.engine.query("RENAME TABLE metering.elsewhere TO metering.samples")
    wait_until(job.runs, "the job to run again", SECONDS)


def database_away(job: Job, meanwhile: Sequence[Message]) -> None:
    job.engine.stop()
    job.source.publish(meanwhile)
    job.engine.start()


def broker_killed(job: Job, meanwhile: Sequence[Message]) -> None:
    job.source.publish(meanwhile)
    job.broker.stop(kill=True)
    job.broker.start()


def stopped_and_resumed(job: Job, meanwhile: Sequence[Message]) -> None:
    savepoint = job.command("job", "stop", job.id, "--savepoint").strip()
    job.source.publish(meanwhile)
    job.start("job", "resume", savepoint)


HAPPENINGS: Final = {
    each.__name__: each
    for each in (
        worker_killed,
        task_manager_killed,
        job_manager_killed,
        step_fails,
        database_away,
        broker_killed,
        stopped_and_resumed,
    )
}
