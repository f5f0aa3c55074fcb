"""Worker processes for a Flink cluster: started and stopped as its TaskManagers ask. `streamgauge worker`.

A worker runs the job's steps with the packages that are installed beside this one: the version that
submits and the one that works are to be the same.
Source: Beam's BeamFnExternalWorkerPool; its own server listens on every address, this one where told.
"""

import logging
import os
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
_PAUSE: Final = 1.0  # s before a worker that died is started again
_LET_GO, _GONE = 0, 3  # how a worker ends by itself: its TaskManager let go of it, or is gone
_log = logging.getLogger(__name__)
_WORKER: Final = (
    "import sys; from jobs.worker_pool import work; work(worker=sys.argv[1], control=sys.argv[2])"
)


class WorkerPoolError(Exception):
    """The pool cannot listen; says what to do."""


class _Worker:
    """A worker's process; one that dies is started again until its TaskManager lets go of the worker, or is gone.

    A TaskManager waits for ever for a worker that dies before it has called. Of one that dies later it lets go.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process = self._begun()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def runs(self) -> bool:
        """Return whether it is still kept."""
        return self._keeper.is_alive()

    def end(self) -> None:
        """End it, and wait until it has."""
        with self._lock:
            self._ended.set()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _keep(self) -> None:
        while (code := self._process.wait()) not in (_LET_GO, _GONE):
            if self._ended.wait(_PAUSE):
                return
            with self._lock:
                if self._ended.is_set():
                    return
                _log.warning("a worker died (%d) and is started again", code)
                self._process = self._begun()

    def _begun(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdin=subprocess.DEVNULL)


class _Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
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
                    before.end()
                self._workers[request.worker_id] = _Worker(command)
        except OSError:
            return beam_fn_api_pb2.StartWorkerResponse(error=traceback.format_exc())
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:
        with self._lock:
            worker = self._workers.pop(request.worker_id, None)
        if worker is not None:
            worker.end()
        return beam_fn_api_pb2.StopWorkerResponse()

    def _let_go_of_ended(self) -> None:
        """Forget workers that ended by themselves, as their TaskManager was gone."""
        self._workers = {name: one for name, one in self._workers.items() if one.runs()}

    def end(self) -> None:
        """End every worker."""
        with self._lock:
            for worker in self._workers.values():
                worker.end()
            self._workers.clear()


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
        code = _LET_GO
    except grpc.RpcError as error:
        code = _GONE
        logging.warning("the TaskManager of worker %s is gone: %s", worker, error.details())
    except BaseException:
        logging.exception("worker %s failed", worker)
    finally:
        os._exit(code)
