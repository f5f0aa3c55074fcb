"""What the Pub/Sub feed can be told."""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import pydantic
from pydantic import Field

from sources.feed import SplitSettings, dealt

_SUBSCRIPTION: Final = re.compile(
    r"(projects/[^/]+/subscriptions/)?[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
)


def _checked_subscription(value: str) -> str:
    if not _SUBSCRIPTION.fullmatch(value):
        raise ValueError(
            "must be the name of a subscription, or projects/PROJECT/subscriptions/NAME"
        )
    return value


def checked_endpoint(value: str) -> str:
    """Return an endpoint that is one. Raises ValueError."""
    host = value.removeprefix("http://")
    if "/" in host or not re.fullmatch(r"[^:\s]+(:\d+)?|\[[0-9a-f:]+\](:\d+)?", host):
        raise ValueError("must be HOST, HOST:PORT, or http://HOST:PORT without TLS and credentials")
    return value


Subscription = Annotated[str, pydantic.AfterValidator(_checked_subscription)]
Endpoint = Annotated[str, pydantic.AfterValidator(checked_endpoint)]


class PubSubSettings(SplitSettings):
    """Which subscriptions are pulled from, as whom, and how patient we are."""

    type: str = "pubsub"
    subscriptions: list[Subscription] = Field(
        min_length=1,
        description="names, or projects/PROJECT/subscriptions/NAME; they must be there",
    )
    project: str | None = Field(
        None, description="project of subscriptions given by name; null is the credentials' own"
    )
    credentials: Path | None = Field(
        None, description="file of credentials (JSON); null is what google-auth finds"
    )
    endpoint: Endpoint | None = Field(
        None,
        description="HOST[:PORT] of a regional endpoint; http://HOST:PORT is without TLS and "
        "credentials: an emulator; null is PUBSUB_EMULATOR_HOST, else the global one",
    )
    pulls: int = Field(
        4, ge=1, le=64, description="requests for messages under way at once, each subscription"
    )
    ack_deadline: int = Field(
        60,
        ge=10,
        le=600,
        description="seconds that messages stay ours without a sign of life, of which there is one "
        "every half of it; what a killed process held comes again after so long",
    )
    extend_after: float = Field(
        4.0,
        gt=0,
        description="seconds to the first such sign; less than the subscription's own deadline",
    )
    timeout: float = Field(30.0, ge=1, description="seconds an answer may take")
    backoff_min: float = Field(0.5, gt=0, description="seconds before trying again")
    backoff_max: float = Field(
        30.0, gt=0, description="seconds that grow to at the most, doubling, with jitter"
    )

    def part(self, number: int, of: int) -> dict[str, Any]:
        """Return the subscriptions of a part: some each, or one that several parts pull from."""
        return {"subscriptions": dealt(self.subscriptions, number, of)}
