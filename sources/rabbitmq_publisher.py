"""Publishing to RabbitMQ, each message confirmed: a connection that is made when it is needed.

Guarantee: what `publish` returned for is persistent in a queue, but for what it says came back.
Errors: PublishError; the next connection is then made to the next address.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import amqp
from amqp.exceptions import AMQPError

from sources.rabbitmq_settings import RabbitSettings
from sources.rabbitmq_topology import connection_to, explain

_IDLE: Final = 30.0  # s; a connection that was not used for so long may be gone


class PublishError(Exception):
    """The broker did not confirm; the text says why, and what was published may be there or not."""


class Publisher:
    """Publishes by one connection. Of one thread at a time.

    `prepare` is called with the channel of each connection; a broker that does not answer in
    `connect_timeout` of the settings is away.
    """

    def __init__(
        self, settings: RabbitSettings, prepare: Callable[[Any], None] | None = None
    ) -> None:
        self._settings = settings
        self._addresses = settings.addresses()
        self._prepare = prepare
        self._current = 0  # index of the address in use or tried
        self._connection: amqp.Connection | None = None
        self._channel: Any = None
        self._used_at = 0.0  # monotonic, s
        self._published = 0  # on this channel: the number of its last message
        self._unconfirmed: set[int] = set()
        self._refused = 0
        self._returned: list[str] = []  # why messages came back

    @property
    def address(self) -> str:
        """The broker in use, or tried next; without its password."""
        return str(self._addresses[self._current])

    def publish(self, exchange: str, key: str, messages: Sequence[amqp.Message]) -> list[str]:
        """Publish messages and wait until all are confirmed; return why some came back.

        Raises PublishError.
        """
        try:
            return self._publish(exchange, key, messages)
        except (AMQPError, OSError) as error:
            self._drop()
            self._current = (self._current + 1) % len(self._addresses)
            raise PublishError(explain(error)) from error

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(AMQPError, OSError):  # it is given up, whatever it says
            if self._connection is not None:
                self._connection.close()
        self._drop()

    def _publish(self, exchange: str, key: str, messages: Sequence[amqp.Message]) -> list[str]:
        connection = self._connected()
        self._returned.clear()
        self._refused = 0
        timeout = self._settings.connect_timeout
        for message in messages:
            self._published += 1
            self._unconfirmed.add(self._published)
            self._channel.basic_publish(message, exchange, key, mandatory=True, timeout=timeout)
        while self._unconfirmed:
            connection.drain_events(timeout=timeout)
        self._used_at = time.monotonic()
        if self._refused:
            raise AMQPError(f"{self._refused} messages were refused")
        return list(self._returned)

    def _connected(self) -> amqp.Connection:
        if self._connection is not None and time.monotonic() - self._used_at > _IDLE:
            self.close()
        if self._connection is None:
            connection = connection_to(self._settings, self._addresses[self._current])
            self._connection = connection
            connection.connect()
            self._channel = self._opened(connection)
        return self._connection

    def _opened(self, connection: amqp.Connection) -> Any:
        channel = connection.channel()
        channel.events["basic_return"].add(self._came_back)
        channel.events["basic_ack"].add(self._confirmed)
        channel.events["basic_nack"].add(self._nacked)
        channel.confirm_select()
        if self._prepare is not None:
            self._prepare(channel)
        self._published = 0
        self._unconfirmed.clear()
        return channel

    def _confirmed(self, number: int, multiple: bool) -> int:
        those = {one for one in self._unconfirmed if one <= number} if multiple else {number}
        self._unconfirmed -= those
        return len(those)

    def _nacked(self, number: int, multiple: bool) -> None:
        self._refused += self._confirmed(number, multiple)

    def _came_back(self, error: AMQPError, *_: object) -> None:
        self._returned.append(explain(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.collect()
            self._connection = self._channel = None
