"""The job on a Flink of its own for tests: started, hurt, and compared with one process and an oracle.

The database is the embedded engine behind its HTTP interface, a process of its own.
"""

import contextlib
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
from tests.delivering import HERE
from tests.flink_racks import RATES as RACK_RATES
from tests.flink_racks import write_definitions
from tests.own_process import PROGRAM
from tests.servers.engine import EngineServer, engine_in
from tests.servers.flink import FlinkCluster, flink_in
from tests.servers.rabbitmq import RabbitServer, connect, wait_until
from tests.soak.comparison import differences
from tests.soak.derived import RATES, derived_differences
from tests.soak.notifications import MAX_PAYLOAD, Message
from tests.soak.oracle import Expected, Row, expected
from tests.soak.service import Service, service_in
from tests.soak.sources import RabbitSource, Source
from tests.soak.usage import SETTINGS
from tests.wheel import unpacked_wheel

SECONDS: Final = 180.0  # for anything to come about
QUEUE: Final = "flink"
# Parts of the feed, all of one queue, and places of the state. One has all in one step.
SLOTS: Final = int(os.environ.get("STREAMGAUGE_FLINK_SLOTS", "2"))
JOB: Final = {"lateness": 21_600}  # s; however long a test takes, nothing is late
# One process does not know of racks: their definitions come and change here (tests.flink_racks).
KNOWN: Final = "NOT startsWith(meter, 'rack.')"
SAMPLES: Final = (
    "SELECT meter, type, unit, volume, resource_id, project_id, user_id, timestamp, source,"
    f" resource_metadata, message_id, late FROM metering.v_samples WHERE {KNOWN} ORDER BY ALL"
)
EVENTS: Final = "SELECT * EXCEPT recorded_at FROM metering.v_events ORDER BY ALL"
INVALID: Final = (
    "SELECT * EXCEPT (recorded_at, redriven_at, feed) FROM metering.v_invalid ORDER BY ALL"
)
# What is derived is looked at as samples alone: `latest` keeps the time of a first one that is gone.
CAME: Final = f"NOT endsWith(meter, '.rate') AND NOT endsWith(meter, '_util') AND {KNOWN}"
LATEST: Final = f"SELECT * FROM metering.v_latest WHERE {CAME} ORDER BY ALL"
# Of windows that samples have passed: what is told of the others, and when, depends on ticks.
USAGE: Final = (
    "SELECT * EXCEPT (version, interim, restated, newest)"
    f" FROM (SELECT * FROM metering.usage FINAL WHERE {CAME}) AS told"
    " JOIN (SELECT meter, resource_id, max(timestamp) AS newest FROM metering.v_samples"
    " GROUP BY meter, resource_id) AS series USING (meter, resource_id)"
    " WHERE start + period <= newest ORDER BY ALL"
)
_MADE: Final = (
    "SELECT count() FROM system.tables WHERE database = 'metering' AND name = 'v_deliveries'"
)
_WRITTEN: Final = (
    "SELECT sum(total_rows) FROM system.tables WHERE database = 'metering' AND name = 'samples'"
)


@dataclasses.dataclass
class Job:
    """The job on a cluster, submitted and stopped by the command."""

    folder: Path
    cluster: FlinkCluster
    engine: EngineServer
    source: Source  # where its messages come from
    broker: RabbitServer | None = None  # behind it
    slots: int = 1
    readers: int = 1  # of its queue, each a part of the feed
    id: str = ""
    changed: bool = False  # whether its definition files are
    published: list[Message] = dataclasses.field(default_factory=list)
    racks: list[Row] = dataclasses.field(default_factory=list)  # the samples that are to be of them

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
        files = write_definitions(self.folder, self.changed)
        config = {
            "database": self.engine.database(),
            "spool": {"path": str(self.folder / "spool")},
            "feeds": [self.source.feed() | {"parts": self.readers}],
            "job": JOB,
            "usage": {"periods": list(SETTINGS.periods)},
            "decode": {"max_payload_bytes": MAX_PAYLOAD, "meters": files["meters"]},
            "derive": {"pipeline": files["pipeline"]},
            "alarms": {"actions": {"allow": HERE}},
        }
        file = self.folder / "flink.yaml"
        file.write_text(yaml.safe_dump(config))
        cluster = self.cluster.cluster
        at = ["--worker-pool", cluster.worker_pool, "--artifacts", str(cluster.artifacts)]
        at += ["--parallelism", str(self.slots)]
        self.id, page = self.command(*words, "--config", str(file), *at).split()
        assert page == f"http://{cluster.master}/#/job/running/{self.id}/overview"
        wait_until(self._has_tables, "the job to make its tables", SECONDS)
        wait_until(self._reads, "the job to read", SECONDS)

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish, and keep in mind that it is to be in the tables."""
        self.published += messages
        self.source.publish(messages)

    def expected(self, now: int) -> Expected:
        """Return what the tables must hold after all that was published; `now` in ms."""
        oracle = expected([message.body for message in self.published], now, MAX_PAYLOAD)
        oracle.samples.update({row.place(): {row} for row in self.racks})
        return oracle

    def flink(self) -> Flink:
        """Return Flink's REST."""
        return Flink(self.cluster.cluster.master)

    def kill_workers(self) -> None:
        """Kill the workers with -9; there are none while it starts again, after another kill."""
        wait_until(self.cluster.workers, "a worker", SECONDS)
        for pid in self.cluster.workers():
            os.kill(pid, signal.SIGKILL)

    def kill_task_manager(self) -> None:
        """Kill the TaskManager with -9 and start it again."""
        self.cluster.kill("taskmanager")
        self.cluster.start_one("taskmanager")

    def kill_job_manager(self) -> None:
        """Kill the JobManager with -9 and start it again."""
        self.cluster.kill("jobmanager")
        self.cluster.start_one("jobmanager")

    def kill_broker(self) -> None:
        """Kill RabbitMQ with -9 and start it again."""
        assert self.broker is not None
        self.broker.stop(kill=True)
        self.broker.start()

    def kill_database(self) -> None:
        """Kill the database with -9 and start it again."""
        self.engine.stop(kill=True)
        self.engine.start()

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
        """Wait until what is stored is acknowledged: five checkpoints later it was, by the fourth at the latest."""
        wanted = self._checkpoints() + 5
        wait_until(lambda: self._checkpoints() >= wanted, "checkpoints", SECONDS)

    def _checkpoints(self) -> int:
        return int(self.flink().checkpoints(self.id)["counts"]["completed"])

    def _has_tables(self) -> bool:
        return bool(self.engine.query(_MADE)[0][0])

    def _reads(self) -> bool:
        """Return whether its queue has its consumers, bound to every exchange by then; or rows are there."""
        if self.broker is None:
            return bool(self.engine.query(_WRITTEN)[0][0])
        with connect(self.broker.url) as connection:
            try:
                found = connection.channel().queue_declare(f"{QUEUE}.notifications", passive=True)
            except amqp.exceptions.NotFound:
                return False
            return bool(found.consumer_count == self.readers)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """A cluster whose workers know our packages by the wheel alone, as on a machine of its own."""
    packages = unpacked_wheel(tmp_path_factory.mktemp("wheel"))
    with flink_in(tmp_path_factory.mktemp("flink"), recovers=True, packages=packages) as cluster:
        yield cluster


@pytest.fixture
def job(cluster: FlinkCluster, second_rabbitmq: RabbitServer, tmp_path: Path) -> Iterator[Job]:
    second_rabbitmq.start()
    with engine_in(tmp_path / "engine") as engine:
        # Durable: while the job starts again it has no consumer to bind its queue anew.
        source = RabbitSource(second_rabbitmq.url, QUEUE, durable=True)
        job = Job(tmp_path, cluster, engine, source, second_rabbitmq, SLOTS, SLOTS)
        with ended(job):
            yield job


@contextlib.contextmanager
def ended(job: Job) -> Iterator[Job]:
    """Give a job; it does not run afterwards."""
    yield job
    if job.id and job.flink().job(job.id)["state"] != "CANCELED":
        job.flink().cancel(job.id)


@pytest.fixture
def service(second_rabbitmq: RabbitServer, job: Job, tmp_path: Path) -> Iterator[Service]:
    """One process that takes in the same messages, by a queue of its own, and that nothing happens to."""
    source = RabbitSource(second_rabbitmq.url, durable=True)
    with service_in(tmp_path / "service", source) as service:
        service.start(**JOB)
        wait_until(lambda: service.feed()["connected"], "the feed to connect")
        yield service


def eventually(found: Callable[[], Any], wanted: Callable[[], Any]) -> None:
    """Poll until both are the same, now and then as it takes time; show where they are not."""
    ends = time.monotonic() + SECONDS
    while (there := found()) != (should := wanted()) and time.monotonic() < ends:
        time.sleep(1)
    assert there == should, f"{there} is to be {should}"


def assert_the_same(service: Service, job: Job, now: int) -> None:
    """Compare the tables of a cluster with an oracle, and with those of one process."""
    oracle = job.expected(now)
    rates = RATES | (RACK_RATES if job.changed else {})
    eventually(lambda: differences(job.engine.query, oracle), list)
    eventually(lambda: derived_differences(job.engine.query, rates), list)
    for question in (SAMPLES, EVENTS, INVALID, LATEST, USAGE):
        eventually(
            lambda asked=question: job.engine.query(asked),
            lambda asked=question: service.query(asked),
        )
        assert service.query(question)


def assert_all_acknowledged(job: Job) -> None:
    """Stop the job, and see that its source has nothing left."""
    job.until_acknowledged()
    job.command("job", "stop", job.id)
    assert job.source.waiting() == 0
