"""Samples: /v2/samples and /v2/samples/{id}."""

from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.latest import NewestSeriesQuery
from store.queries.predicate import AllOf, Compare, Predicate
from store.queries.samples import SampleQuery
from webapi import shapes
from webapi.errors import not_found
from webapi.fields import QUERY, check_arguments, conditions_from, limit_from
from webapi.sample_id import id_predicate
from webapi.scope import current_scope
from webapi.services import fetch
from webapi.simple_query import SAMPLE_FIELDS, simple_query

bp: Final = Blueprint("samples", __name__, url_prefix="/v2/samples")


@bp.get("")
def get_samples() -> ResponseReturnValue:
    """Samples of any meter, newest first. 400: a bad field, operator or limit."""
    check_arguments(request.args, QUERY | {"limit"})
    conditions = conditions_from(request.args)
    query = simple_query(conditions, SAMPLE_FIELDS, current_scope())
    limit = limit_from(request.args)
    # Nothing but the newest is wanted: the table of series tells since when there is enough.
    rows = (
        _since_enough(query.where, limit)
        if not conditions
        else fetch(SampleQuery(query.where, limit))
    )
    return [shapes.sample(row) for row in rows]


@bp.get("/<any_text:sample>")
def get_sample(sample: str) -> ResponseReturnValue:
    """One sample. 404: there is none with this id that the caller may see."""
    check_arguments(request.args, frozenset())
    scope = current_scope()
    own = [] if scope.admin else [Compare("project_id", "eq", scope.only_project or "")]
    rows = fetch(SampleQuery(AllOf([*own, id_predicate(sample)]), 1))
    if not rows:
        raise not_found("Sample", sample)
    return shapes.sample(rows[0])


def _since_enough(where: Predicate, limit: int) -> list[dict[str, Any]]:
    for row in fetch(NewestSeriesQuery(where, limit)):
        since = Compare("timestamp", "ge", row["timestamp"])
        rows = fetch(SampleQuery(AllOf([where, since]), limit))
        if len(rows) == limit:
            return rows
    return fetch(SampleQuery(where, limit))
