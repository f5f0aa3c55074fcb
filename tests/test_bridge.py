"""`streamgauge bridge`: what is in a RabbitMQ comes into a topic, whatever happens on the way."""

import dataclasses
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from jobs.forwarding import set_aside
from sources.pubsub_topic import LARGEST, fits, requests
from tests.own_process import PROGRAM, OwnProcess
from tests.servers.pubsub import PROJECT, PubSubServer
from tests.servers.rabbitmq import RabbitServer, connect, publish, wait_until
from tests.soak.sources import RabbitSource

pytestmark = pytest.mark.server

TOPIC = "notifications"
KILLS = 5


@dataclasses.dataclass
class Bridge(OwnProcess):
    """The bridge as a process between two servers."""

    folder: Path
    source: RabbitSource
    server: PubSubServer

    def __post_init__(self) -> None:
        self.log = self.folder / "bridge.log"

    def start(self) -> None:
        config = self.folder / "bridge.yaml"
        config.write_text(yaml.safe_dump({"feeds": [self.source.feed()]}))
        command = [PROGRAM, "bridge", "--config", config, "--topic", TOPIC, "--project", PROJECT]
        starts = self.starts()
        self.launch([*command, "--endpoint", self.server.endpoint])
        wait_until(lambda: self.starts() > starts, "the bridge to start", 60)

    def starts(self) -> int:
        return sum(line.startswith("forwarding ") for line in self.said())

    def send(self, *bodies: bytes) -> None:
        """Publish notifications as Nova does."""
        publish(self.source.url, "nova", "notifications.info", bodies)

    def arrived(self) -> list[bytes]:
        """Return everything in the topic's subscription, until there is nothing more."""
        found: list[bytes] = []
        while self.server.counts()["waiting"]:
            found += [bytes(message.data) for message in self.server.pull(TOPIC)]
        return found


@pytest.fixture
def bridge(tmp_path: Path, second_rabbitmq: RabbitServer, pstest: PubSubServer) -> Iterator[Bridge]:
    second_rabbitmq.start()
    bind(second_rabbitmq.url)
    pstest.subscribe(TOPIC, TOPIC, ack_deadline_seconds=10)
    made = Bridge(tmp_path, RabbitSource(second_rabbitmq.url), pstest)
    made.start()
    yield made
    made.kill()


def bind(url: str) -> None:
    """Make the exchange and the queue as the feed would, so that nothing is sent to nobody."""
    with connect(url) as connection:
        channel = connection.channel()
        channel.exchange_declare("nova", "topic", durable=False, auto_delete=False)
        channel.queue_declare("soak.notifications", durable=True, auto_delete=False)
        channel.queue_bind("soak.notifications", "nova", "notifications.info")


def numbered(first: int, last: int) -> list[bytes]:
    return [b'{"number": %d}' % number for number in range(first, last)]


def test_everything_is_forwarded_as_it_is_and_sigterm_ends_it_in_order(bridge: Bridge) -> None:
    bridge.send(*numbered(0, 3000))
    wait_until(lambda: bridge.server.counts()["published"] >= 3000, "everything to come")
    assert bridge.stop() == 0
    assert bridge.source.waiting() == 0
    assert sorted(bridge.arrived()) == sorted(numbered(0, 3000))
    assert bridge.said() == [
        f"forwarding rabbitmq to projects/{PROJECT}/topics/{TOPIC}",
        "3,000 messages forwarded   last error: none",
        "stopped",
    ]


def test_nothing_is_acknowledged_while_the_topic_is_away(bridge: Bridge) -> None:
    bridge.server.stop()
    bridge.send(*numbered(0, 500))
    wait_until(lambda: bridge.source.waiting() == 0, "everything to be read")
    assert bridge.stop() == 0
    assert bridge.source.waiting() == 500
    assert "UNAVAILABLE" in bridge.said()[-2]
    bridge.server.start()
    bridge.server.subscribe(TOPIC, TOPIC, ack_deadline_seconds=10)
    bridge.start()
    wait_until(lambda: bridge.server.counts()["published"] >= 500, "everything to come")
    assert bridge.stop() == 0
    assert bridge.source.waiting() == 0
    assert sorted(bridge.arrived()) == sorted(numbered(0, 500))


def test_a_publish_that_fails_for_a_while_is_tried_again(bridge: Bridge) -> None:
    bridge.server.fail("Publish", grpc.StatusCode.UNAVAILABLE, times=3)
    bridge.send(*numbered(0, 10))
    wait_until(lambda: bridge.server.counts()["published"] >= 10, "everything to come")
    assert bridge.stop() == 0
    assert sorted(bridge.arrived()) == sorted(numbered(0, 10))


def test_kills_at_random_moments_lose_nothing(bridge: Bridge) -> None:
    rng = random.Random(1)
    size = 4000
    for kill in range(KILLS):
        part = numbered(kill * size, (kill + 1) * size)
        publishing = threading.Thread(target=bridge.send, args=part)
        publishing.start()
        threading.Event().wait(rng.uniform(0, 2))
        bridge.kill()
        publishing.join()
        bridge.start()
    wait_until(lambda: bridge.source.waiting() == 0, "everything to be read", 60)
    assert bridge.stop() == 0
    assert bridge.source.waiting() == 0
    assert set(bridge.arrived()) == set(numbered(0, KILLS * size))


def test_what_pubsub_cannot_take_is_kept_in_a_file(bridge: Bridge) -> None:
    bridge.send(b"", b"good")
    wait_until(lambda: bridge.server.counts()["published"] >= 1, "the good one to come")
    assert bridge.stop() == 0
    assert bridge.arrived() == [b"good"]
    assert bridge.source.waiting() == 0
    (kept,) = (bridge.folder / "data" / "bridge").iterdir()
    assert kept.read_bytes() == b""
    assert bridge.said()[-2] == "1 messages forwarded   1 set aside   last error: none"


def test_a_message_set_aside_twice_is_one_file(tmp_path: Path) -> None:
    for _ in range(2):
        set_aside(b"large", tmp_path / "aside")
    (kept,) = (tmp_path / "aside").iterdir()
    assert kept.suffix == ".payload"
    assert kept.read_bytes() == b"large"


@pytest.mark.parametrize(
    ("feeds", "options", "said"),
    [
        ([], [], "--feed: which rabbitmq feed? The configuration has: none"),
        (["a", "b"], [], "--feed: which rabbitmq feed? The configuration has: a, b"),
        (["a"], ["--feed", "c"], "--feed: the configuration has no rabbitmq feed 'c', but: a"),
        (
            ["a"],
            ["--endpoint", "ftp://x"],
            "--endpoint: must be HOST, HOST:PORT, or http://HOST:PORT without TLS and credentials",
        ),
    ],
)
def test_a_way_that_cannot_be_meant_is_refused(
    feeds: list[str],
    options: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "amqp://u:p@127.0.0.1:1/"
    config = tmp_path / "bridge.yaml"
    entries = [{"type": "rabbitmq", "name": name, "urls": [url]} for name in feeds]
    config.write_text(yaml.safe_dump({"feeds": entries}))
    assert main(["bridge", "--config", str(config), "--topic", "t", *options]) == 2
    assert capsys.readouterr().err == f"{said}\n"


def test_a_topic_without_a_project_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bridge.yaml"
    entry = {"type": "rabbitmq", "urls": ["amqp://u:p@127.0.0.1:1/"]}
    config.write_text(yaml.safe_dump({"feeds": [entry]}))
    arguments = ["--config", str(config), "--topic", "t", "--endpoint", "http://127.0.0.1:1"]
    assert main(["bridge", *arguments]) == 1
    assert capsys.readouterr().err == (
        "which project is topics/t in? Set project, or give its full name\n"
    )


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(1, 10))
def test_requests_hold_every_message_in_order(bodies: list[bytes], copies: int) -> None:
    sent = list(requests([body * 100_000 for body in bodies] * copies))
    assert [body for some in sent for body in some] == [body * 100_000 for body in bodies] * copies
    assert all(len(some) == 1 or sum(map(len, some)) <= 3 * 1024**2 for some in sent)


def test_many_small_messages_are_several_requests() -> None:
    assert [len(some) for some in requests([b"x"] * 2500)] == [1000, 1000, 500]


def test_what_fits_is_neither_empty_nor_too_large() -> None:
    assert [fits(b""), fits(b"x"), fits(b"x" * LARGEST), fits(b"x" * (LARGEST + 1))] == [
        False, True, True, False,
    ]  # fmt: skip
