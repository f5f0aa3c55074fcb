"""Which feeds, and parts of feeds, each reader of a cluster has."""

from collections import Counter
from itertools import chain

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.readers import Shares, shares_of
from metering.pollsters.share import is_ours
from sources.feed import FeedSettings, SplitSettings
from sources.files import FilesSettings
from sources.libvirt import LibvirtSettings
from sources.openstack.settings import OpenStackSettings
from sources.pubsub_settings import PubSubSettings
from sources.rabbitmq_settings import RabbitSettings

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, min_size=1, max_size=4)
QUEUES = st.builds(
    lambda topics, parts: rabbitmq(topics=topics, parts=parts), NAMES, st.integers(1, 6)
)
FEEDS = st.lists(QUEUES | st.just(LibvirtSettings()), max_size=6).map(
    lambda feeds: [
        feed.model_copy(update={"name": f"feed {number}"}) for number, feed in enumerate(feeds)
    ]
)


def rabbitmq(**settings: object) -> RabbitSettings:
    url = pydantic.SecretStr("amqp://user:password@broker/")
    return RabbitSettings.model_validate({"urls": [url], **settings})


def read(shares: Shares) -> list[FeedSettings]:
    return list(chain.from_iterable(shares.values()))


def names(shares: Shares) -> list[list[str]]:
    return [[feed.name or feed.type for feed in share] for share in shares.values()]


def by_queue(feeds: list[FeedSettings]) -> Counter[tuple[str, str]]:
    """Return how many read each queue of a feed."""
    return Counter(
        (feed.name.partition("/")[0], topic)
        for feed in feeds
        if isinstance(feed, RabbitSettings)
        for topic in feed.topics
    )


@given(FEEDS, st.integers(1, 16))
def test_all_of_every_feed_is_read_and_each_part_has_a_name_of_its_own(
    feeds: list[FeedSettings], slots: int
) -> None:
    parts = read(shares_of(feeds, slots))
    assert by_queue(parts).keys() == by_queue(feeds).keys()
    assert {part.name.partition("/")[0] for part in parts} == {feed.name for feed in feeds}
    assert len({part.name for part in parts}) == len(parts)


@given(FEEDS, st.integers(1, 16))
def test_a_queue_has_several_readers_only_where_a_feed_asks_for_more_than_it_has_queues(
    feeds: list[FeedSettings], slots: int
) -> None:
    enough = [
        feed
        for feed in feeds
        if not isinstance(feed, RabbitSettings) or feed.parts <= len(feed.topics)
    ]
    assert set(by_queue(read(shares_of(enough, slots))).values()) <= {1}


@given(FEEDS, st.integers(1, 16))
def test_readers_are_as_many_as_slots_and_parts_allow_and_share_evenly(
    feeds: list[FeedSettings], slots: int
) -> None:
    parts = sum(feed.parts if isinstance(feed, SplitSettings) else 1 for feed in feeds)
    sizes = [len(share) for share in shares_of(feeds, slots).values()]
    assert len(sizes) == max(min(parts, slots), 1)
    assert max(sizes) - min(sizes) <= 1


@given(FEEDS, st.integers(1, 16))
def test_no_feed_is_split_where_slots_are_no_more_than_feeds(
    feeds: list[FeedSettings], slots: int
) -> None:
    shares = shares_of(feeds, min(slots, max(len(feeds), 1)))
    assert sorted(read(shares), key=lambda feed: feed.name) == feeds


def test_slots_beyond_the_feeds_go_to_those_that_may_be_split() -> None:
    both = rabbitmq(name="a", topics=["t", "v"], parts=2), rabbitmq(name="b", parts=2)
    assert names(shares_of(both, 1)) == [["a", "b"]]
    assert names(shares_of(both, 3)) == [["a/0"], ["a/1"], ["b"]]
    assert names(shares_of((LibvirtSettings(), *both), 4)) == [["libvirt"], ["a/0"], ["a/1"], ["b"]]
    assert names(shares_of(both, 9)) == [["a/0"], ["a/1"], ["b/0"], ["b/1"]]


def test_a_feed_is_split_by_its_queues_and_then_has_several_readers_of_one() -> None:
    feed = rabbitmq(topics=["t", "u", "v"], parts=5)
    topics = [[part.topics for part in feed.split(readers)] for readers in (2, 5)]
    assert topics == [[["t", "v"], ["u"]], [["t"], ["u"], ["v"], ["t"], ["u"]]]
    assert feed.split(1) == [feed]


def test_pubsub_is_split_by_subscriptions_and_files_by_paths() -> None:
    pulled = PubSubSettings(subscriptions=["one", "two"], parts=2)
    assert [part.subscriptions for part in pulled.split(2)] == [["one"], ["two"]]
    files = FilesSettings(paths=["a", "b", "c"], parts=2)
    assert [part.paths for part in files.split(2)] == [["a", "c"], ["b"]]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [({"parts": 3}, "more than paths"), ({"parts": 2, "speed": 1}, "with speed or shift_to_now")],
)
def test_files_are_not_split_where_that_would_change_what_is_read(
    settings: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        FilesSettings.model_validate({"paths": ["a", "b"], **settings})


@given(st.text(), st.integers(1, 3), st.integers(1, 8))
def test_each_resource_that_a_feed_polls_is_polled_by_one_of_its_parts(
    resource: str, readers: int, parts: int
) -> None:
    for reader in range(readers):
        feed = OpenStackSettings(reader=reader, readers=readers, parts=parts)
        theirs = [is_ours(resource, part.reader, part.readers) for part in feed.split(parts)]
        assert sum(theirs) == is_ours(resource, reader, readers)


def test_parts_of_a_feed_that_polls_share_the_calls_that_may_be_under_way() -> None:
    feed = OpenStackSettings(parts=3, concurrency=8)
    assert [part.concurrency for part in feed.split(3)] == [2, 2, 2]
