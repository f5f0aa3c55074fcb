"""Unmodified clients as programs, each in an environment of its own that is made once a machine."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest


def installed(name: str, requirements: Sequence[str]) -> Path:
    """Return the folder of the programs that these requirements bring; skips where they cannot be had."""
    folder = Path(tempfile.gettempdir()) / f"streamgauge-{name}-{sys.version_info[1]}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for command in _installing(folder, requirements):
                done = subprocess.run(command, capture_output=True, text=True, timeout=600)
                if done.returncode:
                    pytest.skip(
                        f"{name} cannot be installed: {done.stderr[-200:]};"
                        f" try: {' '.join(command)}"
                    )
            (folder / "ready").touch()
    return folder / "bin"


def environment(**variables: str) -> dict[str, str]:
    """Return what a client runs with: no proxy on the way to a loopback address, wide tables."""
    plain = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    return {**plain, "COLUMNS": "400", **variables}


def _installing(folder: Path, requirements: Sequence[str]) -> list[list[str]]:
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--python", python, *requirements],
        ]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "-q", *requirements],
    ]
