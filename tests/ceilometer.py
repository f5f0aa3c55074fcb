"""The unmodified `ceilometer` client 2.9.0 as a process, against the API on a loopback address."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from metering.config import Config
from metering.timestamps import parse_ms
from store.client import Store
from tests.api import START, fill
from webapi.app import create_app
from webapi.serving import serve

# 2.9.0 is of 2017: its tables need the old prettytable, and it imports pkg_resources.
REQUIREMENTS = ("python-ceilometerclient==2.9.0", "prettytable==0.7.2", "setuptools<81")
FOLDER = Path(tempfile.gettempdir()) / f"streamgauge-ceilometerclient-2.9.0-{sys.version_info[1]}"

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


def program() -> Path:
    """Return the client's program, in an environment of its own that is made once a machine."""
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "ready").exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            for command in _installing():
                done = subprocess.run(command, capture_output=True, text=True, timeout=300)
                if done.returncode:
                    pytest.skip(
                        f"the ceilometer client cannot be installed: {done.stderr[-200:]};"
                        f" try: {' '.join(command)}"
                    )
            (FOLDER / "ready").touch()
    return FOLDER / "bin" / "ceilometer"


def _installing() -> list[list[str]]:
    python = str(FOLDER / "bin" / "python")
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(FOLDER)],
            [uv, "pip", "install", "-q", "--python", python, *REQUIREMENTS],
        ]
    return [
        [sys.executable, "-m", "venv", str(FOLDER)],
        [python, "-m", "pip", "install", "-q", *REQUIREMENTS],
    ]


@contextlib.contextmanager
def running(store: Store) -> Iterator[Client]:
    """Serve the API over the store; what it gives runs the client and returns what that prints."""
    path = program()
    app = create_app(Config(), store, StoringSpool(store), dict)
    serving = serve(app, "127.0.0.1:0", 2)
    url = f"http://{serving.address}"
    environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}

    def run(*arguments: str, fails: bool = False) -> str:
        command = [str(path), "--os-token", "T", "--os-endpoint", url, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env={**environment, "COLUMNS": "400"},
        )
        assert (done.returncode != 0) is fails, done.stderr
        return (done.stderr if fails else done.stdout).replace(url, "URL")

    try:
        yield run
    finally:
        serving.close()


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
