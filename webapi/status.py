"""How the service is: /v1/status, /metrics and /healthcheck."""

from typing import Final

import prometheus_client
from clickhouse_connect.driver.exceptions import ClickHouseError
from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from store.client import StoreAwayError
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("status", __name__)


@bp.get("/v1/status")
def get_status() -> ResponseReturnValue:
    """Counts, rates, lag, each feed and the last error; admin only."""
    require_admin()
    return services().status()


@bp.get("/metrics")
def get_metrics() -> ResponseReturnValue:
    """The counters, in Prometheus' text format; admin only."""
    require_admin()
    return Response(
        prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST
    )


@bp.get("/healthcheck")
def get_health() -> ResponseReturnValue:
    """OK where the store answers. 503: it does not."""
    try:
        services().store.command("SELECT 1")
    except ClickHouseError as error:
        raise StoreAwayError(f"the store does not answer: {error}") from error
    return Response("OK", content_type="text/plain; charset=utf-8")
