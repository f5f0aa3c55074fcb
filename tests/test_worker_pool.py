"""A worker pool, asked as a TaskManager asks it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from tests.servers.flink import children
from tests.servers.rabbitmq import free_port

SECONDS = 60.0


class Asked:
    """A pool of its own, and a TaskManager's end of it: one that takes connections and says nothing."""

    def __init__(self, pid: int, channel: grpc.Channel, silent: socket.socket) -> None:
        self.pid, self.silent = pid, silent
        self.stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)

    def start(self, worker: str) -> set[int]:
        """Have a worker started; return the pids of all that run then."""
        control = endpoints_pb2.ApiServiceDescriptor(
            url=f"127.0.0.1:{self.silent.getsockname()[1]}"
        )
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id=worker, control_endpoint=control)
        assert self.stub.StartWorker(request).error == ""
        return set(children(self.pid))

    def stop(self, worker: str) -> set[int]:
        """Have a worker ended; return the pids of all that run then."""
        self.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=worker))
        return set(children(self.pid))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Asked]:
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "worker", "--listen", f"127.0.0.1:{port}"]
    with (
        (tmp_path / "log").open("ab") as log,
        subprocess.Popen(command, stderr=log) as process,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        try:
            grpc.channel_ready_future(channel).result(SECONDS)
            yield Asked(process.pid, channel, silent)
        finally:
            process.terminate()
            process.wait(SECONDS)


def test_a_worker_that_is_asked_for_again_takes_the_place_of_the_first(pool: Asked) -> None:
    (first,) = pool.start("1-1")
    (second,) = pool.start("1-1")
    assert second != first


def test_a_worker_ends_when_its_task_manager_lets_go_of_it(pool: Asked) -> None:
    (first,) = pool.start("1-1")
    both = pool.start("1-2")
    assert len(both) == 2
    assert pool.stop("1-1") == both - {first}
    assert pool.stop("1-2") == set()
