"""pubsub://TOPIC: publishes to topics of Google Pub/Sub.

Guarantee: at least once; the attribute idempotency-key is the delivery's id. Messages of an alarm have
    its id as ordering key.
Errors: the Outcome tells.
"""

import threading
from typing import Any, Final
from urllib.parse import urlsplit

from google.api_core.exceptions import GoogleAPICallError, NotFound
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from metering.alarms.attempts import Outcome
from metering.alarms.settings import PubSubActions
from metering.alarms.transitions import Delivery
from sources.feed import FeedError
from sources.pubsub_access import Access, full_name, open_transport
from sources.pubsub_link import explain

ANY: Final = "*"


class Topics:
    """Publishes, by one connection that is opened at the first use."""

    def __init__(self, settings: PubSubActions, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout  # s
        self._lock = threading.Lock()
        self._client: PublisherClient | None = None
        self._project: str | None = None

    def send(self, delivery: Delivery) -> Outcome:
        """Publish to a delivery's topic, and wait until it is taken."""
        parts = urlsplit(delivery.action)
        topic = (parts.netloc + parts.path).rstrip("/")
        if not {ANY, topic} & set(self._settings.topics):
            return Outcome(
                f"no alarm may publish to {topic} (alarms.actions.pubsub.topics)", hopeless=True
            )
        try:
            client = self._connected()
            request = {
                "topic": full_name("topics", topic, self._project),
                "messages": [_message(delivery)],
            }
            client.publish(request=request, timeout=self._timeout, retry=None)
        except (FeedError, ValueError) as error:  # ValueError: the channel was closed
            return Outcome(str(error))
        except NotFound as error:
            return Outcome(f"{topic}: {explain(error)}", 404)
        except GoogleAPICallError as error:
            return Outcome(f"{topic}: {explain(error)}")
        return Outcome()

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.transport.close()

    def _connected(self) -> PublisherClient:
        """Return the client. Raises FeedError."""
        with self._lock:
            if self._client is None:
                settings = self._settings
                access = Access(settings.project, settings.endpoint, settings.credentials)
                transport, self._project = open_transport(PublisherGrpcTransport, access)
                self._client = PublisherClient(transport=transport)
            return self._client


def _message(delivery: Delivery) -> dict[str, Any]:
    return {
        "data": delivery.body.encode(),
        "attributes": {
            "idempotency-key": delivery.id,
            "alarm_id": delivery.alarm_id,
            "x-openstack-request-id": f"req-{delivery.id}",
        },
        "ordering_key": delivery.alarm_id,
    }
