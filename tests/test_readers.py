"""Which feeds each reader of a cluster has, and which slot it comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.readers import shares_of, slot_of

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


@given(FEEDS, st.integers(1, 16))
def test_readers_come_to_slots_of_their_own(feeds: list[str], slots: int) -> None:
    readers = list(shares_of(feeds, slots))
    assert len({slot_of(reader, slots) for reader in readers}) == len(readers)


@pytest.mark.parametrize(
    ("slots", "seen"),
    [
        (2, [1, 0, 0, 1, 1, 0, 1, 0]),
        (4, [3, 1, 0, 3, 3, 0, 2, 1]),
        (100, [48, 14, 61, 98, 89, 61, 86, 19]),
    ],
)
def test_a_reader_comes_to_the_slot_that_flink_sends_it_to(slots: int, seen: list[int]) -> None:
    """What KeyGroupRangeAssignment.assignKeyToParallelOperator of Flink 1.19.3 said of a byte each."""
    assert [slot_of(reader, slots) for reader in range(8)] == seen
