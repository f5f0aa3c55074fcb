"""How soon the embedded engine's allocator (jemalloc) gives freed memory back to the system.

Its default keeps freed pages for 5 s: with an insert or merge always under way, 150 MB are resident that
nobody uses. Set before the engine's library is loaded; afterwards it is not read any more.
Source: jemalloc 5.3, TUNING and opt.dirty_decay_ms; the library reads JE_MALLOC_CONF (decision 7).
"""

import os
from typing import Final

_VARIABLE: Final = "JE_MALLOC_CONF"
_OPTIONS: Final = "dirty_decay_ms:500"


def return_memory_soon() -> None:
    """Have the engine keep freed pages half a second, unless the operator set the variable."""
    os.environ.setdefault(_VARIABLE, _OPTIONS)
