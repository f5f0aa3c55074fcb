"""amqp://EXCHANGE/TOPIC: publishes to exchanges of RabbitMQ, the topic being the routing key.

Guarantee: at least once: a message is persistent, and delivered once the broker has confirmed it; one
    that no queue takes is not. Its message id is the delivery's.
Errors: the Outcome tells; after one the connection is made anew.
"""

import threading
from typing import Final
from urllib.parse import unquote, urlsplit

import amqp

from metering.alarms.attempts import Outcome
from metering.alarms.settings import AmqpActions
from metering.alarms.transitions import Delivery
from sources.rabbitmq_publisher import Publisher, PublishError
from sources.rabbitmq_settings import RabbitSettings, RabbitTls

ANY: Final = "*"


class Exchanges:
    """Publishes, one message after the other, by one connection."""

    def __init__(self, settings: AmqpActions, timeout: float) -> None:
        assert settings.url is not None
        self._exchanges = settings.exchanges
        self._lock = threading.Lock()
        self._publisher = Publisher(
            RabbitSettings(
                name="actions",
                urls=[settings.url],
                connect_timeout=timeout,
                tls=RabbitTls(ca=settings.ca),
            )
        )

    def send(self, delivery: Delivery) -> Outcome:
        """Publish to a delivery's exchange, and wait until it is confirmed."""
        parts = urlsplit(delivery.action)
        exchange, topic = unquote(parts.netloc), unquote(parts.path.removeprefix("/"))
        if not {ANY, exchange} & set(self._exchanges):
            return Outcome(
                f"no alarm may publish to {exchange} (alarms.actions.amqp.exchanges)", hopeless=True
            )
        with self._lock:
            try:
                returned = self._publisher.publish(exchange, topic, [_message(delivery)])
            except PublishError as error:
                return Outcome(f"{exchange}: {error}")
        if returned:
            return Outcome(f"{exchange}: {topic} comes back: {returned[0]}", 404)
        return Outcome()

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._publisher.close()


def _message(delivery: Delivery) -> amqp.Message:
    return amqp.Message(
        delivery.body.encode(),
        content_type="application/json",
        delivery_mode=2,
        message_id=delivery.id,
        application_headers={"x-openstack-request-id": f"req-{delivery.id}"},
    )
