"""What names a thing that came without a name: its content."""

from collections.abc import Iterable

import xxhash


def content_id(parts: Iterable[object]) -> str:
    """Return 32 hex digits that name these values, the same on every machine and in every run."""
    text = "\x1f".join(map(str, parts))
    return xxhash.xxh128_hexdigest(text.encode("utf-8", "surrogatepass"))


def variant(message_id: str) -> int:
    """Return what tells samples of one series and moment apart in the store: deltas, by their ids."""
    return xxhash.xxh32_intdigest(message_id.encode())
