"""A RabbitMQ of the benchmark's own, with the queue that the service will find."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.servers.rabbitmq import RabbitServer, connect, find_rabbitmq, publish

QUEUE = "streamgauge.notifications"


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


def feed(server: RabbitServer) -> list[dict[str, Any]]:
    """Return the service's feeds: this broker."""
    return [{"type": "rabbitmq", "urls": [server.url]}]
