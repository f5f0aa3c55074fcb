"""A RabbitMQ of the benchmark's own, with the queue that the service will find."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.servers.rabbitmq import RabbitServer, connect, find_rabbitmq, publish

QUEUE = "streamgauge.notifications"
_TURN = 2000  # messages that are dealt out to queues over one connection each


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """What a service finds full when it starts."""

    feeds: list[dict[str, Any]]
    size: int  # bytes of a message
    where: str  # for the conditions of a figure


@contextlib.contextmanager
def filled_queue(
    folder: Path, bodies: Iterable[bytes], queues: int = 1, together: int = 1
) -> Iterator[Filled]:
    """Run a broker whose queues hold these messages in turn. Raises RuntimeError where there is none."""
    named = [f"streamgauge-{number}" for number in range(queues)] if queues > 1 else ["streamgauge"]
    with broker(folder / "rabbitmq", [f"{name}.notifications" for name in named]) as server:
        _, size = fill(server, bodies, [f"{name}.notifications" for name in named], together)
        kept = "a classic queue of RabbitMQ, which is"
        if queues > 1:
            kept = (
                f"{queues} classic queues of RabbitMQ, a feed each, no instance in two, which are"
            )
        yield Filled(
            [feed(server)[0] | {"name": name, "queue": name} for name in named],
            size,
            f"persistent in {kept}",
        )


@contextlib.contextmanager
def broker(folder: Path, queues: Sequence[str] = (QUEUE,)) -> Iterator[RabbitServer]:
    """Run a broker whose notification queues are declared. Raises RuntimeError where none is installed."""
    if find_rabbitmq() is None:
        raise RuntimeError("RabbitMQ is not installed; `make services` installs it")
    server = RabbitServer(folder)
    try:
        server.start()
        with connect(server.url) as connection:
            for queue in queues:
                connection.channel().queue_declare(queue, durable=True, auto_delete=False)
        yield server
    finally:
        server.stop()


def fill(
    server: RabbitServer,
    bodies: Iterable[bytes],
    queues: Sequence[str] = (QUEUE,),
    together: int = 1,
) -> tuple[int, int]:
    """Put persistent messages into queues in turn, so many to one; return how many, and their bytes each."""
    size = count = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for body in bodies:
            size += len(body)
            yield body

    every = enumerate(measured())
    while turn := list(itertools.islice(every, _TURN)):
        for number, queue in enumerate(queues):
            mine = (body for at, body in turn if at // together % len(queues) == number)
            count += publish(server.url, "", queue, mine)
    return count, size // max(count, 1)


def consumers(server: RabbitServer) -> int:
    """Return how many read the queue."""
    with connect(server.url) as connection:
        declared = connection.channel().queue_declare(QUEUE, passive=True)
        return int(declared.consumer_count)


def feed(server: RabbitServer) -> list[dict[str, Any]]:
    """Return the service's feeds: this broker."""
    return [{"type": "rabbitmq", "urls": [server.url]}]
