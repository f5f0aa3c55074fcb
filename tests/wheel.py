"""The wheel that setup.py makes: what a machine with workers installs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = (
    "cli", "jobs", "metering", "sinks", "sources", "store", "transforms", "webapi",
)  # fmt: skip
_BUILD: Final = "from setuptools import build_meta; build_meta.build_wheel('.')"


def unpacked_wheel(folder: Path) -> Path:
    """Build it of a copy, as building leaves files beside what it builds; return where its files are."""
    source, unpacked = folder / "source", folder / "unpacked"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [sys.executable, "-c", _BUILD], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked
