"""Late samples, and whether they were restated: /v1/late."""

from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.late import LateQuery
from webapi.fields import boolean_from, check_arguments, limit_from
from webapi.pages import page
from webapi.selection import SELECTION, labels_from, range_from
from webapi.services import services

bp: Final = Blueprint("late", __name__, url_prefix="/v1/late")


@bp.get("")
def get_late() -> ResponseReturnValue:
    """Samples that came when their window was final, the oldest first. 400: a bad time or marker."""
    check_arguments(request.args, SELECTION | {"restated"})
    restated = boolean_from(request.args, "restated") if request.args.get("restated") else None
    start, end = range_from(request.args)
    period, limit = min(services().config.usage.periods), limit_from(request.args) + 1
    query = LateQuery(labels_from(request.args), period, limit, start, end, restated)
    return page("late", query, hidden=("variant",))
