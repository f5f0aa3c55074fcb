"""What readers on a cluster acknowledge: what a checkpoint covers, not what came behind its barrier."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.covered_hub import CoveredHub
from metering.elements import Payloads
from tests.test_hub import ListFeed


@pytest.fixture
def feed() -> ListFeed:
    return ListFeed("a", [b"1", b"2", b"3"])


@pytest.fixture
def hub(feed: ListFeed) -> Iterator[CoveredHub]:
    hub = CoveredHub([feed], 1000)
    hub.open()
    yield hub
    hub.close()


def take(hub: CoveredHub) -> list[Payloads]:
    """Take one payload, or nothing."""
    return hub.take(1, 1000, 10 if hub.feeds["a"].bodies else 0.01, 0)


def checkpoint(hub: CoveredHub) -> None:
    """Tell that a checkpoint is done after which something taken was finalized."""
    hub.ack(take(hub))


def test_what_a_checkpoint_tells_is_acknowledged_by_the_last_but_one_after_it(
    hub: CoveredHub, feed: ListFeed
) -> None:
    first, second = take(hub), take(hub)
    hub.ack(first)  # the first checkpoint tells both; the second may have come behind its barrier
    hub.ack(second)
    checkpoint(hub)  # it may be a savepoint, whose barrier came before the first was done
    assert feed.acked == []
    checkpoint(hub)
    assert feed.acked == [2, 1]


def test_what_was_taken_before_checkpoints_and_told_by_a_later_one_is_acknowledged(
    hub: CoveredHub, feed: ListFeed
) -> None:
    first, second, third = take(hub), take(hub), take(hub)
    hub.ack(first)  # the others were not over then
    checkpoint(hub)
    checkpoint(hub)
    assert feed.acked == [2]
    hub.ack(second)
    hub.ack(third)
    assert feed.acked == [2, 1, 0]


def test_once_nothing_comes_what_waits_is_acknowledged_all_the_same(
    hub: CoveredHub, feed: ListFeed
) -> None:
    taken = [take(hub), take(hub), take(hub)]
    for each in taken:
        hub.ack(each)
    for acknowledged in ([], [2, 1, 0]):
        nothing = take(hub)
        assert nothing == []
        hub.ack(nothing)
        assert feed.acked == acknowledged


STEPS = ["take", "finish", "barrier", "done", "savepoint", "saved"]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(STEPS), min_size=10, max_size=60), st.randoms())
def test_nothing_is_acknowledged_that_no_checkpoint_covers(
    script: list[str], rng: random.Random
) -> None:
    """As Flink does it: a bundle at a time, over before a barrier; what is over is told when one is done."""
    feed = ListFeed("a", [b"%d" % n for n in range(100)])
    hub = CoveredHub([feed], 10_000)
    for number in range(100):
        hub._put(Payloads("a", [b"x"], number, 1))
    under_way: list[Payloads] | None = None
    over: list[list[Payloads]] = []
    begun: dict[str, int] = {}  # what was taken before the barrier of each that is not done
    taken = covered = 0
    ends = {"done": "barrier", "saved": "savepoint"}
    for step in script:
        if step == "take" and under_way is None:
            under_way = hub.take(1, 1, 0, 0)
            taken += 1
        elif step in ("finish", "barrier", "savepoint") and step not in begun:
            if under_way is not None:
                over.append(under_way)
                under_way = None
            if step != "finish":
                begun[step] = taken
        elif step in ends and ends[step] in begun:
            covered = max(covered, begun.pop(ends[step]))
            rng.shuffle(over)
            for each in over:
                hub.ack(each)
            over = []
        assert all(receipt < covered for receipt in feed.acked)
