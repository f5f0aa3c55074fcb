"""Publishing to the queue that a RabbitMQ feed reads, past all exchanges: to nobody but that feed.

Guarantee: what `publish` returned for is in the queue, and persistent there.
Errors: a broker that is away or refuses us is tried again with backoff, over all urls, and told; what it
    can never take is `unfit`.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import amqp

from sources.backoff import pause
from sources.rabbitmq_publisher import Publisher, PublishError
from sources.rabbitmq_settings import RabbitSettings
from sources.rabbitmq_topology import declare_queues

LARGEST: Final = 16 * 1024**2  # bytes of a message, as RabbitMQ 4 takes by default
_UNCONFIRMED: Final = 500  # messages that may await their confirm
_DIRECT: Final = ""  # the exchange that every queue is bound to by its name


class Queue:
    """The queue of a feed's first topic; declared as the feed does, should it not be there yet."""

    def __init__(self, settings: RabbitSettings) -> None:
        """A broker that is away is no error here."""
        self.queue = next(iter(settings.queues().values()))
        self.name = f"queue {self.queue}"
        self.last_error: str | None = None
        self._settings = settings
        self._publisher = Publisher(settings, self._declare)

    def fits(self, body: bytes) -> bool:
        """Return whether RabbitMQ can take a message."""
        return len(body) <= LARGEST

    def publish(self, bodies: Sequence[bytes], wait: Callable[[float], bool]) -> bool:
        """Publish messages that fit; return whether all are in the queue.

        `wait` waits so many seconds before another try, and says whether to give up.
        """
        waiting = iter(bodies)
        while some := list(islice(waiting, _UNCONFIRMED)):
            if not self._insistently(some, wait):
                return False
        return True

    def close(self) -> None:
        """Let go of the broker."""
        self._publisher.close()

    def _insistently(self, bodies: list[bytes], wait: Callable[[float], bool]) -> bool:
        failures = 0
        while (error := self._try(bodies)) is not None:
            self.last_error = error
            failures += 1
            if wait(pause(failures, self._settings.backoff_min, self._settings.backoff_max)):
                return False
        self.last_error = None
        return True

    def _try(self, bodies: list[bytes]) -> str | None:
        """Return why these are not in the queue; None once they are."""
        address = self._publisher.address
        messages = [
            amqp.Message(body, content_type="application/json", delivery_mode=2) for body in bodies
        ]
        try:
            returned = self._publisher.publish(_DIRECT, self.queue, messages)
        except PublishError as error:
            return f"{address}: {error}"
        if returned:
            self._publisher.close()  # the queue is gone: the next connection declares it
            return f"{address}: {self.queue} comes back: {returned[0]}"
        return None

    def _declare(self, channel: Any) -> None:
        declare_queues(channel, self._settings, [])
