"""The job on a real Flink: the same tables as in one process, whatever happens meanwhile.

`make test-flink` runs it; it takes minutes, and is no part of `make test`, which has test_flink.py.
"""

import os

import pytest

from tests.flink_happenings import HAPPENINGS, put_through
from tests.flink_job import Job, cluster, job, service
from tests.soak.service import Service

__all__ = ["cluster", "job", "service"]
pytestmark = pytest.mark.server

# Each costs a start of the job; STREAMGAUGE_FLINK names some of them, in their order.
CHOSEN = os.environ.get("STREAMGAUGE_FLINK", " ".join(HAPPENINGS)).split()


def test_the_tables_are_those_of_one_process_whatever_happens(job: Job, service: Service) -> None:
    put_through(job, service, CHOSEN, count=12_000)
