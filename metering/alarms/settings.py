"""How actions are delivered, and what they may reach."""

import ipaddress
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import pydantic
from pydantic import Field

from metering.section import Section

# This machine, the neighbours on the link, multicast, what is reserved, and where clouds tell machines
# their secrets (Alibaba, Oracle, Azure, AWS and Google over IPv6).
_REFUSED: Final = (
    *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
    *("::/128", "::1/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128"),
)


def _checked_network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"must be an address or a network such as 10.0.0.0/8: {error}") from None


def _checked_broker(value: pydantic.SecretStr) -> pydantic.SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in ("amqp", "amqps") or not (
        parts.hostname and parts.username and parts.password
    ):
        raise ValueError("must be amqp(s)://user:password@host:port/vhost")
    return value


Network = Annotated[str, pydantic.AfterValidator(_checked_network)]
Broker = Annotated[pydantic.SecretStr, pydantic.AfterValidator(_checked_broker)]
Name = Annotated[str, Field(min_length=1)]


class PubSubActions(Section):
    """Google Pub/Sub, for pubsub://TOPIC."""

    topics: list[Name] = Field(
        [], description="topics that alarms may publish to; ['*'] is any of the project's"
    )
    project: str | None = Field(
        None, description="the topics' project; null is the credentials' own"
    )
    credentials: Path | None = Field(
        None, description="file of credentials (JSON); null is what google-auth finds"
    )
    endpoint: str | None = Field(
        None,
        description="HOST[:PORT] of a regional endpoint; http://HOST:PORT is an emulator;"
        " null is PUBSUB_EMULATOR_HOST, else the global one",
    )


class AmqpActions(Section):
    """RabbitMQ, for amqp://EXCHANGE/TOPIC."""

    exchanges: list[Name] = Field(
        [], description="exchanges that alarms may publish to; ['*'] is any"
    )
    url: Broker | None = Field(None, description="amqp(s)://user:password@host:port/vhost")
    ca: Path | None = Field(
        None, description="file of the authorities to trust (PEM); null is the system's"
    )


class Actions(Section):
    """Actions: how patiently they are called, and what they may reach."""

    timeout: float = Field(10.0, gt=0, description="seconds a call may take in all")
    at_once: int = Field(500, ge=1, description="calls under way at once")
    at_once_a_host: int = Field(8, ge=1, description="calls under way at once to one host")
    kept_a_host: int = Field(
        500,
        ge=1,
        description="deliveries to one host kept in memory; more of them wait in the store",
    )
    backoff_min: float = Field(1.0, gt=0, description="seconds before a failed call is repeated")
    backoff_max: float = Field(
        60.0, gt=0, description="seconds that grow to at the most, doubling, with jitter"
    )
    give_up_after: float = Field(
        86_400.0, gt=0, description="seconds after which a delivery that still fails is dead"
    )
    refuse: list[Network] = Field(
        list(_REFUSED),
        description="addresses and networks that no action may call, by whatever name",
    )
    allow: list[Network] = Field([], description="exceptions from what is refused")
    verify: bool = Field(
        True, description="whether https must be trusted, where the URL does not say"
    )
    ca: Path | None = Field(
        None, description="file of the authorities to trust (PEM); null is the system's"
    )
    cert: Path | None = Field(
        None, description="file of our own certificate (PEM), for hosts that ask for one"
    )
    key: Path | None = Field(None, description="file of its key (PEM); null where cert holds it")
    cloud: str | None = Field(
        None, description="cloud in clouds.yaml whose Keystone has the trusts; null is none"
    )
    clouds_file: Path | None = Field(
        None, description="clouds.yaml; null is where openstacksdk looks for it"
    )
    pubsub: PubSubActions = Field(PubSubActions(), description="Pub/Sub, for pubsub://TOPIC")
    amqp: AmqpActions = Field(AmqpActions(), description="RabbitMQ, for amqp://EXCHANGE/TOPIC")
