"""The hub: payloads in order, a bounded queue, acknowledgement by who took, errors told."""

import threading
import time
import types
from collections import deque
from typing import Any

import pytest

from metering.elements import Payloads
from sources.feed import Feed, FeedError, FeedSettings
from sources.hub import Hub
from tests.servers.rabbitmq import wait_until


class ListFeed(Feed):
    """Gives what is in its list, one payload a poll."""

    def __init__(self, name: str, bodies: list[bytes], error: str | None = None) -> None:
        super().__init__(FeedSettings(type="list", name=name, idle_after=0))
        self.bodies = deque(bodies)
        self.acked: list[int] = []
        self.error = error
        self.closed = False
        self.connected = True

    def open(self) -> None:
        if self.error == "at open":
            raise FeedError("cannot open")

    def poll(self, timeout: float) -> Payloads | None:
        if self.bodies:
            return Payloads(self.name, [self.bodies.popleft()], len(self.bodies))
        if self.error:
            raise FeedError(self.error)
        threading.Event().wait(min(timeout, 0.01))
        return None

    def ack(self, receipt: Any) -> None:
        self.acked.append(receipt)

    def close(self) -> None:
        self.closed = True

    def status(self) -> dict[str, Any]:
        return {"connected": self.connected, "last_error": None}


def taken_until(hub: Hub, count: int) -> list[Payloads]:
    taken: list[Payloads] = []
    ends = time.monotonic() + 10
    while len(taken) < count and time.monotonic() < ends:
        taken += hub.take(100, 1000, 0.2, 0)
    return taken


def test_what_was_taken_is_acknowledged_and_the_rest_is_not() -> None:
    feed = ListFeed("a", [b"1", b"2", b"3"])
    hub = Hub([feed], 1000)
    hub.open()
    taken = taken_until(hub, 3)
    hub.ack(taken[:2])
    hub.close()
    assert [part.bodies for part in taken] == [[b"1"], [b"2"], [b"3"]]
    assert feed.acked == [2, 1]
    assert feed.closed


def test_a_full_queue_stops_the_feed() -> None:
    feed = ListFeed("a", [b"x" * 100] * 50)
    hub = Hub([feed], 250)
    hub.open()
    ends = time.monotonic() + 10
    while len(feed.bodies) > 47 and time.monotonic() < ends:
        threading.Event().wait(0.005)
    threading.Event().wait(0.05)  # it would go on now if it could
    assert len(feed.bodies) == 47
    assert len(taken_until(hub, 50)) == 50
    hub.close()


def test_a_feed_that_fails_says_why_and_the_others_go_on() -> None:
    broken, fine = ListFeed("a", [], "the disk is gone"), ListFeed("b", [b"1"])
    hub = Hub([broken, fine], 1000)
    hub.open()
    assert [part.feed for part in taken_until(hub, 1)] == ["b"]
    hub.close()
    status = hub.status()["feeds"]["a"]
    assert (status["connected"], status["last_error"]) == (False, "the disk is gone")


def test_a_feed_that_cannot_open_closes_those_that_did() -> None:
    fine = ListFeed("a", [])
    with pytest.raises(FeedError, match="cannot open"):
        Hub([fine, ListFeed("b", [], "at open")], 1000).open()
    assert fine.closed


def test_a_feed_is_idle_once_it_answered_empty_and_not_while_its_source_is_away() -> None:
    there, away = ListFeed("a", []), ListFeed("b", [])
    away.connected = False
    hub = Hub([there, away], 1000)
    assert not hub.idle("a")
    hub.open()
    ends = time.monotonic() + 10
    while not hub.idle("a") and time.monotonic() < ends:
        threading.Event().wait(0.005)
    assert hub.idle("a")
    assert not hub.idle("b")
    hub.close()


def test_an_element_is_bounded_by_payloads_and_bytes() -> None:
    hub = Hub([ListFeed("a", [b"x" * 10] * 9)], 1000)
    hub.open()
    hub.take(9, 90, 5, 5)
    assert hub.drained is False
    hub.close()


def test_what_came_while_the_job_was_busy_is_taken_without_waiting_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub([ListFeed("a", [b"1"])], 1000)
    hub.open()
    wait_until(lambda: hub.status()["queue_bytes"], "the payload to be polled")
    later = types.SimpleNamespace(time=lambda: time.time() + 7200, monotonic=time.monotonic)
    monkeypatch.setattr("sources.hub.time", later)
    taken: list[Payloads] = []
    take = threading.Thread(target=lambda: taken.extend(hub.take(100, 1000, 60, 3600)), daemon=True)
    take.start()
    take.join(60)
    assert [part.bodies for part in taken] == [[b"1"]]
    hub.close()


def test_it_is_drained_when_the_feeds_it_ends_with_have_ended() -> None:
    endless, ended = ListFeed("a", []), ListFeed("b", [], "over")
    hub = Hub([endless, ended], 1000)
    hub.end_with_feeds({"b"})
    hub.open()
    ends = time.monotonic() + 10
    while not hub.drained and time.monotonic() < ends:
        threading.Event().wait(0.005)
    assert hub.drained
    hub.close()
