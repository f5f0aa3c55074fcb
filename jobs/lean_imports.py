"""What is installed, and used by nothing here, is left out of a start.

The engine's package brings pandas and Beam a client of MongoDB. Beam, Arrow and others import them where
they are there: a seventh of a start's processor time and 38 MiB (docs/decisions/0008-memory-of-one-process.md).
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

_UNUSED: Final = frozenset({"bson", "pandas", "pymongo"})


class _Absent:
    """Finds the unused packages to be missing, before anyone else looks for them."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in _UNUSED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def without_unused() -> Iterator[None]:
    """Import inside as if the unused packages were not installed; afterwards they can be imported."""
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
