"""Packages of others that tests look into: fetched from the package index, kept among temporary files."""

import importlib.util
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest


def fetched(name: str, version: str) -> Path:
    """Return a folder with a package alone, without what it needs. Skips where it can't be had."""
    target = Path(tempfile.gettempdir(), f"streamgauge-{name}-{version}")
    if not target.exists():
        _fetch(f"{name}=={version}", target)
    return target


def _fetch(requirement: str, target: Path) -> None:
    """Install a package into a folder; all of it or nothing is seen there."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch, "package")
        # Python 3.10 is too old for some whose files alone are read.
        options = ["--quiet", "--no-deps", "--ignore-requires-python", "--target", str(made)]
        command = [*_pip(Path(scratch, "venv")), "install", *options, requirement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            pytest.skip(f"{requirement} cannot be had from the package index: {why}")
        if not target.exists():
            made.rename(target)


def _pip(folder: Path) -> list[str]:
    """Return a command that is pip, this environment's or one made for it."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    venv.create(folder, with_pip=True)
    return [str(folder / "bin" / "python"), "-m", "pip"]
