"""A Pub/Sub of the benchmark's own: the Go library's server, with a full subscription."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.broker import Filled
from tests.servers.pubsub import MISSING, PROGRAM, PROJECT, PubSubServer

_NAME = "benchmark"


@contextlib.contextmanager
def filled_topic(bodies: Iterable[bytes]) -> Iterator[Filled]:
    """Run a server whose subscription holds these messages. Raises RuntimeError where none is built."""
    if not PROGRAM.exists():
        raise RuntimeError(MISSING)
    server = PubSubServer(in_order=True)
    try:
        server.start()
        server.subscribe(_NAME, _NAME, ack_deadline_seconds=60)
        sizes: list[int] = []
        server.publish(_NAME, _measured(bodies, sizes))
        where = "in a subscription of an in-memory server (pstest -fifo), which is"
        yield Filled([_feed(server)], sum(sizes) // max(len(sizes), 1), where)
    finally:
        server.stop()


def _measured(bodies: Iterable[bytes], sizes: list[int]) -> Iterator[bytes]:
    for body in bodies:
        sizes.append(len(body))
        yield body


def _feed(server: PubSubServer) -> dict[str, Any]:
    return {
        "type": "pubsub",
        "project": PROJECT,
        "subscriptions": [_NAME],
        "endpoint": server.endpoint,
    }
