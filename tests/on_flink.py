"""The job on a real Flink: the same tables as in one process, whatever happens meanwhile.

`make test-flink` runs it; it takes minutes, and is no part of `make test`, which has test_flink.py.
"""

import os
import random
from collections.abc import Iterator

import pytest

from tests.flink_happenings import HAPPENINGS, put_through
from tests.flink_job import Job, job, service
from tests.flink_kills import put_through_kills
from tests.servers.flink import FlinkCluster, flink_in
from tests.soak.service import Service

__all__ = ["job", "service"]
pytestmark = pytest.mark.server

# Each costs a start of the job; STREAMGAUGE_FLINK names some of them, in their order.
CHOSEN = os.environ.get("STREAMGAUGE_FLINK", " ".join(HAPPENINGS)).split()
# How often each part is killed at a random moment; a seed repeats them.
KILLS = int(os.environ.get("STREAMGAUGE_FLINK_KILLS", "1"))
SEED = int(os.environ.get("STREAMGAUGE_FLINK_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with flink_in(tmp_path_factory.mktemp("flink"), recovers=True) as cluster:
        yield cluster


def test_the_tables_are_those_of_one_process_whatever_happens(job: Job, service: Service) -> None:
    put_through(job, service, CHOSEN, count=12_000)


def test_the_tables_are_those_of_one_process_after_kills_at_random_moments(
    job: Job, service: Service
) -> None:
    put_through_kills(job, service, KILLS, SEED)
