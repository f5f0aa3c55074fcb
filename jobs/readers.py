"""Who reads what on a cluster: feeds are dealt out to readers."""

from collections.abc import Mapping, Sequence

Shares = Mapping[int, tuple[str, ...]]  # the feeds of each reader, by its number


def shares_of(feeds: Sequence[str], slots: int) -> Shares:
    """Return readers for feeds: as many as slots, or feeds where these are fewer; each with its own."""
    count = max(min(len(feeds), slots), 1)
    return {number: tuple(feeds[number::count]) for number in range(count)}
