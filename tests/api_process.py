"""`streamgauge api` as a process of its own, beside whatever writes to the same database."""

import contextlib
import dataclasses
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.own_process import PROGRAM, OwnProcess
from tests.servers.rabbitmq import free_port, wait_until
from webapi.payloads import TYPE

SECONDS = 120.0  # for it to start, or to end
ADMIN = {"X-Roles": "admin"}


@dataclasses.dataclass
class ApiProcess(OwnProcess):
    """An API with a configuration, a folder and a port of its own."""

    folder: Path
    database: dict[str, Any]
    feeds: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    spool: Path | None = None
    port: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.log = self.folder / "api.log"

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.launch(self._command())
        wait_until(self._answers, "the API to answer", SECONDS)

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end; return what it said."""
        return self.run_to_end(self._command())

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return the status and the JSON that an admin is answered; a body is posted, bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **ADMIN, **headers}
        request = urllib.request.Request(f"{self.url}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, orjson.loads(error.read())

    def push(self, resource: str) -> dict[str, Any]:
        """Push a sample of a GPU; return it as it was answered."""
        code, answer = self.ask("/v2/meters/gpu", gpu(resource))
        assert code == 201, answer
        (pushed,) = answer
        return dict(pushed)

    def push_event(self, kind: str) -> None:
        """Push a CloudEvent of now."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        said = {"specversion": "1.0", "id": "1", "source": "racks", "type": kind, "time": at}
        told = self.ask("/v1/events", said, **{"Content-Type": "application/cloudevents+json"})
        assert told == (201, {"accepted": 1})

    def push_payloads(self, bodies: Sequence[bytes]) -> None:
        """Push raw payloads, such as notifications."""
        told = self.ask("/v1/payloads", b"\n".join(bodies), **{"Content-Type": TYPE})
        assert told == (201, {"accepted": len(bodies)})

    def text(self, path: str) -> str:
        """Return what an admin is answered that is no JSON."""
        request = urllib.request.Request(f"{self.url}{path}", headers=ADMIN)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    def status(self) -> dict[str, Any]:
        """Return its status."""
        code, found = self.ask("/v1/status")
        assert code == 200, found
        return dict(found)

    def pushes(self) -> dict[str, Any]:
        """Return the part of its status that is about what was pushed."""
        return dict(self.status()["feeds"]["spool"])

    def _answers(self) -> bool:
        self.assert_runs()
        try:
            return self.text("/healthcheck") == "OK"
        except (urllib.error.URLError, ConnectionError):
            return False

    def _command(self) -> list[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = {
            "database": self.database,
            "api": {"listen": f"127.0.0.1:{self.port}"},
            "spool": {"path": str(self.spool or self.folder / "spool")},
            "feeds": self.feeds,
        }
        file = self.folder / "api.yaml"
        file.write_text(yaml.safe_dump(config))
        return [str(PROGRAM), "api", "--config", str(file)]


def gpu(resource: str) -> list[dict[str, Any]]:
    """Return what pushes a sample of a GPU."""
    sample = {
        "counter_name": "gpu",
        "counter_type": "gauge",
        "counter_unit": "GPU",
        "counter_volume": 1.0,
        "resource_id": resource,
        "project_id": "p1",
    }
    return [sample]


@contextlib.contextmanager
def ended(api: ApiProcess) -> Iterator[ApiProcess]:
    """Give an API that is started; it does not run afterwards."""
    try:
        api.start()
        yield api
    finally:
        api.kill()
