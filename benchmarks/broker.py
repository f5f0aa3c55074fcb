"""A RabbitMQ of the benchmark's own, with the queue that the service will find."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.servers.rabbitmq import RabbitServer, connect, find_rabbitmq, publish

QUEUE = "streamgauge.notifications"


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """What a service finds full when it starts."""

    feeds: list[dict[str, Any]]
    size: int  # bytes of a message
    where: str  # for the conditions of a figure


@contextlib.contextmanager
def filled_queue(folder: Path, bodies: Iterable[bytes]) -> Iterator[Filled]:
    """Run a broker whose queue holds these messages. Raises RuntimeError where none is installed."""
    with broker(folder / "rabbitmq") as server:
        _, size = fill(server, bodies)
        where = "persistent in a classic queue of RabbitMQ, which is"
        yield Filled(feed(server), size, where)


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[RabbitServer]:
    """Run a broker whose notification queue is declared. Raises RuntimeError where none is installed."""
    if find_rabbitmq() is None:
        raise RuntimeError("RabbitMQ is not installed; `make services` installs it")
    server = RabbitServer(folder)
    try:
        server.start()
        with connect(server.url) as connection:
            connection.channel().queue_declare(QUEUE, durable=True, auto_delete=False)
        yield server
    finally:
        server.stop()


def fill(server: RabbitServer, bodies: Iterable[bytes]) -> tuple[int, int]:
    """Put persistent messages into the queue; return how many, and of how many bytes each."""
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for body in bodies:
            size += len(body)
            yield body

    count = publish(server.url, "", QUEUE, measured())
    return count, size // max(count, 1)


def consumers(server: RabbitServer) -> int:
    """Return how many read the queue."""
    with connect(server.url) as connection:
        declared = connection.channel().queue_declare(QUEUE, passive=True)
        return int(declared.consumer_count)


def feed(server: RabbitServer) -> list[dict[str, Any]]:
    """Return the service's feeds: this broker."""
    return [{"type": "rabbitmq", "urls": [server.url]}]
