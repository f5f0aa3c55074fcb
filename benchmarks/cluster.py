"""The measured job on a Flink of its own: JobManager, TaskManager, worker pool and database, on loopback."""

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.service import processor_seconds, rising
from jobs.flink_rest import Flink
from tests.servers.engine import EngineServer
from tests.servers.flink import FlinkCluster, missing
from tests.servers.rabbitmq import wait_until

_START = 180.0  # s


@dataclasses.dataclass(frozen=True, slots=True)
class Used:
    """Processor time. Units: s"""

    workers: dict[int, float]  # by process
    manager: float
    database: float

    def since(self, before: "Used", samples: int) -> str:
        """Return what was used since then for so many samples: each worker, the busiest first."""
        workers = sorted(
            (spent - before.workers.get(pid, 0) for pid, spent in self.workers.items()),
            reverse=True,
        )
        parts = {f"worker {number}": spent for number, spent in enumerate(workers, 1)}
        parts["TaskManager"] = self.manager - before.manager
        parts["database"] = self.database - before.database
        many = max(samples, 1)
        return ", ".join(f"{name} {spent / many * 1e6:.1f}" for name, spent in parts.items())


@dataclasses.dataclass
class FlinkJob:
    """A job that runs; what it stores and uses is looked at from outside."""

    cluster: FlinkCluster
    engine: EngineServer
    id: str

    def counts(self, table: str, total: int, seconds: float) -> Iterator[tuple[float, int]]:
        """Yield (time in s, rows that can be queried) until there are `total`, twice a second."""
        return rising(lambda: self._count(table), total, seconds, self._check)

    def used(self) -> Used:
        """Return the processor time (s) that each part has used so far."""
        return Used(
            {pid: processor_seconds(pid) for pid in self.cluster.workers()},
            processor_seconds(self.cluster.processes["taskmanager"].pid),
            processor_seconds(self.engine.pid),
        )

    def checkpoints(self) -> dict[str, Any]:
        """Return what Flink tells of the job's checkpoints."""
        return Flink(self.cluster.cluster.master).checkpoints(self.id)

    def has_tables(self) -> bool:
        """Return whether its worker has made the tables: it has when it is ready to read."""
        made = "SELECT count() FROM system.tables WHERE database = 'metering' AND name = 'v_deliveries'"
        return bool(self.engine.query(made)[0][0])

    def _count(self, table: str) -> int:
        return int(self.engine.query(f"SELECT count() FROM metering.{table}")[0][0])

    def _check(self, trouble: str, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{trouble}; the workers said: {self.cluster.tail('pool')}")


@contextlib.contextmanager
def running_on_flink(
    folder: Path,
    feeds: list[dict[str, Any]],
    parallelism: int = 1,
    more: dict[str, Any] | None = None,
) -> Iterator[FlinkJob]:
    """Run the job on a cluster of its own for a while. Raises RuntimeError where there is no Flink."""
    with _servers(folder) as (cluster, engine):
        file = _configured(folder, engine, feeds, more or {})
        job = FlinkJob(cluster, engine, _submitted(cluster, file, parallelism))
        wait_until(job.has_tables, "the worker to make its tables", _START)
        yield job


def starts(folder: Path, feeds: list[dict[str, Any]], reads: Callable[[], bool]) -> Iterator[float]:
    """Submit the job again and again to one cluster; yield the seconds until it reads, each time."""
    with _servers(folder) as (cluster, engine):
        file = _configured(folder, engine, feeds, {})
        flink = Flink(cluster.cluster.master)
        while True:
            began = time.monotonic()
            job = _submitted(cluster, file, 1)
            wait_until(reads, "the job to read", _START)
            yield time.monotonic() - began
            flink.cancel(job)
            wait_until(lambda: not reads(), "nobody to read", _START)


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[tuple[FlinkCluster, EngineServer]]:
    if (reason := missing()) is not None:
        raise RuntimeError(reason)
    engine, cluster = EngineServer(folder / "db"), FlinkCluster(folder / "flink")
    try:
        engine.start()
        cluster.start()
        yield cluster, engine
    finally:
        cluster.stop()
        engine.stop()


def _configured(
    folder: Path, engine: EngineServer, feeds: list[dict[str, Any]], more: dict[str, Any]
) -> Path:
    """Return the job's configuration file."""
    spool = {"spool": {"path": str(folder / "spool")}}
    file = folder / "flink.yaml"
    file.write_text(yaml.safe_dump({"database": engine.database(), "feeds": feeds} | spool | more))
    return file


@contextlib.contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """Give a folder that is gone afterwards; what Flink leaves in it while it ends, too."""
    with tempfile.TemporaryDirectory(
        prefix="streamgauge-bench-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def _submitted(cluster: FlinkCluster, file: Path, parallelism: int) -> str:
    """Return the job's id."""
    to = cluster.cluster
    at = ["--flink-master", to.master, "--worker-pool", to.worker_pool]
    command = [sys.executable, "-m", "cli.main", "submit", "--config", str(file), *at]
    command += ["--artifacts", str(to.artifacts), "--parallelism", str(parallelism)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * _START, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout.split()[0]
