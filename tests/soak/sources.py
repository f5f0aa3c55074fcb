"""What a service under test reads from, as those who publish there see it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from tests.servers.pubsub import PROJECT, PubSubServer
from tests.soak.notifications import Message
from tests.soak.publisher import publish_all, waiting

EXCHANGES = ["ceilometer", "nova", "glance", "cinder", "neutron", "keystone"]
_QUEUE = "soak"


class Source(Protocol):
    """Where messages are published, and what the service's feed is told of it."""

    kind: ClassVar[str]

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish, durably, and return once all are taken."""

    def waiting(self) -> int:
        """Return how many messages would be delivered, now or after all consumers were gone."""


@dataclasses.dataclass
class RabbitSource:
    """A RabbitMQ."""

    url: str
    queue: str = _QUEUE
    durable: bool = False  # the exchanges: others, and what is bound to them, end with the broker
    kind: ClassVar[str] = "rabbitmq"

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration."""
        return {
            "type": self.kind,
            "urls": [self.url],
            "exchanges": EXCHANGES,
            "topics": ["notifications"],
            "queue": self.queue,
            "durable_exchanges": self.durable,
            "backoff_min": 0.1,
            "backoff_max": 0.5,
        }

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish to the services' exchanges, persistent and confirmed."""
        publish_all(self.url, messages)

    def waiting(self) -> int:
        """Return how many messages are in the queue and with no consumer."""
        return waiting(self.url, f"{self.queue}.notifications")


@dataclasses.dataclass
class FileSource:
    """A file of JSON lines, complete before it is read."""

    path: Path
    kind: ClassVar[str] = "files"

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration."""
        return {"type": self.kind, "paths": [str(self.path)]}

    def publish(self, messages: Sequence[Message]) -> None:
        """Append a line each."""
        with self.path.open("ab") as file:
            file.writelines(message.body + b"\n" for message in messages)

    def waiting(self) -> int:
        """Return that nothing waits: who reads it reads all."""
        return 0


@dataclasses.dataclass
class PubSubSource:
    """A topic and its one subscription; the server runs already."""

    server: PubSubServer
    kind: ClassVar[str] = "pubsub"

    def __post_init__(self) -> None:
        self.server.subscribe(_QUEUE, _QUEUE, ack_deadline_seconds=10)

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration: what a killed service had is soon back."""
        return {
            "type": self.kind,
            "project": PROJECT,
            "subscriptions": [_QUEUE],
            "endpoint": self.server.endpoint,
            "ack_deadline": 10,
            "pulls": 2,  # what waits to be polled is little beside what is published
            "backoff_min": 0.1,
            "backoff_max": 0.5,
        }

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish in order, whatever exchange they are for."""
        self.server.publish(_QUEUE, [message.body for message in messages])

    def waiting(self) -> int:
        """Return how many messages are not acknowledged."""
        return self.server.counts()["waiting"]


@pytest.fixture(params=[RabbitSource.kind, PubSubSource.kind])
def source(request: pytest.FixtureRequest) -> Source:
    """Each kind of source, running, for one test alone."""
    if request.param == PubSubSource.kind:
        return PubSubSource(request.getfixturevalue("pstest"))
    server = request.getfixturevalue("second_rabbitmq")
    server.start()
    return RabbitSource(server.url)
