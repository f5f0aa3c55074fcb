"""Samples by a complex query: POST /v2/query/samples."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.samples import SampleQuery
from webapi import shapes
from webapi.complex_query import Vocabulary, complex_query
from webapi.fields import check_arguments
from webapi.scope import current_scope
from webapi.services import fetch, services

bp: Final = Blueprint("query_samples", __name__, url_prefix="/v2/query")

_SAMPLES: Final = Vocabulary(
    "samples",
    owner="project_id",
    texts={
        "meter": "meter",
        "counter_name": "meter",
        "type": "type",
        "counter_type": "type",
        "unit": "unit",
        "counter_unit": "unit",
        "user": "user_id",
        "user_id": "user_id",
        "project": "project_id",
        "project_id": "project_id",
        "resource": "resource_id",
        "resource_id": "resource_id",
        "source": "source",
        "message_id": "message_id",
    },
    numbers={"volume": "volume", "counter_volume": "volume"},
    times={"timestamp": "timestamp", "recorded_at": "recorded_at"},
    metadata=True,
    messages=True,
)


@bp.post("/samples")
def query_samples() -> ResponseReturnValue:
    """Samples that a filter takes, in an order. 400: a filter, order or limit that is none."""
    check_arguments(request.args, frozenset())
    asked = complex_query(current_scope(), _SAMPLES, services().config.api.default_limit)
    plain = SampleQuery(asked.where, asked.limit)
    query = SampleQuery(asked.where, asked.limit, asked.order) if asked.order else plain
    return [shapes.sample(row) for row in fetch(query)]
