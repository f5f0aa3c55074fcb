"""The wheel has all that a worker needs; tests of Flink run their workers by it."""

import subprocess
import sys
from pathlib import Path

from tests.wheel import PACKAGES, ROOT, unpacked_wheel


def test_it_has_every_file_of_the_packages_and_is_what_a_worker_imports(tmp_path: Path) -> None:
    unpacked = unpacked_wheel(tmp_path)
    assert _files(unpacked) == _files(ROOT)
    imported = subprocess.run(
        [sys.executable, "-c", "import jobs.worker_pool as it; print(it.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout == f"{unpacked}/jobs/worker_pool.py\n"


def _files(root: Path) -> set[str]:
    """Return the files of all packages, but for what Python compiled of them."""
    return {
        str(file.relative_to(root))
        for package in PACKAGES
        for file in (root / package).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
