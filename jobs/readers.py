"""Who reads what on a cluster: feeds, and parts of feeds that can be split, are dealt out to readers."""

from collections.abc import Iterator, Mapping, Sequence

from sources.feed import FeedSettings

Shares = Mapping[int, Sequence[FeedSettings]]  # what each reader reads, by its number


def shares_of(feeds: Sequence[FeedSettings], slots: int) -> Shares:
    """Return readers for feeds: as many as slots, or feeds and parts where these are fewer.

    A feed is split where there are more slots than feeds; else it is one reader's.
    """
    read = list(_split(feeds, slots))
    count = max(min(len(read), slots), 1)
    return {number: read[number::count] for number in range(count)}


def _split(feeds: Sequence[FeedSettings], slots: int) -> Iterator[FeedSettings]:
    """Yield feeds in as many parts as there are slots, split as evenly as they can be."""
    most = [len(feed.split(slots)) for feed in feeds]
    parts = [1] * len(feeds)
    for _ in range(slots - len(feeds)):
        divisible = [place for place in range(len(feeds)) if parts[place] < most[place]]
        if divisible:
            parts[min(divisible, key=parts.__getitem__)] += 1
    for feed, count in zip(feeds, parts, strict=True):
        yield from feed.split(count)
