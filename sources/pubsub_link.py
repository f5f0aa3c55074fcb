"""The four calls of Pub/Sub that a subscriber makes: pull, acknowledge, extend, give back.

google-cloud-pubsub's own puller spends 7 to 13 times as much on a message, and takes more than there
is room for (docs/decisions/0006-pubsub-pull.md); so its client is used for the calls alone.
Errors: AwayError for whatever may be better at the next try.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

import grpc
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError
from google.cloud.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PullResponse

from metering.cloudevent import structured
from sources.feed import FeedError
from sources.pubsub_access import Access, full_name, open_transport
from sources.pubsub_settings import PubSubSettings

MESSAGES: Final = 1000  # that one request may ask for, or name
BYTES: Final = 4 * 1024**2  # of messages that a request should bring
_FIRST: Final = 10  # messages asked for before their size is known

# What becomes of an acknowledgement that failed so: tried again. All else is as good as lost: the
# message comes again.
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)


class AwayError(Exception):
    """Pub/Sub, or one subscription, cannot be used for now; the text says what is wrong."""


@dataclasses.dataclass(slots=True)
class Pulled:
    """What a request brought."""

    bodies: list[bytes]
    ack_ids: list[str]


@dataclasses.dataclass(slots=True)
class Refused:
    """Messages whose acknowledgement was not taken, and why."""

    again: set[str]  # to be tried again
    lost: set[str]  # no longer ours: they come again
    error: str = ""


class Link:
    """A connection, used by many threads. Raises FeedError where it cannot be had."""

    def __init__(self, settings: PubSubSettings) -> None:
        access = Access(settings.project, settings.endpoint, settings.credentials)
        try:
            transport, project = open_transport(SubscriberGrpcTransport, access)
            self.subscriptions = [
                full_name("subscriptions", name, project) for name in settings.subscriptions
            ]
        except FeedError as error:
            raise FeedError(f"feed {settings.name or settings.type}: {error}") from error
        self._client = SubscriberClient(transport=transport)
        self._timeout = settings.timeout
        self._typical = BYTES // _FIRST  # bytes of a message
        self._state: grpc.ChannelConnectivity | None = None
        self._closed = False
        transport.grpc_channel.subscribe(self._saw, try_to_connect=True)

    @property
    def ready(self) -> bool:
        """Whether the connection is up."""
        return self._state is grpc.ChannelConnectivity.READY

    def pull(self, subscription: str, timeout: float) -> Pulled:
        """Return what is there, waiting `timeout` s at the most. Raises AwayError."""
        most = max(1, min(MESSAGES, BYTES // self._typical))
        request = {"subscription": subscription, "max_messages": most}
        try:
            answer = self._client.pull(request=request, timeout=timeout, retry=None)
        except DeadlineExceeded as error:
            if self.ready:
                return Pulled([], [])
            raise AwayError(f"{subscription}: no answer in time") from error
        except GoogleAPICallError as error:
            raise AwayError(f"{subscription}: {explain(error)}") from error
        except ValueError as error:
            if not self._closed:
                raise
            raise AwayError(f"{subscription}: closed") from error
        # The messages as they are parsed: each field read through the library's own classes costs
        # three times as much.
        received = PullResponse.pb(answer).received_messages
        pulled = Pulled(
            [body_of(each.message) for each in received], [each.ack_id for each in received]
        )
        if received:
            self._typical = max(1, sum(map(len, pulled.bodies)) // len(received))
        return pulled

    def acknowledge(self, subscription: str, ack_ids: Sequence[str]) -> Refused:
        """Say that messages are stored; return those that were not taken."""
        refused = Refused(set(), set())
        for some in _requests(ack_ids):
            request = {"subscription": subscription, "ack_ids": some}
            try:
                self._client.acknowledge(request=request, timeout=self._timeout, retry=None)
            except GoogleAPICallError as error:
                again, lost = sorted_out(some, error)
                refused.again |= again
                refused.lost |= lost
                refused.error = f"{subscription}: {explain(error)}"
        return refused

    def extend(self, subscription: str, ack_ids: Sequence[str], seconds: int) -> str | None:
        """Keep messages for so long from now, 0 gives them back; return what went wrong."""
        trouble = None
        for some in _requests(ack_ids):
            request = {
                "subscription": subscription,
                "ack_ids": some,
                "ack_deadline_seconds": seconds,
            }
            try:
                self._client.modify_ack_deadline(request=request, timeout=self._timeout, retry=None)
            except GoogleAPICallError as error:
                trouble = f"{subscription}: {explain(error)}"
        return trouble

    def close(self) -> None:
        """End the connection; requests under way end with AwayError."""
        self._closed = True
        self._client.close()

    def _saw(self, state: grpc.ChannelConnectivity) -> None:
        self._state = state


def body_of(message: Any) -> bytes:
    """Return a message as a payload: its data, or a CloudEvent in binary mode as a structured one."""
    data: bytes = message.data
    if not message.attributes:
        return data
    return structured(message.attributes, data) or data


def sorted_out(ack_ids: Sequence[str], error: GoogleAPICallError) -> tuple[set[str], set[str]]:
    """Return which acknowledgements to try again, and which messages are no longer ours.

    An exactly-once subscription says it of each; otherwise the failure of the call says it of all.
    Source: Acknowledge's error details, as google-cloud-pubsub reads them.
    """
    reasons = dict(error.metadata or {})
    passing = error.grpc_status_code in _PASSING
    again = {
        ack_id
        for ack_id in ack_ids
        if (reasons[ack_id].startswith("TRANSIENT_") if ack_id in reasons else passing)
    }
    return again, set(ack_ids) - again


def explain(error: GoogleAPICallError) -> str:
    """Return one clause that says what went wrong."""
    code = error.grpc_status_code
    return f"{code.name if code else type(error).__name__}: {error.message}"


def _requests(ack_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ack_ids), MESSAGES):
        yield list(ack_ids[start : start + MESSAGES])
