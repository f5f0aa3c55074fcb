"""The unmodified `ceilometer` client 2.9.0 as a process, against the API on a loopback address."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from metering.config import Config
from metering.timestamps import parse_ms
from store.client import Store
from tests.api import START, fill
from tests.client_program import environment, installed
from webapi.app import create_app
from webapi.serving import serve

# 2.9.0 is of 2017: its tables need the old prettytable, and it imports pkg_resources.
REQUIREMENTS = ("python-ceilometerclient==2.9.0", "prettytable==0.7.2", "setuptools<81")

Client = Callable[..., str]


class StoringSpool:
    """Puts pushed samples into the store at once, as the job would a moment later."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            for one in json.loads(body)["payload"]["samples"]:
                fill(self.store, **{name: [value] for name, value in _columns(one).items()})


def _columns(sample: dict[str, Any]) -> dict[str, Any]:
    named = {name: sample[f"counter_{name}"] for name in ("type", "unit", "volume")}
    copied = {name: sample[name] for name in ("resource_id", "source", "message_id")}
    return {
        **named,
        **copied,
        "meter": sample["counter_name"],
        "project_id": sample["project_id"] or "",
        "user_id": sample["user_id"] or "",
        "timestamp": _milliseconds(sample["timestamp"]),
        "metadata": json.dumps(sample["resource_metadata"]),
        "recorded_at": _milliseconds(START.isoformat()) // 1000,
    }


def _milliseconds(time: str) -> int:
    return parse_ms(time)


@contextlib.contextmanager
def running(store: Store) -> Iterator[Client]:
    """Serve the API over the store; what it gives runs the client and returns what that prints."""
    app = create_app(Config(), store, StoringSpool(store), dict)
    serving = serve(app, "127.0.0.1:0", 2)
    try:
        yield asking(f"http://{serving.address}")
    finally:
        serving.close()


def asking(url: str) -> Client:
    """Return what runs the client against an API, and returns what that prints."""
    path = installed("ceilometerclient-2.9.0", REQUIREMENTS) / "ceilometer"

    def run(*arguments: str, fails: bool = False) -> str:
        command = [str(path), "--os-token", "T", "--os-endpoint", url, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
        )
        assert (done.returncode != 0) is fails, done.stderr
        return (done.stderr if fails else done.stdout).replace(url, "URL")

    return run


def table(text: str) -> list[list[str]]:
    """Return a printed table's rows, its header first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def rows(text: str) -> list[list[str]]:
    """Return a printed table's rows, without its header."""
    return table(text)[1:]


def properties(text: str) -> dict[str, str]:
    """Return a printed table of names and values."""
    return {cells[0]: cells[1] for cells in rows(text)}
