"""Pages of mapped files leave memory, and are read again when they are needed."""

import ctypes
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.code_pages import let_go_of_code, page_out_files

SIZE = 8 * 1024 * 1024


def _resident(path: Path) -> int:
    """Return how much (bytes) of a mapped file is in this process' memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return 1024 * int(next(line for line in lines if line.startswith("Rss:")).split()[1])
    pytest.fail(f"{path} is not mapped")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "code"
    with path.open("wb") as file:
        file.write(os.urandom(SIZE))
        os.fsync(file.fileno())
    return path


@pytest.mark.parametrize(
    ("give_back", "rights"),
    [
        (page_out_files, mmap.PROT_READ),
        (page_out_files, mmap.PROT_READ | mmap.PROT_EXEC),
        (let_go_of_code, mmap.PROT_READ | mmap.PROT_EXEC),
    ],
)
def test_what_is_mapped_of_a_file_leaves_memory_and_is_read_again(
    give_back: Callable[[], None], rights: int, path: Path
) -> None:
    content = path.read_bytes()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, rights) as code:
        assert code[:] == content
        assert _resident(path) == SIZE
        give_back()
        assert _resident(path) < SIZE / 2  # pages that another core has in hand may stay
        assert code[:] == content


def test_what_was_written_before_it_became_readable_only_is_not_let_go_of(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE) as data:
        data[:4] = b"mine"
        libc = ctypes.CDLL(None)
        at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(data)))
        assert libc.mprotect(at, ctypes.c_size_t(SIZE), mmap.PROT_READ) == 0
        let_go_of_code()
        page_out_files()
        assert data[:4] == b"mine"
