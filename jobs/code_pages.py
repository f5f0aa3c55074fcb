"""Code that ran once need not stay in memory: a service that does nothing has 340 MiB of files mapped
(the engine, polars, Arrow, Beam), and uses 150 of them from then on.

Source: madvise(2), MADV_PAGEOUT and MADV_DONTNEED; docs/decisions/0008-memory-of-one-process.md has what they
    gain.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MAPS: Final = Path("/proc/self/maps")
_MADV_DONTNEED: Final = 4
_MADV_PAGEOUT: Final = 21  # Linux 5.4


def page_out_files() -> None:
    """Give the pages of mapped files back to the system; those that are used again it reads again.

    It is advice: nothing happens where the system is not Linux 5.4 or newer, nor for files that
    belong to another user.
    """
    for rights, start, end in _mapped_files():
        if "w" not in rights:
            _advise(start, end, _MADV_PAGEOUT)


def let_go_of_code() -> None:
    """Let go of all code; what runs again is mapped again, out of the system's cache of files.

    That needs no disk, unlike `page_out_files`, and is for code alone: what is only readable may have been
    written by the loader before, and would be lost.
    """
    for rights, start, end in _mapped_files():
        if rights == "r-xp":
            _advise(start, end, _MADV_DONTNEED)


def _mapped_files() -> Iterator[tuple[str, int, int]]:
    """Yield how files are mapped, and where: rights, start, end. Nothing where the system is no Linux."""
    if not _MAPS.exists():
        return
    for line in _MAPS.read_text().splitlines():
        span, rights, _, _, _, *path = line.split(maxsplit=5)
        if path and path[0].startswith("/"):
            start, end = span.split("-")
            yield rights, int(start, 16), int(end, 16)


def _advise(start: int, end: int, advice: int) -> None:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    madvise(start, end - start, advice)
