"""amqp://EXCHANGE/TOPIC: publishes to exchanges of RabbitMQ, the topic being the routing key.

Guarantee: at least once: a message is persistent, and delivered once the broker has confirmed it; one
    that no queue takes is not. Its message id is the delivery's.
Errors: the Outcome tells; after one the connection is made anew.
"""

import contextlib
import threading
import time
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import amqp
from amqp.exceptions import AMQPError

from metering.alarms.attempts import Outcome
from metering.alarms.settings import AmqpActions
from metering.alarms.transitions import Delivery
from sources.rabbitmq_settings import RabbitSettings, RabbitTls
from sources.rabbitmq_topology import connection_to, explain

ANY: Final = "*"
_IDLE: Final = 30.0  # s; a connection that was not used for so long may be gone


class Exchanges:
    """Publishes, one message after the other, by one connection."""

    def __init__(self, settings: AmqpActions, timeout: float) -> None:
        assert settings.url is not None
        self._exchanges = settings.exchanges
        self._timeout = timeout  # s
        self._settings = RabbitSettings(
            name="actions",
            urls=[settings.url],
            connect_timeout=timeout,
            tls=RabbitTls(ca=settings.ca),
        )
        self._lock = threading.Lock()
        self._connection: amqp.Connection | None = None
        self._channel: Any = None
        self._used_at = 0.0  # monotonic, s
        self._returned: list[str] = []  # why messages came back

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
                return self._publish(delivery, exchange, topic)
            except (AMQPError, OSError) as error:
                self._drop()
                return Outcome(f"{exchange}: {explain(error)}")

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._hang_up()

    def _publish(self, delivery: Delivery, exchange: str, topic: str) -> Outcome:
        channel = self._connected()
        self._returned.clear()
        channel.basic_publish_confirm(
            _message(delivery), exchange, topic, mandatory=True, confirm_timeout=self._timeout
        )
        self._used_at = time.monotonic()
        if self._returned:
            return Outcome(f"{exchange}: {topic} comes back: {self._returned[0]}", 404)
        return Outcome()

    def _connected(self) -> Any:
        if self._connection is not None and time.monotonic() - self._used_at > _IDLE:
            self._hang_up()
        if self._connection is None:
            (address,) = self._settings.addresses()
            self._connection = connection_to(self._settings, address)
            self._connection.connect()
            self._channel = self._connection.channel()
            self._channel.events["basic_return"].add(self._came_back)
        return self._channel

    def _came_back(self, error: AMQPError, *_: object) -> None:
        self._returned.append(explain(error))

    def _hang_up(self) -> None:
        with contextlib.suppress(AMQPError, OSError):  # it is given up, whatever it says
            if self._connection is not None:
                self._connection.close()
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.collect()
            self._connection = self._channel = None


def _message(delivery: Delivery) -> amqp.Message:
    return amqp.Message(
        delivery.body.encode(),
        content_type="application/json",
        delivery_mode=2,
        message_id=delivery.id,
        application_headers={"x-openstack-request-id": f"req-{delivery.id}"},
    )
