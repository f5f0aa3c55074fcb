"""Samples by a complex query: POST /v2/query/samples."""

from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.predicate import AllOf, Compare
from store.queries.samples import SampleQuery
from webapi import shapes
from webapi.complex_query import filter_from, order_from
from webapi.errors import RequestError, invalid_input
from webapi.fields import bounded_limit, check_arguments
from webapi.scope import current_scope
from webapi.services import fetch, services

bp: Final = Blueprint("query_samples", __name__, url_prefix="/v2/query")

_ATTRIBUTES: Final = frozenset({"filter", "orderby", "limit"})


@bp.post("/samples")
def query_samples() -> ResponseReturnValue:
    """Samples that a filter takes, in an order. 400: a filter, order or limit that is none."""
    check_arguments(request.args, frozenset())
    scope = current_scope()
    body = _body()
    own = [] if scope.admin else [Compare("project_id", "eq", scope.only_project or "")]
    where = AllOf([*own, filter_from(body.get("filter"), scope)])
    order = order_from(body.get("orderby"))
    limit = _limit(body.get("limit"))
    query = SampleQuery(where, limit, order) if order else SampleQuery(where, limit)
    return [shapes.sample(row) for row in fetch(query)]


def _body() -> dict[str, Any]:
    try:
        body = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError("The body must be an object with filter, orderby and limit")
    for name in body:
        if name not in _ATTRIBUTES:
            raise RequestError(f"Unknown attribute: {name}")
    return body


def _limit(value: Any) -> int:
    if value is None:
        return services().config.api.default_limit
    if isinstance(value, str) and len(value) <= 20 and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_input("limit", value, "unable to convert to int")
    return bounded_limit(value)
