"""What the RabbitMQ feed can be told, and its addresses taken apart."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import pydantic
from pydantic import Field

from sources.feed import SplitSettings, dealt

EXCHANGES: Final = (
    *("ceilometer", "nova", "glance", "cinder", "openstack", "neutron", "heat", "keystone"),
    *("ironic", "swift", "sahara", "trove", "zaqar", "magnum", "designate", "dns", "octavia"),
    *("manila", "barbican"),
)
TOPICS: Final = ("notifications", "versioned_notifications")
PRIORITIES: Final = ("audit", "debug", "info", "warn", "error", "critical", "sample")
PORTS: Final = {"amqp": 5672, "amqps": 5671}


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """One broker's address; its text form, for status and errors, has no password."""

    scheme: str
    host: str
    port: int
    vhost: str
    user: str
    password: pydantic.SecretStr | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}:{self.port}/{self.vhost.removeprefix('/')}"


def parse_address(url: str) -> Address:
    """Return the parts of amqp(s)://user:password@host:port/vhost. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError("must begin with amqp:// or amqps://")
    if not parts.hostname:
        raise ValueError("names no host")
    password = parts.password
    return Address(
        scheme=parts.scheme,
        host=parts.hostname,
        port=_port(parts),
        vhost=unquote(parts.path[1:]) or "/",
        user=unquote(parts.username or ""),
        password=None if password is None else pydantic.SecretStr(unquote(password)),
    )


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or PORTS[parts.scheme]
    except ValueError as error:
        raise ValueError("has a port that is none") from error


def _checked_url(value: pydantic.SecretStr) -> pydantic.SecretStr:
    parse_address(value.get_secret_value())
    return value


Url = Annotated[pydantic.SecretStr, pydantic.AfterValidator(_checked_url)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class RabbitTls(pydantic.BaseModel):
    """TLS of the amqps:// addresses."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    ca: Path | None = Field(
        None, description="file of the authorities to trust (PEM); null is the system's"
    )
    cert: Path | None = Field(
        None, description="file of our own certificate (PEM), where the broker asks for one"
    )
    key: Path | None = Field(None, description="file of its key (PEM); null where cert holds it")
    verify: bool = Field(True, description="whether the broker's certificate and name must be good")


class RabbitSettings(SplitSettings):
    """Where the brokers are, what is bound, and how patient we are."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: str = "rabbitmq"
    urls: list[Url] = Field(
        min_length=1,
        description="amqp(s)://user:password@host:port/vhost of each broker of the cluster; the "
        "next one is tried when one is away",
    )
    password: pydantic.SecretStr | None = Field(
        None, description="the user's password, for urls that hold none"
    )
    exchanges: list[Name] = Field(
        list(EXCHANGES), min_length=1, description="topic exchanges that services publish to"
    )
    topics: list[Name] = Field(
        list(TOPICS), min_length=1, description="topics of notifications; each has its own queue"
    )
    priorities: list[Name] = Field(
        list(PRIORITIES), min_length=1, description="routing keys are topic.priority"
    )
    queue: Name = Field(
        "streamgauge", description="our durable queues are named queue.topic; one set a deployment"
    )
    queue_type: Literal["classic", "quorum"] = Field(
        "classic", description="kind of queue that is declared; quorum for a cluster of 3 or more"
    )
    durable_exchanges: bool = Field(
        False, description="declare exchanges durable (oslo.messaging's amqp_durable_queues)"
    )
    prefetch: int = Field(
        10_000, ge=1, le=65_535, description="messages a topic that may await acknowledgement"
    )
    gather: float = Field(
        0.002, ge=0, le=0.1, description="seconds to let a running stream collect before reading it"
    )
    heartbeat: int = Field(
        60,
        ge=1,
        le=3600,
        description="seconds between signs of life; two without any, and it is lost",
    )
    connect_timeout: float = Field(
        10.0, gt=0, description="seconds a broker may take to answer while connecting"
    )
    backoff_min: float = Field(
        0.5, gt=0, description="seconds before connecting again, once every url has failed"
    )
    backoff_max: float = Field(
        30.0, gt=0, description="seconds that grow to at the most, doubling, with jitter"
    )
    rebind: float = Field(
        300.0, gt=0, description="seconds after which bindings are made anew, should one be lost"
    )
    tls: RabbitTls = Field(RabbitTls(), description="TLS of the amqps:// addresses")

    @pydantic.model_validator(mode="after")
    def _logins(self) -> "RabbitSettings":
        for number, address in enumerate(self.addresses()):
            if not address.user:
                raise ValueError(f"urls.{number} names no user ({address})")
            if address.password is None:
                raise ValueError(f"no password for {address}: put it into the url or `password`")
        return self

    def addresses(self) -> list[Address]:
        """Return the brokers' addresses, each with its password."""
        found = [parse_address(url.get_secret_value()) for url in self.urls]
        return [
            dataclasses.replace(each, password=self.password) if each.password is None else each
            for each in found
        ]

    def part(self, number: int, of: int) -> dict[str, Any]:
        """Return the topics of a part: some queues each, or one that several parts consume."""
        return {"topics": dealt(self.topics, number, of)}

    def queues(self) -> dict[str, str]:
        """Return topic -> queue."""
        return {topic: f"{self.queue}.{topic}" for topic in self.topics}
