"""The RabbitMQ feed against a real broker."""

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import amqp
import pytest

from sources.feed import FeedError, Payloads
from sources.rabbitmq import RabbitFeed
from sources.rabbitmq_settings import PRIORITIES, RabbitSettings
from tests.servers.rabbitmq import RabbitServer, connect, free_port, publish, wait_until

pytestmark = pytest.mark.server

INFO = "notifications.info"
_numbers = itertools.count(1)

NOTIFIER = """
import sys
import oslo_messaging
from oslo_config import cfg

url, exchange, compression, *priorities = sys.argv[1:]
conf = cfg.ConfigOpts()
conf([])
oslo_messaging.set_transport_defaults(control_exchange=exchange)
transport = oslo_messaging.get_notification_transport(conf, url=url)
if compression:
    conf.set_override("kombu_compression", compression, "oslo_messaging_rabbit")
topics = ["notifications", "versioned_notifications"]
notifier = oslo_messaging.Notifier(
    transport, publisher_id="compute.host1", driver="messagingv2", topics=topics, retry=0
)
for number, priority in enumerate(priorities):
    getattr(notifier, priority)({}, f"compute.{priority}", {"number": number})
transport.cleanup()
"""


class Lane:
    """An exchange and queues of one test's own on a broker, and the feeds that read them."""

    def __init__(self, server: RabbitServer) -> None:
        self.server = server
        self.exchange = f"nova{next(_numbers)}"
        self.feeds: list[RabbitFeed] = []

    @property
    def queue(self) -> str:
        return f"test-{self.exchange}.notifications"

    def feed(self, **changes: Any) -> RabbitFeed:
        given: dict[str, Any] = {
            "urls": [self.server.url],
            "exchanges": [self.exchange],
            "queue": f"test-{self.exchange}",
            "backoff_min": 0.05,
            "backoff_max": 0.2,
        }
        feed = RabbitFeed(RabbitSettings(**(given | changes)))
        self.feeds.append(feed)
        feed.open()
        return feed

    def connected(self, **changes: Any) -> RabbitFeed:
        feed = self.feed(**changes)
        connect_only(feed)
        return feed

    def publish(self, *bodies: bytes, key: str = INFO) -> None:
        publish(self.server.url, self.exchange, key, bodies)

    def ask(self, question: Callable[[amqp.Channel], Any]) -> Any:
        with connect(self.server.url) as connection:
            return question(connection.channel())

    def ready(self) -> int:
        return int(self.ask(lambda c: c.queue_declare(self.queue, passive=True).message_count))


@pytest.fixture
def lane(rabbitmq: RabbitServer) -> Iterator[Lane]:
    made = Lane(rabbitmq)
    yield made
    for feed in made.feeds:
        feed.close()
    for topic in ("notifications", "versioned_notifications"):
        made.ask(lambda c, topic=topic: c.queue_delete(f"test-{made.exchange}.{topic}"))


@pytest.fixture
def own_lane(second_rabbitmq: RabbitServer) -> Iterator[Lane]:
    made = Lane(second_rabbitmq)
    yield made
    for feed in made.feeds:
        feed.close()


def connect_only(feed: RabbitFeed) -> None:
    """Poll until connected: a poll without waiting reads nothing in the turn that connects."""

    def polled() -> bool:
        return feed.status()["connected"] or feed.poll(0) is not None

    wait_until(polled, "the connection")


def poll_until(feed: RabbitFeed, condition: Callable[[], bool]) -> list[Payloads]:
    found: list[Payloads] = []

    def polled() -> bool:
        payloads = feed.poll(0.05)
        if payloads is not None:
            found.append(payloads)
        return condition()

    wait_until(polled, f"the feed ({feed.status()})")
    return found


def take(feed: RabbitFeed, number: int, ack: bool = True) -> list[bytes]:
    """Poll until `number` bodies have come, acknowledge them, and return them."""
    bodies: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(bodies) < number:
        assert time.monotonic() < deadline, f"{len(bodies)} of {number}; {feed.status()}"
        payloads = feed.poll(0.1)
        if payloads is not None:
            bodies += payloads.bodies
            if ack:
                feed.ack(payloads.receipt)
    return bodies


def poll_error(feed: RabbitFeed, *words: str) -> str:
    def says() -> bool:
        return all(word in str(feed.status()["last_error"]) for word in words)

    assert poll_until(feed, says) == []
    assert feed.status()["connected"] is False
    return str(feed.status()["last_error"])


def notify(lane: Lane, *priorities: str, compression: str = "") -> None:
    command = [sys.executable, "-W", "ignore", "-c", NOTIFIER]
    url = lane.server.url.replace("amqp://", "rabbit://")
    subprocess.run([*command, url, lane.exchange, compression, *priorities], check=True)


def inner(body: bytes) -> tuple[str, str, int]:
    envelope = json.loads(body)
    assert envelope["oslo.version"] == "2.0"
    message = json.loads(envelope["oslo.message"])
    return message["event_type"], message["priority"], message["payload"]["number"]


def test_every_priority_of_both_topics_comes_as_oslo_messaging_sends_it(lane):
    feed = lane.connected()
    notify(lane, *PRIORITIES)
    sent = [(f"compute.{p}", p.upper(), number) for number, p in enumerate(PRIORITIES)]
    assert sorted(map(inner, take(feed, 14))) == sorted(sent * 2)


def test_what_oslo_messaging_compresses_comes_out_plain(lane):
    feed = lane.connected(topics=["notifications"])
    notify(lane, "info", "error", compression="gzip")
    expected = [("compute.info", "INFO", 0), ("compute.error", "ERROR", 1)]
    assert list(map(inner, take(feed, 2))) == expected


def test_what_is_acknowledged_does_not_come_again(lane):
    feed = lane.connected()
    lane.publish(b"1", b"2", b"3")
    assert take(feed, 3) == [b"1", b"2", b"3"]
    feed.close()
    lane.publish(b"4")
    assert take(lane.connected(), 1) == [b"4"]


def test_what_is_not_acknowledged_comes_again_in_order(lane):
    feed = lane.connected()
    lane.publish(b"1", b"2", b"3")
    assert take(feed, 3, ack=False) == [b"1", b"2", b"3"]
    feed.close()
    assert take(lane.connected(), 3) == [b"1", b"2", b"3"]


def test_an_acknowledgement_waits_for_the_receipts_before_it(lane):
    feed = lane.connected(prefetch=1, topics=["notifications", "versioned_notifications"])
    lane.publish(b"first")
    first = poll_until(feed, lambda: feed.status()["unacknowledged"] == 1)
    lane.publish(b"second", key="versioned_notifications.info")
    second = poll_until(feed, lambda: feed.status()["unacknowledged"] == 2)
    feed.ack(second[-1].receipt)
    feed.close()
    assert sorted(take(lane.connected(), 2, ack=False)) == [b"first", b"second"]
    assert first[-1].bodies == [b"first"]


def test_receipts_of_a_lost_connection_are_void(own_lane):
    own_lane.server.start()
    feed = own_lane.connected()
    own_lane.publish(b"1", b"2")
    old = poll_until(feed, lambda: feed.status()["unacknowledged"] == 2)
    own_lane.server.stop(kill=True)
    own_lane.server.start()
    assert take(feed, 2, ack=False) == [b"1", b"2"]
    for payloads in old:
        feed.ack(payloads.receipt)
    feed.poll(0)
    assert feed.status()["unacknowledged"] == 2


def test_twenty_thousand_messages_come_once_and_in_order(lane):
    feed = lane.connected()
    sent = [b"%d" % number for number in range(20_000)]
    publisher = threading.Thread(target=lane.publish, args=sent)
    publisher.start()
    assert take(feed, 20_000) == sent
    publisher.join()
    assert feed.poll(0.1) is None
    feed.close()
    assert lane.ready() == 0


def test_one_poll_is_bounded(lane):
    feed = lane.connected()
    lane.publish(*[b"x" * 100_000] * 100)
    sizes = [payloads.size for payloads in poll_until(feed, lambda: total(feed) == 100)]
    assert max(sizes) < 4 * 1024**2 + 512 * 1024


def total(feed: RabbitFeed) -> int:
    return int(feed.status()["unacknowledged"])


def test_a_message_of_ten_megabytes_comes_whole(lane):
    feed = lane.connected()
    large = bytes(range(256)) * 40_000
    lane.publish(b"before", large, b"after")
    assert take(feed, 3) == [b"before", large, b"after"]


def test_an_acknowledgement_of_another_thread_is_sent_while_poll_waits(lane):
    feed = lane.connected(prefetch=1)
    lane.publish(b"1", b"2")
    first = poll_until(feed, lambda: total(feed) == 1)
    acker = threading.Timer(0.1, feed.ack, (first[-1].receipt,))
    acker.start()
    second = feed.poll(60)  # the broker sends it only once the first is acknowledged
    acker.join()
    assert second is not None
    assert second.bodies == [b"2"]


@pytest.mark.parametrize("kind", ["topic", "fanout"])
def test_an_exchange_with_other_flags_is_bound_as_it_is(lane, kind):
    lane.ask(lambda c: c.exchange_declare(lane.exchange, kind, durable=True, auto_delete=False))
    feed = lane.connected(topics=["notifications"])
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]
    assert feed.status()["notes"] == []


def test_durable_exchanges_can_be_asked_for(lane):
    lane.connected(durable_exchanges=True)
    lane.ask(lambda c: c.exchange_declare(lane.exchange, "topic", durable=True, auto_delete=False))


def test_an_exchange_that_may_not_be_declared_is_named_and_the_others_are_bound(lane):
    feed = lane.connected(exchanges=["amq.reserved", lane.exchange])
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]
    assert "exchange amq.reserved is not bound" in feed.status()["last_error"]


def test_a_queue_with_other_flags_is_used_as_it_is_and_noted(lane):
    lane.ask(lambda c: c.queue_declare(lane.queue, durable=False, auto_delete=False))
    feed = lane.connected()
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]
    (note,) = feed.status()["notes"]
    assert note.startswith(f"queue {lane.queue} is used as it is (PRECONDITION_FAILED")
    assert feed.status()["last_error"] is None


def test_a_quorum_queue_can_be_asked_for(lane):
    feed = lane.connected(queue_type="quorum")
    lane.publish(b"1", b"2")
    assert take(feed, 2) == [b"1", b"2"]


def test_a_deleted_queue_is_made_again(lane):
    feed = lane.connected()
    lane.ask(lambda c: c.queue_delete(lane.queue))
    poll_until(feed, lambda: feed.status()["reconnects"] == 1 and feed.status()["connected"])
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]


def test_the_bindings_of_a_deleted_exchange_are_made_again(lane):
    feed = lane.connected(rebind=0.2)
    lane.ask(lambda c: c.exchange_delete(lane.exchange))
    lane.ask(lambda c: c.exchange_declare(lane.exchange, "topic", auto_delete=False))
    came: list[Payloads] = []

    def arrives() -> bool:
        lane.publish(b"1")  # nobody keeps it until the binding is there
        came.extend(poll_until(feed, lambda: True))
        return bool(came)

    wait_until(arrives, "a message through the new exchange")
    assert came[0].bodies[0] == b"1"


def test_a_restarted_broker_loses_nothing_and_status_tells_the_truth(own_lane):
    own_lane.server.start()
    feed = own_lane.connected()
    first, second = ([b"%d" % n for n in range(at, at + 500)] for at in (0, 500))
    own_lane.publish(*first)
    assert take(feed, 200, ack=False)[:200] == first[:200]
    own_lane.server.stop()
    said = poll_error(feed, "Connection refused")
    assert said == f"amqp://guest@127.0.0.1:{own_lane.server.port}/: Connection refused"
    own_lane.server.start()
    connect_only(feed)
    own_lane.publish(*second)
    assert take(feed, 1000) == first + second
    assert feed.status()["last_error"] is None
    assert feed.status()["reconnects"] == 1


def test_a_broker_that_is_down_at_the_start_is_waited_for(own_lane):
    feed = own_lane.feed()
    assert feed.status()["connected"] is False
    poll_error(feed, "Connection refused")
    own_lane.server.start()
    connect_only(feed)
    own_lane.publish(b"1")
    assert take(feed, 1) == [b"1"]


def test_the_next_url_is_tried_when_one_is_away(lane):
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    feed = lane.connected(urls=[away, lane.server.url], backoff_min=1000, backoff_max=1000)
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]
    assert feed.status()["url"] == f"amqp://guest@127.0.0.1:{lane.server.port}/"


def test_a_wrong_password_is_said_and_tried_again(lane):
    feed = lane.feed(urls=[f"amqp://guest:wrong@127.0.0.1:{lane.server.port}/"])
    said = poll_error(feed, "refused the user or password")
    assert said.startswith(f"amqp://guest@127.0.0.1:{lane.server.port}/: the broker refused")
    assert "wrong" not in str(feed.status())


def test_a_virtual_host_that_is_none_is_said(lane):
    poll_error(lane.feed(urls=[lane.server.url + "absent"]), "NOT_ALLOWED", "absent")


def test_a_separate_password_is_used(lane):
    url = f"amqp://guest@127.0.0.1:{lane.server.port}/"
    assert lane.connected(urls=[url], password="guest").status()["last_error"] is None


def test_tls_with_a_private_authority(lane, certificates):
    own = {"cert": certificates / "client.pem", "key": certificates / "client.key"}
    tls = {"ca": certificates / "ca.pem", **own}
    feed = lane.connected(urls=[lane.server.tls_url], tls=tls)
    sent = [b"%06d" % number * 500 for number in range(3000)]
    lane.publish(*sent)
    assert take(feed, 3000) == sent


def test_a_certificate_of_another_authority_is_refused(lane, certificates):
    tls = {"ca": certificates / "other-ca.pem"}
    said = poll_error(lane.feed(urls=[lane.server.tls_url], tls=tls), "not trusted")
    assert "tls.ca" in said


def test_a_certificate_of_another_host_is_refused(lane, certificates):
    url = f"amqps://guest:guest@127.0.0.1:{lane.server.tls_port}/"
    feed = lane.feed(urls=[url], tls={"ca": certificates / "ca.pem"})
    poll_error(feed, "not trusted", "127.0.0.1")


def test_an_unverified_certificate_is_taken_when_told_so(lane):
    feed = lane.connected(urls=[lane.server.tls_url], tls={"verify": False})
    lane.publish(b"1")
    assert take(feed, 1) == [b"1"]


def test_a_broker_that_does_not_answer_does_not_hold_up_poll(lane):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"amqp://guest:guest@127.0.0.1:{mute.getsockname()[1]}/"
        feed = lane.feed(urls=[url], connect_timeout=0.3)
        assert feed.poll(0) is None
        assert feed.status()["last_error"] == "not connected yet"
        poll_error(feed, "no answer in time")


def test_the_queues_depth_is_in_the_status(lane):
    feed = lane.connected()
    poll_until(feed, lambda: len(feed.status()["ready"]) == 2)
    versioned = lane.queue.replace("notifications", "versioned_notifications")
    assert feed.status()["ready"] == {lane.queue: 0, versioned: 0}


def test_tls_files_that_cannot_be_read_are_refused_at_once(rabbitmq, tmp_path):
    url = rabbitmq.tls_url
    settings = RabbitSettings(urls=[url], tls={"ca": tmp_path / "absent.pem"})
    feed = RabbitFeed(settings)
    with pytest.raises(FeedError, match=r"absent\.pem"):
        feed.open()
    feed.close()
