"""Resources: /v2/resources and /v2/resources/{id}, whose id may hold any character."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.latest import ResourceQuery, SampledResourceQuery
from store.queries.predicate import AllOf, Compare
from webapi import shapes
from webapi.errors import not_found
from webapi.fields import QUERY, check_arguments, conditions_from, integer_from, limit_from
from webapi.scope import current_scope
from webapi.services import fetch
from webapi.simple_query import RESOURCE_FIELDS, simple_query

bp: Final = Blueprint("resources", __name__, url_prefix="/v2/resources")


@bp.get("")
def get_resources() -> ResponseReturnValue:
    """Resources by id, with links to their meters unless meter_links=0.

    With a time range, those with samples in it, seen over it alone. 400: a bad field, operator or limit.
    """
    check_arguments(request.args, QUERY | {"limit", "meter_links"})
    query = simple_query(conditions_from(request.args), RESOURCE_FIELDS, current_scope())
    limit, links = limit_from(request.args), integer_from(request.args, "meter_links")
    ask = SampledResourceQuery if query.timed else ResourceQuery
    rows = fetch(ask(query.where, limit))
    return [shapes.resource(row, _root(), links != 0) for row in rows]


@bp.get("/<any_text:resource>")
def get_resource(resource: str) -> ResponseReturnValue:
    """One resource. 404: there is none with this id that the caller may see."""
    check_arguments(request.args, frozenset())
    scope = current_scope()
    own = [] if scope.admin else [Compare("project_id", "eq", scope.only_project or "")]
    rows = fetch(ResourceQuery(AllOf([*own, Compare("resource_id", "eq", resource)]), 1))
    if not rows:
        raise not_found("Resource", resource)
    return shapes.resource(rows[0], _root(), True)


def _root() -> str:
    return request.url_root.rstrip("/")
