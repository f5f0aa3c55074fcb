"""Publishing to a Google Pub/Sub topic, each message confirmed.

Guarantee: what `publish` returned for is in the topic.
Errors: a service that is away or refuses us is tried again with backoff, and told; what it can never
    take (nothing, or more than 10 MB) is `Unfit`. FeedError: no credentials, no project.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from sources.backoff import pause
from sources.pubsub_access import Access, full_name, open_transport

LARGEST: Final = 9_990_000  # bytes of a message; a request takes 10 MB with all that goes with it
_MESSAGES: Final = 1000  # that one request may hold
_BYTES: Final = 3 * 1024**2  # of messages in a request, unless one alone is larger
_TIMEOUT: Final = 30.0  # s that an answer may take
_BACKOFF: Final = (0.2, 10.0)  # s; least and most


def fits(body: bytes) -> bool:
    """Return whether Pub/Sub can take a message."""
    return 0 < len(body) <= LARGEST


class Topic:
    """A topic to publish to."""

    def __init__(self, topic: str, access: Access) -> None:
        """Raises FeedError. A service that is away is no error here."""
        transport, project = open_transport(PublisherGrpcTransport, access)
        self.name = full_name("topics", topic, project)
        self.last_error: str | None = None
        self._client = PublisherClient(transport=transport)

    def fits(self, body: bytes) -> bool:
        """Return whether Pub/Sub can take a message."""
        return fits(body)

    def publish(self, bodies: Sequence[bytes], wait: Callable[[float], bool]) -> bool:
        """Publish messages that fit; return whether all are in the topic.

        `wait` waits so many seconds before another try, and says whether to give up.
        """
        return all(self._publish(some, wait) for some in requests(bodies))

    def close(self) -> None:
        """Let go of the service."""
        self._client.transport.close()

    def _publish(self, bodies: list[bytes], wait: Callable[[float], bool]) -> bool:
        request = {"topic": self.name, "messages": [{"data": body} for body in bodies]}
        failures = 0
        while True:
            try:
                self._client.publish(request=request, timeout=_TIMEOUT, retry=None)
            except GoogleAPICallError as error:
                failures += 1
                code = error.grpc_status_code
                self.last_error = f"{self.name}: {code.name if code else ''} {error.message}"
                if wait(pause(failures, *_BACKOFF)):
                    return False
            else:
                self.last_error = None
                return True


def requests(bodies: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield messages in order, as many at once as a request takes."""
    some: list[bytes] = []
    size = 0
    for body in bodies:
        if some and (len(some) == _MESSAGES or size + len(body) > _BYTES):
            yield some
            some, size = [], 0
        some.append(body)
        size += len(body)
    if some:
        yield some
