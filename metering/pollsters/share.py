"""Which of several readers a resource is polled by."""

import xxhash


def is_ours(resource: str, reader: int, readers: int) -> bool:
    """Return whether a resource is this reader's: each is exactly one's of those numbered from 0."""
    return readers == 1 or xxhash.xxh64_intdigest(resource.encode()) % readers == reader
