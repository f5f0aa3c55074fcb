"""A ClickHouse for tests that stop it: the embedded engine behind its HTTP interface, as a process.

`python -m tests.servers.engine FOLDER PORT` serves until it is ended.
"""

import contextlib
import dataclasses
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import clickhouse_connect

from metering.config import Config
from store.client import Store
from tests.servers.rabbitmq import free_port, wait_until
from webapi.serving import serve
from webapi.sql_endpoint import create_sql_app

USER: Final = "analyst"
PASSWORD: Final = "only-in-tests"
_ROOT: Final = Path(__file__).parents[2]


@dataclasses.dataclass
class EngineServer:
    """A server that can be stopped and started again on the same port and data."""

    folder: Path
    port: int = dataclasses.field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def database(self) -> dict[str, Any]:
        """Return the service's setting `database`."""
        return {"url": f"http://{USER}@127.0.0.1:{self.port}", "password": PASSWORD}

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "tests.servers.engine", str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, cwd=_ROOT)
        wait_until(self._answers, "the engine to answer", 60)

    def stop(self, kill: bool = False) -> None:
        """Stop in order, or at once with `kill`; what it was told stays on disk."""
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(60)
            self._process = None

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a question."""
        with contextlib.closing(self._client()) as client:
            return list(map(tuple, client.query(sql).result_rows))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the engine ended by itself"
        try:
            return self.query("SELECT 1") == [(1,)]
        except clickhouse_connect.driver.exceptions.Error:
            return False

    def _client(self) -> Any:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=USER, password=PASSWORD
        )


@contextlib.contextmanager
def engine_in(folder: Path) -> Iterator[EngineServer]:
    """Give a server that runs; it is ended afterwards."""
    server = EngineServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _main(folder: str, port: str) -> None:
    listen = f"127.0.0.1:{port}"
    config = Config.model_validate(
        {"database": {"path": folder}, "sql": {"password": PASSWORD, "listen": listen}}
    )
    store = Store(config.database)
    store.client()
    serving = serve(create_sql_app(config, store, writable=True), listen, 8)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    serving.close()
    store.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
