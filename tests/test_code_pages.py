"""Pages of mapped files leave memory, and are read again when they are needed."""

import mmap
import os
from pathlib import Path

import pytest

from jobs.code_pages import page_out_code

SIZE = 8 * 1024 * 1024


def _resident(path: Path) -> int:
    """Return how much (bytes) of a mapped file is in this process' memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return 1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])
    pytest.fail(f"{path} is not mapped")


def test_what_is_mapped_of_a_file_leaves_memory_and_is_read_again(tmp_path: Path) -> None:
    path, content = tmp_path / "code", os.urandom(SIZE)
    with path.open("wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as code,
    ):
        assert code[:] == content
        assert _resident(path) == SIZE
        page_out_code()
        assert _resident(path) < SIZE / 2  # pages that another core has in hand may stay
        assert code[:] == content
