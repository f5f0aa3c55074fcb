"""How often alarms were evaluated to each state: /v2/metrics.

Source: Aodh's API.
"""

import itertools
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.alarms.states import STATES
from store.alarm_quotas import EvaluationsQuery
from webapi.errors import RequestError
from webapi.fields import boolean_from, check_arguments
from webapi.scope import current_scope
from webapi.services import fetch, services

bp: Final = Blueprint("alarm_metrics", __name__, url_prefix="/v2/metrics")


@bp.get("")
def get_metrics() -> ResponseReturnValue:
    """Evaluations by alarm and state. 403: all projects', and the caller no admin."""
    check_arguments(request.args, frozenset({"all_projects"}))
    scope, everyone = current_scope(), boolean_from(request.args, "all_projects")
    if everyone and not scope.admin:
        raise RequestError("RBAC Authorization Failed", 403)
    project_id = None if everyone else scope.project_id
    rows = fetch(EvaluationsQuery(project_id, services().config.api.max_limit))
    groups = itertools.groupby(rows, key=lambda row: (row["project_id"], row["alarm_id"]))
    return {"evaluation_results": [_result(*key, list(found)) for key, found in groups]}


def _result(project_id: str, alarm_id: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {row["state"]: row["evaluated"] for row in rows}
    return {
        "alarm_id": alarm_id,
        "project_id": project_id or None,
        "state_counters": {state: counted.get(state, 0) for state in sorted(STATES)},
    }
