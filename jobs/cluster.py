"""The job on a Flink cluster: what it needs, and how it is submitted. `streamgauge submit`.

The pipeline is the one that runs in process (jobs.pipeline). Workers hold the state and what is open,
as this process does otherwise; rows are written before a bundle ends, and a checkpoint acknowledges.
Errors: ClusterError says in one line what is missing.
Source: Beam's Flink runner; docs/decisions/0013-flink.md says why these options.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import socket
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from jobs import pipeline
from jobs.flink_rest import Flink, FlinkError
from jobs.java import NO_JAVA, find_java
from jobs.resources import prepare
from jobs.worker_parts import worker_parts
from metering.config import Config
from store.client import Store, StoreError

FLINK: Final = "1.19"  # what the job server is built for
_POM: Final = Path(__file__).parents[1] / "deploy" / "flink-job-server" / "pom.xml"
_SHORT_LIVED: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # a Java that starts sooner
_START: Final = 180.0  # s; for the job to run
_FAILED: Final = (PipelineState.FAILED, PipelineState.CANCELLED)


class ClusterError(Exception):
    """The job cannot be brought to the cluster; says what is missing and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """Where the job is to run. Units: `checkpoint` in s."""

    master: str  # HOST:PORT of Flink's REST
    worker_pool: str  # HOST:PORT, as TaskManagers reach it
    artifacts: Path  # a folder that this machine and the cluster's share
    jar: Path | None = None
    java: str | None = None  # a program; the one that is found otherwise
    parallelism: int = 1
    workers: int | None = None  # a TaskManager; as many as slots
    checkpoint: float = 2.0
    savepoint: str | None = None


def job_server() -> Path:
    """Return where scripts/flink puts the job server that it builds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(_POM.read_bytes()).hexdigest()[:12] if _POM.exists() else "unknown"
    return cache / "streamgauge" / "flink" / f"job-server-{name}.jar"


def submit(config: Config, cluster: Cluster) -> str:
    """Start the job on the cluster; return its id once it runs. Raises ClusterError."""
    jar = cluster.jar or job_server()
    flink = Flink(cluster.master)
    java = _java(cluster)
    _check(config, cluster, jar, flink)
    _prepare(config)
    name = f"streamgauge-{uuid.uuid4().hex[:8]}"
    job = beam.Pipeline(options=PipelineOptions(_options(cluster, java, jar, name)))
    pipeline.build(job, config, worker_parts(config, cluster.parallelism))
    result = job.run()
    return _running(flink, name, result)


def _options(cluster: Cluster, java: str, jar: Path, name: str) -> list[str]:
    """Return the runner's options that were seen to work."""
    given = {
        "runner": "FlinkRunner",
        "job_name": name,
        "flink_version": FLINK,
        "flink_master": cluster.master,
        "flink_job_server_jar": jar,
        "job_server_java_launcher": java,
        "artifacts_dir": cluster.artifacts,
        "environment_type": "EXTERNAL",
        "environment_config": cluster.worker_pool,
        "parallelism": cluster.parallelism,
        "sdk_worker_parallelism": cluster.workers or cluster.parallelism,
        "checkpointing_interval": round(cluster.checkpoint * 1000),
        "max_bundle_time_mills": 20,
        "savepoint_path": cluster.savepoint,
    }
    # A bundle that is done waits for its time to be over: 20 ms let 36,000 samples/s through, 200
    # 25,000. Without the last one sources now and then never start.
    return [
        *(f"--{option}={value}" for option, value in given.items() if value is not None),
        *(f"--job_server_jvm_properties={option}" for option in _SHORT_LIVED),
        "--streaming",
        "--finish_bundle_before_checkpointing",
    ]


def _java(cluster: Cluster) -> str:
    """Return the program that runs Java. Raises ClusterError."""
    java = cluster.java or find_java()
    if java is None:
        raise ClusterError(NO_JAVA)
    if shutil.which(java) is None:
        raise ClusterError(f"no Java by the name {java}: install Java 17, or give another --java")
    return java


def _check(config: Config, cluster: Cluster, jar: Path, flink: Flink) -> None:
    """Raises ClusterError."""
    if config.database.url is None:
        raise ClusterError(
            "database.url: a cluster's workers need a ClickHouse server; set its URL"
        )
    if not jar.exists():
        raise ClusterError(f"no job server at {jar}: `make flink` gets it, or give --job-server")
    try:
        there = flink.overview()
    except FlinkError as error:
        raise ClusterError(str(error)) from error
    if not there["flink-version"].startswith(FLINK):
        raise ClusterError(
            f"Flink at {cluster.master} is {there['flink-version']}; the job server of Beam"
            f" {version('apache-beam')} that we build is for {FLINK}"
        )
    if there["slots-available"] < cluster.parallelism:
        raise ClusterError(
            f"Flink at {cluster.master} has {there['slots-available']} free slots and"
            f" --parallelism is {cluster.parallelism}: stop another job, or add TaskManagers"
        )
    _check_pool(cluster.worker_pool)


def _prepare(config: Config) -> None:
    """Make the tables: of the workers that open the store at once none can. Raises ClusterError."""
    try:
        with contextlib.closing(Store(config.database)) as store:
            prepare(store, config)
    except StoreError as error:
        raise ClusterError(str(error)) from error


def _check_pool(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no worker pool at {address} ({error}): start `streamgauge worker` there"
        ) from error


def _running(flink: Flink, name: str, result: beam.runners.runner.PipelineResult) -> str:
    """Return the id of the job of that name once all of it runs. Raises ClusterError."""
    ends = time.monotonic() + _START
    while time.monotonic() < ends:
        if result.state in _FAILED:
            raise ClusterError(f"the job was refused or ended: see the log of {name} in Flink")
        for job in flink.jobs():
            if job.name.startswith(name) and flink.runs(job.id):
                return job.id
        time.sleep(0.2)
    raise ClusterError(f"the job {name} did not start within {_START:g} s; Flink's page says why")
