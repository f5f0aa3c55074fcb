"""Worker processes for a Flink cluster: started and stopped as its TaskManagers ask. `streamgauge worker`.

A worker runs the job's steps with the packages that are installed beside this one: the version that
submits and the one that works are to be the same.
Source: Beam's BeamFnExternalWorkerPool; its own server listens on every address, this one where told.
"""

import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent import futures
from typing import Any, Final

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from jobs.signals import stopped_by_signals
from metering.config import checked_listen

_PATIENCE: Final = 10.0  # s a worker has to end
_WORKER: Final = (
    "import sys; from jobs.worker_pool import work; work(worker=sys.argv[1], control=sys.argv[2])"
)


class WorkerPoolError(Exception):
    """The pool cannot listen; says what to do."""


class _Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    def __init__(self) -> None:
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:
        try:
            command = [
                sys.executable,
                "-c",
                _WORKER,
                request.worker_id,
                request.control_endpoint.url,
            ]
            with self._lock:
                self._let_go_of_ended()
                # A TaskManager that came back counts its workers anew.
                if (before := self._workers.pop(request.worker_id, None)) is not None:
                    _end(before)
                self._workers[request.worker_id] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL
                )
        except OSError:
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            _end(worker)
        return beam_fn_api_pb2.StopWorkerResponse()

    def _let_go_of_ended(self) -> None:
        """Forget workers that ended by themselves, as their TaskManager was gone or they were killed."""
        self._workers = {name: one for name, one in self._workers.items() if one.poll() is None}

    def end(self) -> None:
        """End every worker."""
        with self._lock:
            for worker in self._workers.values():
                _end(worker)
            self._workers.clear()


def _end(worker: "subprocess.Popen[bytes]") -> None:
    worker.terminate()
    try:
        worker.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def run_pool(listen: str, tell: Callable[[str], None]) -> int:
    """Serve until SIGINT or SIGTERM, then end all workers; return the exit code. Raises WorkerPoolError.

    Whoever reaches a pool may run programs here and is not asked who it is: only loopback is taken.
    """
    try:
        checked_listen(listen)
    except ValueError as error:
        raise WorkerPoolError(f"--listen {listen}: {error}") from error
    pool = _Pool()
    server = grpc.server(futures.ThreadPoolExecutor(16))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(listen)
    except RuntimeError as error:
        raise WorkerPoolError(
            f"cannot listen on {listen}: is another worker pool running there?"
        ) from error
    stop = threading.Event()
    with stopped_by_signals(stop):
        server.start()
        tell(f"worker pool on {listen}")
        stop.wait()
        server.stop(None)
        pool.end()
    return 0


def work(worker: str, control: str) -> None:
    """Be a worker until the TaskManager lets go of it, or is gone; then this process ends.

    At once: what is under way then is not acknowledged, and another worker may have the state already.
    """
    import logging
    import os

    from jobs.allocator import return_memory_soon
    from jobs.lean_imports import without_unused

    return_memory_soon()
    with without_unused():
        from apache_beam.runners.worker.sdk_worker import SdkHarness

        import jobs.worker_parts  # noqa: F401 - what the pipeline will ask for
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    harness = SdkHarness(control, worker_id=worker, state_cache_size=0, data_buffer_time_limit_ms=0)
    code = 1
    try:
        harness.run()
        code = 0
    except grpc.RpcError as error:
        logging.warning("the TaskManager of worker %s is gone: %s", worker, error.details())
    except BaseException:
        logging.exception("worker %s failed", worker)
    finally:
        os._exit(code)
