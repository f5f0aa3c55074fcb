"""The job on a real Flink: hurt, stopped and resumed, and over files. `make test-flink` does more of it to one."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.flink_happenings import SEED, put_through, traffic_past_an_hour
from tests.flink_job import JOB, Job, assert_the_same, cluster, ended, job, service
from tests.flink_kills import put_through_kills
from tests.servers.engine import engine_in
from tests.servers.flink import FlinkCluster
from tests.soak.service import Service, service_in
from tests.soak.sources import FileSource

__all__ = ["cluster", "job", "service"]
pytestmark = pytest.mark.server

# How often each part is killed at a random moment; a seed repeats them.
KILLS = int(os.environ.get("STREAMGAUGE_FLINK_KILLS", "1"))
KILLS_SEED = int(os.environ.get("STREAMGAUGE_FLINK_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)


def test_a_cluster_that_is_hurt_and_resumed_makes_the_tables_of_one_process(
    job: Job, service: Service
) -> None:
    happenings = ["worker_killed", "task_manager_killed", "submitted_anew", "stopped_and_resumed"]
    put_through(job, service, [*happenings, "watched_by_the_api"], count=6_000)


def test_each_part_is_killed_at_random_moments_and_the_tables_are_those_of_one_process(
    job: Job, service: Service
) -> None:
    put_through_kills(job, service, KILLS, KILLS_SEED)


def test_a_file_makes_the_tables_of_one_process(cluster: FlinkCluster, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    source = FileSource(tmp_path / "recorded.jsonl")
    with (
        engine_in(tmp_path / "engine") as engine,
        service_in(tmp_path / "service", source) as service,
        ended(Job(tmp_path, cluster, engine, source)) as job,
    ):
        job.publish(traffic_past_an_hour(SEED, 2_000, now))
        service.start(**JOB)
        job.start("submit")
        assert_the_same(service, job, now)
