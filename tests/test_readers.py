"""Which feeds each reader of a cluster has."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.readers import shares_of

FEEDS = st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=12)


@given(FEEDS, st.integers(1, 16))
def test_each_feed_is_one_readers(feeds: list[str], slots: int) -> None:
    shares = shares_of(feeds, slots)
    assert sorted(feed for share in shares.values() for feed in share) == sorted(feeds)


@given(FEEDS, st.integers(1, 16))
def test_readers_are_as_many_as_slots_and_feeds_allow_and_share_evenly(
    feeds: list[str], slots: int
) -> None:
    sizes = [len(share) for share in shares_of(feeds, slots).values()]
    assert len(sizes) == max(min(len(feeds), slots), 1)
    assert max(sizes) - min(sizes) <= 1
