"""Publishing traffic to a broker, in order, each message confirmed."""

from collections.abc import Sequence

import amqp

from tests.servers.rabbitmq import UNCONFIRMED, connect
from tests.soak.notifications import Message


def publish_all(url: str, messages: Sequence[Message]) -> None:
    """Publish, persistent, and return once the broker has confirmed all."""
    with connect(url) as connection:
        channel = connection.channel()
        channel.confirm_select()
        unconfirmed: set[int] = set()

        def confirm(tag: int, multiple: bool) -> None:
            done = {each for each in unconfirmed if each <= tag} if multiple else {tag}
            unconfirmed.difference_update(done)

        channel.events["basic_ack"].add(confirm)
        for number, each in enumerate(messages, 1):
            unconfirmed.add(number)
            message = amqp.Message(each.body, content_type="application/json", delivery_mode=2)
            channel.basic_publish(message, each.exchange, each.key)
            while len(unconfirmed) >= UNCONFIRMED:
                connection.drain_events(timeout=30)
        while unconfirmed:
            connection.drain_events(timeout=30)


def waiting(url: str, queue: str) -> int:
    """Return how many messages of a queue are with no consumer."""
    with connect(url) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).message_count)
