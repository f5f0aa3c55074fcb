"""Publishing to the queue that a RabbitMQ feed reads."""

import functools
import itertools
from collections.abc import Iterator

import pytest

from sources.rabbitmq_queue import LARGEST, Queue
from sources.rabbitmq_settings import RabbitSettings
from tests.servers.rabbitmq import RabbitServer, connect

pytestmark = pytest.mark.server

AWAY = "amqp://guest:guest@127.0.0.1:1/"
_numbers = itertools.count(1)


@pytest.fixture
def name(rabbitmq: RabbitServer) -> Iterator[str]:
    found = f"direct{next(_numbers)}"
    yield found
    with connect(rabbitmq.url) as connection:
        connection.channel().queue_delete(f"{found}.notifications")


def queue(name: str, *urls: str) -> Queue:
    settings = {"urls": [*urls], "queue": name, "topics": ["notifications"], "backoff_min": 0.01}
    return Queue(RabbitSettings.model_validate(settings))


def held(rabbitmq: RabbitServer, name: str) -> list[bytes]:
    """Take everything out of the queue, in order; all of it is persistent."""
    with connect(rabbitmq.url) as connection:
        channel = connection.channel()
        get = functools.partial(channel.basic_get, f"{name}.notifications", no_ack=True)
        found = list(iter(get, None))
    assert {message.delivery_mode for message in found} <= {2}
    return [message.body for message in found]


def never(_seconds: float) -> bool:
    raise AssertionError("nothing is to be waited for")


def test_more_than_awaits_its_confirm_at_once_is_there_in_order(
    rabbitmq: RabbitServer, name: str
) -> None:
    bodies = [b'{"number": %d}' % number for number in range(1200)]
    there = queue(name, rabbitmq.url)
    assert there.publish(bodies, never)
    there.close()
    assert held(rabbitmq, name) == bodies
    assert there.name == f"queue {name}.notifications"


def test_a_queue_that_is_deleted_is_declared_again(rabbitmq: RabbitServer, name: str) -> None:
    there = queue(name, rabbitmq.url)
    assert there.publish([b"first"], never)
    with connect(rabbitmq.url) as connection:
        connection.channel().queue_delete(f"{name}.notifications")
    told: list[str | None] = []

    def wait(_seconds: float) -> bool:
        told.append(there.last_error)
        return False

    assert there.publish([b"second"], wait)
    there.close()
    assert len(told) == 1
    assert f"{name}.notifications comes back: 312 NO_ROUTE" in str(told[0])
    assert there.last_error is None
    assert held(rabbitmq, name) == [b"second"]


def test_the_next_broker_is_tried_and_one_that_is_away_is_told(
    rabbitmq: RabbitServer, name: str
) -> None:
    there = queue(name, AWAY, rabbitmq.url)
    assert there.publish([b"body"], lambda _: False)
    there.close()
    assert held(rabbitmq, name) == [b"body"]
    gone = queue(name, AWAY)
    assert not gone.publish([b"body"], lambda _: True)
    assert gone.last_error == "amqp://guest@127.0.0.1:1/: Connection refused"


def test_what_rabbitmq_does_not_take_does_not_fit(name: str) -> None:
    there = queue(name, AWAY)
    assert [there.fits(b"x" * size) for size in (0, LARGEST, LARGEST + 1)] == [True, True, False]
