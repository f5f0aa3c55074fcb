"""What views work with: the configuration, the store, the spool and the status, of this application."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
from flask import current_app

from metering.config import Config
from metering.restatement import Restatement, RestateScope
from store.client import Store
from store.queries.run import Bounds, Query, TableQuery, run, run_table
from webapi.alarming import Alarming
from webapi.recent import Recent
from webapi.register import Register

EXTENSION: Final = "streamgauge"

Restate = Callable[[RestateScope, bool], Restatement]  # True writes what it finds


class Spool(Protocol):
    """Where pushes land before they are answered."""

    def append(self, bodies: Sequence[bytes]) -> None:
        """Keep these bodies; durable when it returns."""


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """What the application was made with."""

    config: Config
    store: Store
    spool: Spool
    status: Callable[[], dict[str, Any]]
    restate: Restate | None = None
    alarming: Alarming = dataclasses.field(default_factory=Alarming)
    register: Register = dataclasses.field(default_factory=Register)
    recent: Recent = dataclasses.field(default_factory=Recent)


def services() -> Services:
    """Return this application's services."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Services)
    return found


def fetch(query: Query) -> list[dict[str, Any]]:
    """Return a query's rows, within the configured bounds. Raises QueryBoundError, StoreAwayError."""
    return run(services().store, query, _bounds())


def fetch_recent(query: Query) -> list[dict[str, Any]]:
    """Return a query's rows as they were within the last second. Raises as `fetch`."""
    return services().recent.rows(query, fetch)


def fetch_table(query: TableQuery) -> pa.Table:
    """Return a query's rows as a table. Raises as `fetch`."""
    return run_table(services().store, query, _bounds())


def _bounds() -> Bounds:
    api = services().config.api
    return Bounds(api.query_seconds, api.query_memory)
