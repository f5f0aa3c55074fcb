"""The job on a real Flink that is hurt, stopped and resumed; `make test-flink` does more of it to one."""

import pytest

from tests.flink_job import Job, cluster, job, put_through, service
from tests.soak.service import Service

__all__ = ["cluster", "job", "service"]
pytestmark = pytest.mark.server


def test_a_cluster_that_is_hurt_and_resumed_makes_the_tables_of_one_process(
    job: Job, service: Service
) -> None:
    happenings = ["worker_killed", "task_manager_killed", "stopped_and_resumed"]
    put_through(job, service, happenings, count=6_000)
