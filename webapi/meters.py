"""Meters, and a meter's samples in their old form: /v2/meters and /v2/meters/{name}."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.latest import MeterQuery, UniqueMeterQuery
from store.queries.predicate import AllOf, Compare
from store.queries.samples import SampleQuery
from webapi import shapes
from webapi.fields import QUERY, boolean_from, check_arguments, conditions_from, limit_from
from webapi.scope import current_scope
from webapi.services import fetch
from webapi.simple_query import METER_FIELDS, SAMPLE_FIELDS, simple_query

bp: Final = Blueprint("meters", __name__, url_prefix="/v2/meters")


@bp.get("")
def get_meters() -> ResponseReturnValue:
    """Meters of each resource, or with `unique` each meter once. 400: a bad field, operator or limit."""
    check_arguments(request.args, QUERY | {"limit", "unique"})
    query = simple_query(conditions_from(request.args), METER_FIELDS, current_scope(), times=False)
    limit = limit_from(request.args)
    if boolean_from(request.args, "unique"):
        return [shapes.unique_meter(row) for row in fetch(UniqueMeterQuery(query.where, limit))]
    return [shapes.meter(row) for row in fetch(MeterQuery(query.where, limit))]


@bp.get("/<meter>")
def get_meter_samples(meter: str) -> ResponseReturnValue:
    """A meter's samples, newest first. 400: a bad field, operator or limit."""
    check_arguments(request.args, QUERY | {"limit"})
    query = simple_query(conditions_from(request.args), SAMPLE_FIELDS, current_scope())
    where = AllOf([Compare("meter", "eq", meter), query.where])
    rows = fetch(SampleQuery(where, limit_from(request.args)))
    return [shapes.old_sample(row) for row in rows]
