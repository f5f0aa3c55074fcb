"""The configuration: every field, its default and unit. Read from YAML and the environment by jobs.settings."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pydantic
from pydantic import Field

from metering.alarms.settings import Actions
from metering.section import Section as _Section


def checked_listen(value: str) -> str:
    """Return an address of this machine alone, as HOST:PORT. Raises ValueError for any other."""
    parts = urlsplit(f"//{value}")
    try:
        complete = bool(parts.hostname) and parts.port is not None
    except ValueError:  # a port that is no number, or none there is
        complete = False
    if not complete or parts.path or parts.username is not None:
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:8777")
    if not _is_loopback(parts.hostname or ""):
        raise ValueError(
            "must be a loopback address (127.0.0.1, ::1, localhost), as no one is authenticated yet"
        )
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Listen = Annotated[str, pydantic.AfterValidator(checked_listen)]


class Retention(_Section):
    """How long a table keeps its rows; null is for ever."""

    samples: int | None = Field(400, ge=1, description="days; samples by timestamp")
    events: int | None = Field(400, ge=1, description="days; events by time of generation")
    invalid: int | None = Field(30, ge=1, description="days; refused payloads by time of arrival")
    alarm_history: int | None = Field(
        400, ge=1, description="days; what became of alarms, kept after their deletion"
    )
    deliveries: int | None = Field(
        90, ge=1, description="days; deliveries of actions and the attempts at them"
    )


class Database(_Section):
    """The ClickHouse store: embedded in this process, or a server."""

    path: Path = Field(
        Path("data/db"), description="folder of the embedded engine; one process at a time"
    )
    url: str | None = Field(
        None,
        description="http(s)://user@host:port of a ClickHouse server, instead of the embedded engine",
    )
    password: pydantic.SecretStr | None = Field(
        None, description="password for the user in database.url"
    )
    name: str = Field(
        "metering", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="name of the database"
    )
    retention: Retention = Field(Retention(), description="days each table keeps its rows")


class Api(_Section):
    """The REST API."""

    listen: Listen = Field(
        "127.0.0.1:8777",
        description="address and port; loopback only, as no one is authenticated yet",
    )
    threads: int = Field(8, ge=1, le=256, description="requests served at once")
    default_limit: int = Field(100, ge=1, description="rows returned where a request sets no limit")
    max_limit: int = Field(
        100_000, ge=1, description="rows returned at the most, whatever a request asks for"
    )
    query_seconds: float = Field(30.0, gt=0, description="seconds a query may take")
    query_memory: int = Field(
        512 * 1024**2, ge=1024**2, description="bytes of memory a query may take"
    )
    max_body: int = Field(8 * 1024**2, ge=1024, description="bytes of a request's body at the most")


class Sql(_Section):
    """The ClickHouse HTTP endpoint over the embedded engine; off while no password is set."""

    listen: Listen = Field("127.0.0.1:8123", description="address and port; loopback only")
    user: str = Field(
        "analyst", min_length=1, description="the user name that goes with sql.password"
    )
    password: pydantic.SecretStr | None = Field(None, description="turns the endpoint on")
    query_seconds: float = Field(300.0, gt=0, description="seconds a query may take")
    query_memory: int = Field(1024**3, ge=1024**2, description="bytes of memory a query may take")


class Spool(_Section):
    """The durable folder where REST pushes land before they are answered."""

    path: Path = Field(Path("data/spool"), description="folder of segments")
    segment_bytes: int = Field(
        16 * 1024**2, ge=4096, description="bytes after which a new segment is begun"
    )
    max_bytes: int = Field(
        4 * 1024**3,
        ge=4096,
        description="bytes the folder may hold; pushes beyond are answered 503",
    )


class Job(_Section):
    """The stream: how elements are cut, and the bounds of time."""

    shards: int = Field(64, ge=1, le=4096, description="parts the state is split into, by resource")
    lateness: float = Field(
        7200.0, ge=0, description="seconds; how late a sample may come and still be in time"
    )
    element_payloads: int = Field(5000, ge=1, description="payloads an element holds at the most")
    element_bytes: int = Field(
        8 * 1024**2, ge=1024, description="bytes of payloads an element holds before it is sent on"
    )
    linger: float = Field(
        0.05, ge=0, le=1, description="seconds that a payload waits at the most for more to come"
    )
    queue_bytes: int = Field(
        32 * 1024**2, ge=1024, description="bytes of payloads waiting; feeds stop reading beyond"
    )
    tick: float = Field(1.0, gt=0, le=1, description="seconds between ticks at the most")
    remembered_ids: int = Field(
        2_000_000,
        ge=1000,
        description="message ids kept in memory to recognize repeats, 24 bytes each",
    )


class Usage(_Section):
    """Usage windows: what samples amount to in each hour and day."""

    periods: list[Annotated[int, Field(ge=60, le=30 * 86_400)]] = Field(
        [3600, 86_400],
        min_length=1,
        description="seconds; lengths of the windows, shortest first, each a multiple of the shortest",
    )
    max_gap: float = Field(
        3900.0, gt=0, description="seconds a value counts beyond its sample at the most"
    )
    max_gap_by_meter: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="seconds, by meter or pattern; the first that matches wins",
    )
    segments: dict[str, list[str]] = Field(
        {"flavor": ["flavor.name", "flavor_name", "instance_type"]},
        description="metadata that splits usage: a name, and the keys it is read from, the first there wins",
    )
    ends: list[str] = Field(
        ["*.delete.end"],
        description="patterns of event types that end a resource: no value is held beyond such a sample",
    )
    ends_by_meter: dict[str, list[str]] = Field(
        default_factory=dict,
        description="the same, instead of those, by meter or pattern; the first that matches wins",
    )

    @pydantic.field_validator("periods")
    @classmethod
    def _multiples(cls, periods: list[int]) -> list[int]:
        if sorted(set(periods)) != periods or any(period % periods[0] for period in periods):
            raise ValueError("must be shortest first, each a multiple of the shortest")
        return periods


class Decode(_Section):
    """From payloads to samples and events."""

    meters: Path | None = Field(
        None, description="meter definitions (meters.yaml form); null is the shipped ones"
    )
    events: Path | None = Field(
        None,
        description="event definitions (event_definitions.yaml form); null is the shipped ones",
    )
    compute_notifications: Literal["legacy", "versioned"] = Field(
        "legacy",
        description="which form of Nova's notifications is metered where both are sent; both become events",
    )
    telemetry_secret: pydantic.SecretStr | None = Field(
        None, description="samples must be signed with it (Ceilometer's telemetry_secret)"
    )
    max_payload_bytes: int = Field(
        4 * 1024**2, ge=1024, description="bytes of a payload; larger ones are refused"
    )
    max_ahead: float = Field(
        86_400.0, ge=0, description="seconds a timestamp may lie ahead of the clock"
    )
    invalid_payload_bytes: int = Field(
        64 * 1024, ge=256, description="bytes of a refused payload that are kept"
    )
    store_raw: list[str] = Field(
        default_factory=list[str],
        description="priorities (info, error, ...) whose events keep the raw notification",
    )
    drop_unmatched: bool = Field(
        False,
        description="drop events that no definition matches instead of keeping their default traits",
    )


class Alarms(_Section):
    """Alarms: how many there may be, and how often actions are repeated."""

    project_quota: int = Field(
        -1,
        ge=-1,
        description="alarms a project may have, unless it has a quota of its own; -1 is any number",
    )
    user_quota: int = Field(-1, ge=-1, description="alarms a user may have; -1 is any number")
    max_actions: int = Field(
        -1, ge=-1, description="actions an alarm may have for each state; -1 is any number"
    )
    repeat: float = Field(
        60.0,
        ge=1,
        description="seconds after which the actions of an alarm that repeats them are called again",
    )
    actions: Actions = Field(Actions(), description="how actions are called")


class Derive(_Section):
    """Derived meters: rates, percentages and sums of other meters."""

    enabled: bool = Field(True, description="whether meters are derived")
    pipeline: Path | None = Field(
        None, description="definitions (pipeline.yaml form); null is the shipped ones"
    )
    max_gap: float = Field(
        3900.0, gt=0, description="seconds a value counts in arithmetic after its sample"
    )


class Config(_Section):
    """The whole configuration."""

    database: Database = Field(Database(), description="where everything is stored")
    api: Api = Field(Api(), description="the REST API")
    sql: Sql = Field(Sql(), description="the SQL endpoint for analysts")
    spool: Spool = Field(Spool(), description="where REST pushes land first")
    feeds: list[dict[str, Any]] = Field(
        default_factory=list,
        description="what to read from besides the spool: a list of {type, name, ...}; see docs/configuration.md",
    )
    job: Job = Field(Job(), description="the stream")
    usage: Usage = Field(Usage(), description="usage windows")
    decode: Decode = Field(Decode(), description="from payloads to samples and events")
    derive: Derive = Field(Derive(), description="derived meters")
    alarms: Alarms = Field(Alarms(), description="alarms")
