"""Flink's REST: what jobs there are, and how they are stopped.

Errors: FlinkError says in one line what Flink answered, or that it did not.
"""

import dataclasses
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import quote

import requests

_PATIENCE: Final = 300.0  # s; for a savepoint or checkpoint
_ENDED: Final = ("FINISHED", "CANCELED", "FAILED")


class FlinkError(Exception):
    """Flink cannot be reached or refused; says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class FlinkJob:
    """One job, as Flink tells of it. Units: `started` in ms since the epoch."""

    id: str
    name: str
    state: str
    started: int


class Flink:
    """A cluster, by the HOST:PORT of its REST."""

    def __init__(self, master: str) -> None:
        self._url = master if "://" in master else f"http://{master}"
        self._session = requests.Session()

    def page(self, job: str) -> str:
        """Return the address of a job's page."""
        return f"{self._url}/#/job/running/{job}/overview"

    def overview(self) -> dict[str, Any]:
        """Return versions and slots. Raises FlinkError."""
        return self._ask("GET", "/overview")

    def jobs(self) -> list[FlinkJob]:
        """Return every job that Flink remembers, the newest first. Raises FlinkError."""
        found = [
            FlinkJob(each["jid"], each["name"], each["state"], each["start-time"])
            for each in self._ask("GET", "/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda job: -job.started)

    def job(self, job: str) -> dict[str, Any]:
        """Return what there is to know of a job. Raises FlinkError."""
        return self._ask("GET", f"/jobs/{job}")

    def checkpoints(self, job: str) -> dict[str, Any]:
        """Return how many checkpoints were taken, and the last. Raises FlinkError."""
        return self._ask("GET", f"/jobs/{job}/checkpoints")

    def counted(self, job: str, prefix: str) -> dict[str, int]:
        """Return the counters whose name begins so, of all parts of a job together. Raises FlinkError."""
        found: Counter[str] = Counter()
        for part in self.job(job)["vertices"]:
            path = f"/jobs/{job}/vertices/{part['id']}/metrics"
            names = [each["id"] for each in self._ask("GET", path)]
            named = [name for name in names if _own(name).startswith(prefix)]
            asked = f"{path}?get={quote(','.join(named), safe=',')}"
            for each in self._ask("GET", asked) if named else ():
                found[_own(each["id"])] += int(each["value"])
        return dict(found)

    def runs(self, job: str) -> bool:
        """Return whether every part of a job runs. Raises FlinkError."""
        found = self.job(job)
        states = {part["status"] for part in found["vertices"]}
        return found["state"] == "RUNNING" and states == {"RUNNING"}

    def checkpoint(self, job: str) -> None:
        """Have a checkpoint taken, and wait for it. Raises FlinkError."""
        asked = self._ask("POST", f"/jobs/{job}/checkpoints", {})
        self._done(f"/jobs/{job}/checkpoints/{asked['request-id']}")

    def savepoint(self, job: str, cancel: bool) -> str:
        """Take a savepoint, end the job with it where asked, and return where it is. Raises FlinkError."""
        asked = self._ask("POST", f"/jobs/{job}/savepoints", {"cancel-job": cancel})
        return str(self._done(f"/jobs/{job}/savepoints/{asked['request-id']}")["location"])

    def cancel(self, job: str) -> None:
        """End a job, and wait until it has ended. Raises FlinkError."""
        self._ask("PATCH", f"/jobs/{job}?mode=cancel")
        self.wait_ended(job)

    def wait_ended(self, job: str) -> None:
        """Wait until a job has ended. Raises FlinkError."""
        ends = time.monotonic() + _PATIENCE
        while self.job(job)["state"] not in _ENDED:
            if time.monotonic() > ends:
                raise FlinkError(f"the job {job} did not end within {_PATIENCE:g} s")
            time.sleep(0.1)

    def _done(self, path: str) -> dict[str, Any]:
        ends = time.monotonic() + _PATIENCE
        while (found := self._ask("GET", path))["status"]["id"] != "COMPLETED":
            if time.monotonic() > ends:
                raise FlinkError(f"Flink did not answer within {_PATIENCE:g} s: {path}")
            time.sleep(0.1)
        told: dict[str, Any] = found["operation"]
        if "failure-cause" in told:
            raise FlinkError(_last_cause(told["failure-cause"]["stack-trace"]))
        return told

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = self._session.request(method, self._url + path, json=body, timeout=30)
        except requests.RequestException as error:
            raise FlinkError(
                f"Flink at {self._url} does not answer; is its JobManager running there?"
            ) from error
        if answer.status_code >= 400:
            raise FlinkError(f"Flink refused {method} {path}: {_reason(answer)}")
        return answer.json() if answer.content else {}


def _own(metric: str) -> str:
    """Return a metric's own name: before it stand the subtask's number and the operator's name."""
    return metric.rpartition(".")[2]


def _reason(answer: requests.Response) -> str:
    try:
        errors = answer.json()["errors"]
    except (ValueError, KeyError):
        errors = [answer.text]
    return _last_cause(str(errors[-1])) if errors else str(answer.status_code)


def _last_cause(trace: str) -> str:
    """Return the line of a Java stack trace that says what was the matter."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return (causes[-1] if causes else lines[0]) if lines else "no reason given"
