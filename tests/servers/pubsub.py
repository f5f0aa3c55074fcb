"""A private Pub/Sub for tests and benchmarks: the Go client library's own server, in memory.

Where PUBSUB_EMULATOR_HOST names one, the official emulator serves the tests that need no more.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from tests.servers.rabbitmq import free_port

PROGRAM: Final = Path(__file__).parents[2] / ".services" / "pstest"
PROJECT: Final = "tests"
MISSING: Final = "the Pub/Sub server is not built; `make services` builds it (it needs Go)"
_REQUEST: Final = 3 * 1024**2  # bytes of messages published at once; pstest takes 4 MiB
_OPTIONS: Final = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


@dataclasses.dataclass
class PubSubPlace:
    """Where a Pub/Sub is, and what a test does there as another client."""

    address: str  # host:port

    @property
    def endpoint(self) -> str:
        """What the feed's `endpoint` is set to."""
        return f"http://{self.address}"

    def subscribe(self, topic: str, subscription: str, **options: Any) -> None:
        """Make a topic, where it is missing, and a subscription to it."""
        name = f"projects/{PROJECT}/topics/{topic}"
        with self._publisher() as publisher:
            if topic not in {each.name.rsplit("/", 1)[1] for each in self._topics(publisher)}:
                publisher.create_topic(request={"name": name})
        with self._subscriber() as subscriber:
            subscriber.create_subscription(
                request={
                    "name": f"projects/{PROJECT}/subscriptions/{subscription}",
                    "topic": name,
                    **options,
                },
                retry=None,
            )

    def publish(self, topic: str, messages: Iterable[bytes | Mapping[str, Any]]) -> None:
        """Publish bodies, or whole messages, and return once all are taken."""
        name = f"projects/{PROJECT}/topics/{topic}"
        with self._publisher() as publisher:
            for some in _requests(messages):
                publisher.api.publish(request={"topic": name, "messages": some}, retry=None)

    def pull(self, subscription: str, most: int = 1000) -> list[Any]:
        """Return messages that are there now, each acknowledged."""
        name = f"projects/{PROJECT}/subscriptions/{subscription}"
        with self._subscriber() as subscriber:
            request = {"subscription": name, "max_messages": most}
            received = subscriber.pull(request=request, timeout=30).received_messages
            ack_ids = [each.ack_id for each in received]
            if ack_ids:
                subscriber.acknowledge(request={"subscription": name, "ack_ids": ack_ids})
            return [each.message for each in received]

    def settings_of(self, subscription: str) -> Any:
        """Return a subscription as it is there."""
        with self._subscriber() as subscriber:
            name = f"projects/{PROJECT}/subscriptions/{subscription}"
            return subscriber.get_subscription(request={"subscription": name}, timeout=30)

    def _topics(self, publisher: Any) -> list[Any]:
        return list(publisher.list_topics(request={"project": f"projects/{PROJECT}"}))

    @contextlib.contextmanager
    def _publisher(self) -> Iterator[Any]:
        channel = grpc.insecure_channel(self.address, options=_OPTIONS)
        with channel:
            yield pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel))

    @contextlib.contextmanager
    def _subscriber(self) -> Iterator[Any]:
        channel = grpc.insecure_channel(self.address, options=_OPTIONS)
        with channel:
            yield pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))


class PubSubServer(PubSubPlace):
    """The server as a process: it forgets all when it is stopped, and fails when it is told to."""

    def __init__(self, in_order: bool = False) -> None:
        """`in_order` hands out each message once, first in first out, for a benchmark."""
        self.port = free_port()
        self._options = ["-fifo"] if in_order else []
        super().__init__(f"127.0.0.1:{self.port}")
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        self._process = subprocess.Popen(
            [PROGRAM, "-port", str(self.port), *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().endswith(f":{self.port}\n")

    def stop(self) -> None:
        """Stop at once."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def counts(self) -> dict[str, int]:
        """Return how many messages were published and wait, and how often what was done to them."""
        found = self._tell(count=True)
        return {name: found.get(name, 0) for name in _COUNTS}

    def fail(self, method: str, code: grpc.StatusCode, times: int = 1, reason: str = "") -> None:
        """Make so many calls of a method fail, with a reason for each ack id where there is one."""
        number = code.value[0]
        self._tell(fail=method, code=number, message="told to", times=times, reason=reason)

    def _tell(self, **order: Any) -> dict[str, int]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


_COUNTS: Final = ("published", "waiting", "deliveries", "acks", "modacks")


def _requests(messages: Iterable[bytes | Mapping[str, Any]]) -> Iterator[list[Any]]:
    some: list[Any] = []
    size = 0
    for each in messages:
        message = {"data": each} if isinstance(each, bytes) else each
        length = len(message["data"])
        if some and (size + length > _REQUEST or len(some) == 1000):
            yield some
            some, size = [], 0
        some.append(message)
        size += length
    if some:
        yield some


@pytest.fixture
def pstest() -> Iterator[PubSubServer]:
    """A server of one test alone, running, which the test is free to stop and to make fail."""
    if not PROGRAM.exists():
        pytest.skip(MISSING)
    server = PubSubServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pubsub() -> Iterator[PubSubPlace]:
    """The run's shared Pub/Sub; tests use topics and subscriptions of their own."""
    if PROGRAM.exists():
        server = PubSubServer()
        server.start()
        yield server
        server.stop()
    elif emulator := os.environ.get("PUBSUB_EMULATOR_HOST"):
        yield PubSubPlace(emulator)
    else:
        pytest.skip(MISSING)
