"""Which samples came, or were revised, shortly before the newest came, as SQL.

What follows from these the last process may not have written. Each condition has an index of its own, which
one of both would not use.
"""

from store.client import Store


def came(store: Store, seconds: int) -> str:
    """Return the condition on a row's `recorded_at`."""
    return f"recorded_at >= {_since(store, seconds)}"


def revised(store: Store, seconds: int) -> str:
    """Return the condition on a row's `revised_at`; the row may have come long ago."""
    return f"revised_at >= {_since(store, seconds)}"


def _since(store: Store, seconds: int) -> str:
    return f"(SELECT max(recorded_at) FROM {store.name}.samples) - {seconds:d}"
