"""The service as an outsider has it: a process, its configuration file, its status and its SQL."""

import contextlib
import dataclasses
import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import yaml

from tests.own_process import PROGRAM, OwnProcess
from tests.servers.rabbitmq import free_port, wait_until
from tests.soak.notifications import MAX_PAYLOAD
from tests.soak.sources import Source
from tests.soak.usage import SETTINGS

PASSWORD: Final = "only-in-tests"
START_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 120.0


@dataclasses.dataclass
class Service(OwnProcess):
    """`streamgauge run` in a folder of its own; started as often as one likes, never twice at once."""

    folder: Path
    source: Source
    database: Path | None = None
    server: dict[str, Any] | None = None  # the setting `database`, where it is no folder
    more: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # feeds beside it

    def __post_init__(self) -> None:
        self.api, self.sql = free_port(), free_port()
        self.database = self.database or self.folder / "db"
        self.log = self.folder / "service.log"

    def configure(self, **job: Any) -> Path:
        """Write the configuration file and return its path."""
        config = {
            "database": self.server or {"path": str(self.database)},
            "api": {"listen": f"127.0.0.1:{self.api}"},
            "sql": {} if self.server else {"listen": f"127.0.0.1:{self.sql}", "password": PASSWORD},
            "spool": {"path": str(self.folder / "spool")},
            "feeds": [self.source.feed(), *self.more],
            "job": job,
            "usage": {"periods": list(SETTINGS.periods)},
            "decode": {"max_payload_bytes": MAX_PAYLOAD},
        }
        path = self.folder / "streamgauge.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def spawn(self, **job: Any) -> int:
        """Start it without waiting; return its pid."""
        return self.launch([PROGRAM, "run", "--config", self.configure(**job)])

    def start(self, **job: Any) -> None:
        """Start it and wait until its status is served, and its SQL, which comes a moment later."""
        self.spawn(**job)
        wait_until(lambda: self.status() is not None, "the service to answer", START_SECONDS)
        wait_until(self._listens, "the SQL endpoint to answer", START_SECONDS)

    def kill_running(self) -> None:
        """End it by SIGKILL; fails where it has ended by itself."""
        self.assert_runs()
        assert self.process is not None
        self.kill()

    def run(self, *before: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, `before` being a command that runs commands; return what it said."""
        return self.run_to_end([*before, PROGRAM, "run", "--config", self.configure()])

    def run_beside(self) -> subprocess.CompletedProcess[str]:
        """Run another one on the same database folder, other ports and spool, to its end."""
        beside = self.folder / "beside"
        beside.mkdir()
        return Service(beside, self.source, self.database).run()

    def status(self) -> dict[str, Any] | None:
        """Return what GET /v1/status says; None while it is not served."""
        self.assert_runs()
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/v1/status")
                answer = connection.getresponse()
            except (ConnectionError, TimeoutError):
                return None
            assert answer.status == 200, answer.read()
            status: dict[str, Any] = json.load(answer)
            return status

    def feed(self) -> dict[str, Any]:
        """Return the source's feed's part of the status."""
        status = self.status()
        assert status is not None
        part: dict[str, Any] = status["feeds"][self.source.kind]
        return part

    def drain(self) -> None:
        """Wait until everything published has been stored and acknowledged."""

        def quiet() -> bool:
            status = self.status()
            assert status is not None
            unacknowledged = status["feeds"][self.source.kind]["unacknowledged"]
            return not (self.source.waiting() or unacknowledged or status["queue_bytes"])

        wait_until(quiet, "the source to be empty and everything acknowledged", DRAIN_SECONDS)

    def resident(self) -> int:
        """Return the bytes of memory that it holds."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (held,) = (line for line in lines if line.startswith("VmRSS:"))
        return int(held.split()[1]) * 1024

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a question to the SQL endpoint."""
        with contextlib.closing(self._client()) as client:
            rows: list[tuple[Any, ...]] = list(map(tuple, client.query(sql).result_rows))
            return rows

    def _listens(self) -> bool:
        """Return whether questions can be asked; there is no SQL endpoint beside a server's own."""
        self.assert_runs()
        with socket.socket() as asked:
            return bool(self.server) or asked.connect_ex(("127.0.0.1", self.sql)) == 0

    def _client(self) -> Any:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.sql, username="analyst", password=PASSWORD
        )


@contextlib.contextmanager
def service_in(
    folder: Path,
    source: Source,
    database: Path | None = None,
    server: dict[str, Any] | None = None,
) -> Iterator[Service]:
    """Give a service that is not started yet; nothing of it runs afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(folder, source, database, server)
    try:
        yield service
    finally:
        service.kill()
