"""How soon freed memory goes back to the system.

The embedded engine's allocator (jemalloc) keeps freed pages for 5 s: with an insert or merge always under way,
150 MB are resident that nobody uses. The C library's (glibc) maps large blocks apart and gives them back at
once, but raises what it calls large with each that is freed, to 32 MB: 80 MB that are free stay.
Source: jemalloc 5.3, TUNING and opt.dirty_decay_ms; the library reads JE_MALLOC_CONF when it is loaded,
    and not any more afterwards. mallopt(3), M_MMAP_THRESHOLD: set, it stays as it is. Decisions 7 and 8.
"""

import ctypes
import os
from typing import Final

_VARIABLE: Final = "JE_MALLOC_CONF"
_OPTIONS: Final = "dirty_decay_ms:500"
_LIMITS: Final = {  # variable that says so, too: option, bytes
    "MALLOC_MMAP_THRESHOLD_": (-3, 2 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": (-1, 4 * 1024**2),
}


def return_memory_soon() -> None:
    """Have freed memory given back within half a second, unless the operator set the variables."""
    os.environ.setdefault(_VARIABLE, _OPTIONS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    for variable, (option, limit) in _LIMITS.items():
        if mallopt is not None and variable not in os.environ:
            mallopt(option, limit)
