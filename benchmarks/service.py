"""The measured process: `streamgauge run` with a configuration of its own, asked over HTTP alone."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import yaml

from tests.servers.rabbitmq import free_port, wait_until

_PASSWORD = "benchmark"
_START = 180.0  # s


class Service:
    """A running service; stop it."""

    def __init__(
        self, folder: Path, feeds: list[dict[str, Any]], more: dict[str, Any] | None = None
    ) -> None:
        self.api, self.sql = free_port(), free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "database": {"path": str(folder / "db")},
            "spool": {"path": str(folder / "spool")},
            "api": {"listen": f"127.0.0.1:{self.api}"},
            "sql": {"listen": f"127.0.0.1:{self.sql}", "password": _PASSWORD},
            "feeds": feeds,
            **(more or {}),
        }
        (folder / "streamgauge.yaml").write_text(yaml.safe_dump(config))
        self._log = folder / "service.log"
        command = [sys.executable, "-m", "cli.main", "run", "--config"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(folder / "streamgauge.yaml")], stdout=log, stderr=log
            )
        self.pid = self._process.pid
        wait_until(self._answers, "the service to answer", _START)
        self._client = clickhouse_connect.get_client(
            host="127.0.0.1",
            port=self.sql,
            username="analyst",
            password=_PASSWORD,
            autogenerate_session_id=False,
        )

    def count(self, table: str) -> int:
        """Return how many rows can be queried."""
        found = self._client.query(f"SELECT count() FROM metering.{table}")
        return int(found.result_rows[0][0])

    def counts(self, table: str, total: int, seconds: float) -> Iterator[tuple[float, int]]:
        """Yield (time in s, rows that can be queried) until there are `total`, twice a second."""
        return rising(lambda: self.count(table), total, seconds, self._check)

    def memory(self) -> dict[str, float]:
        """Return VmRSS and VmHWM in MiB."""
        self._check("the service ended", float("inf"))
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}

    def cpu(self) -> float:
        """Return the seconds of processor time it has used."""
        return processor_seconds(self.pid)

    def stop(self) -> None:
        """Let it write and acknowledge, and end."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        self._check("the service did not start", time.monotonic() + 1)
        return _listening(self.api) and _listening(self.sql)

    def _check(self, trouble: str, deadline: float) -> None:
        if self._process.poll() is not None or time.monotonic() > deadline:
            tail = self._log.read_text(errors="replace")[-2000:]
            self.stop()
            raise RuntimeError(f"{trouble}; the service said: {tail}")


def rising(
    count: Callable[[], int], total: int, seconds: float, check: Callable[[str, float], None]
) -> Iterator[tuple[float, int]]:
    """Yield (time in s, count) until it is `total`; `check` is told of the deadline."""
    deadline = time.monotonic() + seconds
    rows = 0
    while rows < total:
        check(f"{rows:,} of {total:,} rows after {seconds} s", deadline)
        rows = count()
        yield time.monotonic(), rows
        time.sleep(0.5 if total > 10_000 else 0.02)  # few are there within less than half a second


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(
    folder: Path, feeds: list[dict[str, Any]], more: dict[str, Any] | None = None
) -> Iterator[Service]:
    """Run a service for a while, `more` being what else it is configured with."""
    service = Service(folder, feeds, more)
    try:
        yield service
    finally:
        service.stop()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
