"""A private Flink for tests and benchmarks: JobManager, TaskManager and worker pools on loopback.

`python -m tests.servers.flink FOLDER` serves on the usual ports until it is ended.
Source: the jars that `scripts/flink` installs; they come without Flink's own start scripts.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from jobs.cluster import Cluster, job_server
from jobs.java import find_java
from tests.servers.rabbitmq import free_port, wait_until

START_SECONDS: Final = 120.0
_ROOT: Final = Path(__file__).parents[2]
_MAIN: Final = {
    "jobmanager": "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
    "taskmanager": "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
    "zookeeper": "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer",
}
_HEAP: Final = {"jobmanager": 256, "taskmanager": 512, "zookeeper": 64}  # MiB
_OPTIONS: Final = {
    "zookeeper": ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
    "jobmanager": ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"],
    "taskmanager": ["-XX:MaxDirectMemorySize=192m"],
}
_LEFT_OUT: Final = ("flink-table", "flink-cep", "flink-json", "flink-csv", "flink-scala")
_OPENED: Final = (
    "lang", "util", "util.concurrent", "net", "io", "nio", "text", "time", "lang.reflect", "math",
    "lang.invoke", "util.concurrent.atomic", "util.concurrent.locks",
)  # fmt: skip
_LOG: Final = """\
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %m%n
"""
_ZOOKEEPER: Final = """\
clientPort={port}
clientPortAddress=localhost
dataDir={folder}
tickTime=2000
admin.enableServer=false
"""


def find_jars() -> Path | None:
    """Return the folder of Flink's jars, or None where they are not installed."""
    version = _pinned()
    folder = job_server().parent / f"flink-{version}" / "lib"
    return folder if folder.is_dir() else None


def missing() -> str | None:
    """Return what a cluster lacks here, and the command that gets it; None where nothing."""
    if find_java() is None:
        return "Java is not installed; `scripts/flink` installs it"
    if find_jars() is None or not job_server().exists():
        return "Flink is not installed; `scripts/flink` installs it"
    return None


def find_reporter() -> Path | None:
    """Return the jar of Flink's Prometheus reporters, or None where it is not installed."""
    return next(iter(sorted(job_server().parent.glob("flink-metrics-prometheus-*.jar"))), None)


def children(parent: int) -> list[int]:
    """Return the pids of a process' own processes that run."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, of, *_ = file.read_text().rpartition(")")[2].split()
            if int(of) == parent and state != "Z":
                found.append(int(file.parent.name))
    return found


@dataclasses.dataclass
class FlinkCluster:
    """A JobManager, a TaskManager and a worker pool, each a process that may be killed.

    Where it `recovers`, a ZooKeeper beside them keeps what a JobManager goes on with that is started again.
    """

    folder: Path
    slots: int = 4
    recovers: bool = False
    more: dict[str, Any] = dataclasses.field(default_factory=dict)  # Flink's settings
    jars: Sequence[Path] = ()  # beside Flink's own
    packages: Path = _ROOT  # where workers find ours
    rest: int = dataclasses.field(default_factory=free_port)
    rpc: int = dataclasses.field(default_factory=free_port)
    pool: int = dataclasses.field(default_factory=free_port)
    zookeeper: int = dataclasses.field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """Where to submit to."""
        return Cluster(
            master=f"127.0.0.1:{self.rest}",
            worker_pool=f"127.0.0.1:{self.pool}",
            artifacts=self.folder / "artifacts",
        )

    def start(self) -> None:
        """Start all and wait until its slots are offered."""
        self._configure()
        for name in (*["zookeeper"] * self.recovers, "jobmanager", "taskmanager", "pool"):
            self.start_one(name)
        wait_until(self._offers_slots, "Flink to offer its slots", START_SECONDS)

    def start_one(self, name: str) -> None:
        """Start zookeeper, jobmanager, taskmanager or pool; again after it was killed."""
        command = self._pool() if name == "pool" else self._java(name)
        found = os.environ | {"PYTHONPATH": str(self.packages)}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=found,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """End one by SIGKILL."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def workers(self) -> list[int]:
        """Return the pids of the workers of the pool that run."""
        return children(self.processes["pool"].pid)

    def stop(self) -> None:
        """End all."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def ask(self, path: str) -> Any:
        """Return what Flink's REST says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}{path}", timeout=10) as answer:
            return json.load(answer)

    def tail(self, name: str) -> str:
        """Return the end of a process' output."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def _offers_slots(self) -> bool:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended by itself:\n{self.tail(name)}"
        try:
            return bool(self.ask("/overview")["slots-total"] == self.slots)
        except OSError:
            return False

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("artifacts", "checkpoints", "savepoints", "recovery", "tmp", "zookeeper"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "log4j.properties").write_text(_LOG)
        (self.folder / "zoo.cfg").write_text(
            _ZOOKEEPER.format(port=self.zookeeper, folder=self.folder / "zookeeper")
        )
        settings = "".join(f"{name}: {value}\n" for name, value in self._settings().items())
        (self.folder / "flink-conf.yaml").write_text(settings)

    def _settings(self) -> dict[str, Any]:
        return {
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": self.rpc,
            "jobmanager.bind-host": "localhost",
            "taskmanager.bind-host": "localhost",
            "taskmanager.host": "localhost",
            "rest.address": "localhost",
            "rest.bind-address": "localhost",
            "rest.port": self.rest,
            "blob.storage.directory": self.folder / "tmp",
            "io.tmp.dirs": self.folder / "tmp",
            "taskmanager.numberOfTaskSlots": self.slots,
            "jobmanager.memory.heap.size": f"{_HEAP['jobmanager']}m",
            # What Flink's start scripts would reckon.
            "taskmanager.cpu.cores": 2,
            "taskmanager.memory.task.heap.size": "384m",
            "taskmanager.memory.framework.heap.size": "128m",
            "taskmanager.memory.task.off-heap.size": "0m",
            "taskmanager.memory.framework.off-heap.size": "128m",
            "taskmanager.memory.managed.size": "32m",
            "taskmanager.memory.network.min": "64m",
            "taskmanager.memory.network.max": "64m",
            "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "128m",
            "taskmanager.memory.jvm-overhead.max": "128m",
            "state.checkpoints.dir": (self.folder / "checkpoints").as_uri(),
            "state.savepoints.dir": (self.folder / "savepoints").as_uri(),
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": 1000,
            "restart-strategy.fixed-delay.delay": "1 s",
            "heartbeat.interval": 2000,
            "heartbeat.timeout": 10000,
            **(self._recovery() if self.recovers else {}),
            **self.more,
        }

    def _recovery(self) -> dict[str, Any]:
        return {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": f"localhost:{self.zookeeper}",
            "high-availability.storageDir": (self.folder / "recovery").as_uri(),
        }

    def _java(self, name: str) -> list[str]:
        jars, java = find_jars(), find_java()
        assert jars is not None, missing()
        assert java is not None, missing()
        used = sorted(jar for jar in jars.glob("*.jar") if not jar.name.startswith(_LEFT_OUT))
        given = ["--zkConfigFile", str(self.folder / "zoo.cfg"), "--peerId", "1"]
        if name != "zookeeper":
            given = ["--configDir", str(self.folder)]
        return [
            java,
            f"-Xmx{_HEAP[name]}m",
            "-XX:MaxMetaspaceSize=256m",
            *_OPTIONS[name],
            f"-Dlog4j.configurationFile={self.folder / 'log4j.properties'}",
            *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in _OPENED),
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
            "-cp",
            os.pathsep.join(map(str, [*used, *self.jars])),
            _MAIN[name],
            *given,
        ]

    def _pool(self) -> list[str]:
        listen = f"127.0.0.1:{self.pool}"
        return [sys.executable, "-m", "cli.main", "worker", "--listen", listen]


def _pinned() -> str:
    """Return the version of Flink's jars that setup.py names."""
    text = (_ROOT / "setup.py").read_text()
    return text.split('"apache-flink-libraries==')[1].split('"')[0]


@contextlib.contextmanager
def flink_in(folder: Path, **options: Any) -> Iterator[FlinkCluster]:
    """Give a cluster that runs; nothing of it is left afterwards. Skips where it cannot be had."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    cluster = FlinkCluster(folder, **options)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _main(folder: str) -> None:
    cluster = FlinkCluster(Path(folder).absolute(), rest=8081, rpc=6123, pool=50_000)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        cluster.start()
        print("Flink: http://127.0.0.1:8081, worker pool 127.0.0.1:50000; try", flush=True)
        print("  .venv/bin/streamgauge submit --config FILE", flush=True)
        ended.wait()
    finally:
        cluster.stop()


if __name__ == "__main__":
    _main(sys.argv[1])
