"""Measures as Ceilometer's gnocchi publisher sends them: POST .../batch/resources/metrics/measures.

Guarantee: answered 202 only after the measures are in the spool, as samples. Sent again they change
    nothing.
Errors: resources that are not known are all named in a 400, upon which the agent creates them and
    sends the batch again; nothing of it is taken until then. A value or time that cannot be taken shows
    under invalid.
Source: Gnocchi 4.7's v1 API.
"""

import datetime as dt
import functools
import itertools
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from metering.definitions.meter_file import Form, read_meters
from metering.definitions.meters import SHIPPED
from metering.measures import Series, measured_samples, series_of
from metering.meter_types import meter_types
from metering.refusal import RefusedError
from sources.agent_message import agent_message, signed
from webapi.errors import RequestError
from webapi.gnocchi import body_of
from webapi.register import Resource
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("gnocchi_measures", __name__, url_prefix="/gnocchi/v1")

_SAMPLES: Final = 200  # in a payload


@bp.post("/batch/resources/metrics/measures")
def post_measures() -> ResponseReturnValue:
    """Take measures of resources; admin only. 400: resources are not known; 503: the spool is full.

    Every metric is taken, so `create_metrics` changes nothing.
    """
    require_admin()
    try:
        batch = series_of(body_of(dict, services().config.api.max_body))
    except RefusedError as error:
        raise RequestError(f"Invalid input: {error}") from None
    known = _resources(batch)
    decode = services().config.decode
    types = _types(decode.meters or SHIPPED, decode.compute_notifications)
    payloads = _payloads(
        itertools.chain.from_iterable(
            measured_samples(series, known[series.resource_id].attributes, types)
            for series in batch
        )
    )
    if payloads:
        services().spool.append(payloads)
    return {}, 202


@functools.cache
def _types(definitions: Path, form: Form) -> dict[str, str]:
    return meter_types(read_meters(definitions, form))


def _resources(batch: list[Series]) -> dict[str, Resource]:
    """Return the resources of a batch. Raises RequestError with all that are not known."""
    named = dict.fromkeys(series.resource_id for series in batch)
    known = services().register.find(named)
    unknown = [name for name in named if name not in known]
    if unknown:
        detail = [{"resource_id": name, "original_resource_id": name} for name in unknown]
        raise RequestError({"cause": "Unknown resources", "detail": detail})
    return known


def _payloads(samples: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return samples as an agent's messages. Raises RequestError."""
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None).isoformat()
    decode = services().config.decode
    secret = decode.telemetry_secret
    payloads = []
    for some in _parts(samples):
        each = signed(some, secret.get_secret_value()) if secret else some
        payloads.append(agent_message(each, "gnocchi", now, str(uuid.uuid4())))
        if len(payloads[-1]) > decode.max_payload_bytes:
            raise RequestError("Attributes of these resources are too large", 413)
    return payloads


def _parts(samples: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    pending = iter(samples)
    while part := list(itertools.islice(pending, _SAMPLES)):
        yield part
