"""Code that ran once, at the start, need not stay in memory: a service that does nothing has 340 MiB of
files mapped (the engine, polars, Arrow, Beam), and uses 150 of them from then on.

Source: madvise(2), MADV_PAGEOUT; docs/decisions/0008-memory-of-one-process.md has what it gains.
"""

import ctypes
from pathlib import Path
from typing import Final

_MAPS: Final = Path("/proc/self/maps")
_MADV_PAGEOUT: Final = 21  # Linux 5.4


def page_out_code() -> None:
    """Give the pages of mapped files back to the system; those that are used again it reads again.

    It is advice: nothing happens where the system is not Linux 5.4 or newer, nor for files that
    belong to another user.
    """
    if not _MAPS.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in _mapped_files(_MAPS.read_text()):
        madvise(start, end - start, _MADV_PAGEOUT)


def _mapped_files(maps: str) -> list[tuple[int, int]]:
    """Return where files are mapped that the process does not change: [(start, end)]."""
    found = []
    for line in maps.splitlines():
        span, rights, _, _, _, *path = line.split(maxsplit=5)
        if path and path[0].startswith("/") and "w" not in rights:
            start, end = span.split("-")
            found.append((int(start, 16), int(end, 16)))
    return found
