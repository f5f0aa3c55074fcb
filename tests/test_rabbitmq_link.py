"""One connection to a broker, with the broker's side played by hand, and the feed's settings."""

import socket
import struct
import time
from collections.abc import Iterator

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import amqp_frames as frames
from sources.rabbitmq_link import Link, LinkError, Outstanding
from sources.rabbitmq_settings import EXCHANGES, RabbitSettings, parse_address
from sources.rabbitmq_topology import CHANNEL, Consuming
from tests.servers.rabbitmq import wait_until
from tests.test_amqp_frames import delivery

HEARTBEAT = frames.frame(frames.HEARTBEAT, 0, b"")


class Wire:
    """A link and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.broker = socket.socketpair()
        ours.setblocking(False)
        self.broker.settimeout(10)
        self.wake, self.waker = socket.socketpair()
        self.ours = ours

    def link(self, heartbeat: float = 60.0, rebind: float = 300.0) -> Link:
        bindings = [("own.notifications", "nova", "notifications.info")]
        return Link(Consuming(self.ours, heartbeat, 4096, bindings, []), self.wake, rebind)

    def close(self) -> None:
        for each in (self.ours, self.broker, self.wake, self.waker):
            each.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def test_a_silent_broker_is_given_up_after_two_heartbeats(wire):
    link = wire.link(heartbeat=0.05)

    def given_up() -> bool:
        try:
            link.tend()
        except LinkError as error:
            return "the broker was silent" in str(error)
        return False

    wait_until(given_up, "the link to give up", 10)


def test_heartbeats_are_sent_in_time_while_waiting(wire):
    link = wire.link(heartbeat=0.1)
    heard = b""
    until = time.monotonic() + 10
    while HEARTBEAT not in heard:
        wire.broker.sendall(HEARTBEAT)
        assert link.read() == []
        link.tend()
        link.wait(until)
        heard += wire.broker.recv(4096) if time.monotonic() < until else b""
    assert time.monotonic() < until


def test_bindings_and_questions_are_sent_when_due(wire):
    link = wire.link(rebind=0.0)
    link.tend()
    ask = frames.ask_depth(CHANNEL, "own.notifications")
    bind = frames.bind(CHANNEL, "own.notifications", "nova", "notifications.info")
    assert wire.broker.recv(4096) == ask + bind


def test_acknowledgements_cover_what_is_stored_without_a_gap(wire):
    link = wire.link()
    for tag in (10, 20, 30):
        link.outstanding.add(tag)
    link.acknowledge(20)
    link.acknowledge(10)
    link.acknowledge(10)
    assert wire.broker.recv(4096) == frames.acknowledge(CHANNEL, 20)


def test_acknowledgements_that_the_socket_does_not_take_yet_are_sent_later(wire):
    wire.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    link = wire.link()
    tags = range(1, 3001)
    for tag in tags:
        link.outstanding.add(tag)
        link.acknowledge(tag)
    ask = frames.ask_depth(CHANNEL, "own.notifications")
    expected = b"".join(frames.acknowledge(CHANNEL, tag) for tag in tags)
    heard = b""

    def heard_all() -> bool:
        nonlocal heard
        heard += wire.broker.recv(65536)
        link.tend()
        return len(heard) == len(expected) + len(ask)

    wait_until(heard_all, "all acknowledgements")
    assert heard.replace(ask, b"") == expected


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            frames.method(
                0, frames.CONNECTION_CLOSE, struct.pack(">H", 320) + b"\x06forced" + bytes(4)
            ),
            "the broker closed it: 320 forced",
        ),
        (
            frames.method(
                1, frames.CHANNEL_CLOSE, struct.pack(">H", 406) + b"\x07timeout" + bytes(4)
            ),
            "the broker closed it: 406 timeout",
        ),
        (frames.method(1, frames.BASIC_CANCEL, b"\x03own\x01"), "queue own was deleted"),
        (frames.method(1, frames.CHANNEL_CLOSE, b""), "broken arguments"),
        (b"HTTP/1.1 400 Bad Request\r\n", "a frame of"),
    ],
)
def test_what_ends_a_connection_is_said(wire, said, message):
    link = wire.link()
    wire.broker.sendall(said)
    with pytest.raises(LinkError, match=message):
        link.read()


def test_a_broker_that_hangs_up_ends_the_connection(wire):
    link = wire.link()
    wire.broker.close()
    with pytest.raises(LinkError, match="the broker closed the connection"):
        link.read()


def test_a_blocked_broker_is_noted_and_messages_go_on(wire):
    link = wire.link()
    wire.broker.sendall(frames.method(0, frames.CONNECTION_BLOCKED, b"\x0blow on disk"))
    wire.broker.sendall(delivery(1, b"body"))
    assert link.read() == [b"body"]
    assert (link.blocked, link.tag) == ("low on disk", 1)
    wire.broker.sendall(frames.method(0, frames.CONNECTION_UNBLOCKED))
    assert link.read() == []
    assert link.blocked is None


def test_a_close_sends_what_is_pending_and_waits_for_the_answer(wire):
    link = wire.link()
    link.outstanding.add(7)
    link.acknowledge(7)
    wire.broker.sendall(delivery(8, b"never read") + frames.method(0, frames.CONNECTION_CLOSE_OK))
    link.close()
    expected = frames.acknowledge(CHANNEL, 7) + frames.close_connection()
    assert wire.broker.recv(4096) == expected


@given(st.permutations(range(1, 12)), st.integers(0, 11))
def test_in_any_order_only_what_is_stored_without_a_gap_is_acknowledged(order, count):
    outstanding = Outstanding()
    for tag in sorted(order):
        outstanding.add(tag)
    for tag in order[:count]:
        outstanding.store(tag)
        outstanding.store(tag)
    missing = sorted(set(order) - set(order[:count])) or [12]
    assert outstanding.acknowledged == missing[0] - 1


def test_an_address_is_taken_apart_and_shown_without_its_password():
    address = parse_address("amqps://met%40er:p%2Fw@[::1]/tele%2Fmetry")
    assert (address.host, address.port, address.vhost) == ("::1", 5671, "tele/metry")
    assert address.user == "met@er"
    assert address.password.get_secret_value() == "p/w"
    assert str(address) == "amqps://met@er@[::1]:5671/tele/metry"


def test_the_default_exchanges_are_those_that_services_publish_to():
    settings = RabbitSettings(urls=["amqp://user:secret@broker"])
    assert settings.exchanges == list(EXCHANGES)
    assert len(EXCHANGES) == 19
    assert settings.queues() == {
        "notifications": "streamgauge.notifications",
        "versioned_notifications": "streamgauge.versioned_notifications",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"urls": []}, "at least 1 item"),
        ({"urls": ["http://user:secret@broker"]}, "must begin with amqp"),
        ({"urls": ["amqp://user:secret@"]}, "names no host"),
        ({"urls": ["amqp://user:secret@broker:port"]}, "has a port that is none"),
        ({"urls": ["amqp://broker"]}, r"urls.0 names no user \(amqp://broker:5672/\)"),
        ({"urls": ["amqp://user@broker"]}, "no password for amqp://user@broker:5672/"),
        ({"prefetch": 0}, "greater than or equal to 1"),
        ({"backoff": 1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_secrets(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message) as refusal:
        RabbitSettings(**({"urls": ["amqp://user:secret@broker"]} | changes))
    assert "secret" not in str(refusal.value)


def test_settings_do_not_show_their_secrets():
    urls = ["amqp://user:secret@one", "amqp://user@two"]
    settings = RabbitSettings(urls=urls, password="secret")
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.addresses())
    assert [each.password.get_secret_value() for each in settings.addresses()] == ["secret"] * 2
