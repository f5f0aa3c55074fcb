"""A worker pool, asked as a TaskManager asks it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from tests.servers.flink import children
from tests.servers.rabbitmq import free_port, wait_until

SECONDS = 60.0


class Asked:
    """A pool of its own, and a TaskManager's end of it: one that takes connections and says nothing."""

    def __init__(self, pid: int, channel: grpc.Channel, silent: socket.socket, log: Path) -> None:
        self.pid, self.silent, self.log = pid, silent, log
        self.stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)

    def start(self, worker: str, port: int | None = None) -> set[int]:
        """Have a worker of a TaskManager's port started; return the pids of all that run then."""
        at = port or self.silent.getsockname()[1]
        control = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{at}")
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id=worker, control_endpoint=control)
        assert self.stub.StartWorker(request).error == ""
        return set(children(self.pid))

    def stop(self, worker: str) -> set[int]:
        """Have a worker ended; return the pids of all that run then."""
        self.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=worker))
        return set(children(self.pid))

    def kill(self, pid: int) -> None:
        """Kill a worker with -9, and wait until it is gone."""
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in children(self.pid), "the worker to be gone", SECONDS)


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
            yield Asked(process.pid, channel, silent, tmp_path / "log")
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


def test_a_worker_that_dies_before_its_task_manager_heard_of_it_is_started_again(
    pool: Asked,
) -> None:
    """Or the TaskManager waits for it for ever."""
    (pid,) = pool.start("1-1")
    for _ in range(2):
        pool.kill(pid)
        wait_until(lambda: children(pool.pid), "another worker", SECONDS)
        (pid,) = children(pool.pid)
    assert pool.stop("1-1") == set()


class TaskManager(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """Hears of a worker, and says nothing."""

    def __init__(self) -> None:
        self.called = threading.Event()

    def Control(self, request_iterator: Any, context: grpc.ServicerContext) -> Any:
        self.called.set()
        yield from ()
        yield from (None for _ in request_iterator if False)


def test_a_worker_whose_task_manager_is_gone_is_not_started_again(pool: Asked) -> None:
    manager = TaskManager()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(manager, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pool.start("1-1", port)
    assert manager.called.wait(SECONDS)
    server.stop(None)
    wait_until(lambda: not children(pool.pid), "the worker to end", SECONDS)
    time.sleep(3)  # longer than the pool waits before it starts one again
    assert children(pool.pid) == []
    assert "the TaskManager of worker 1-1 is gone" in pool.log.read_text()
