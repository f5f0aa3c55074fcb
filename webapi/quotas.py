"""How many alarms a project may have: /v2/quotas.

Source: Aodh's API. A project without a quota of its own has the configured one; -1 is any number.
"""

from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.alarms.reading import Reading
from store.alarm_quotas import delete_quotas, quotas_of, write_quotas
from webapi.alarm_requests import QUOTA, body_json
from webapi.alarm_writing import now_us
from webapi.errors import RequestError
from webapi.fields import check_arguments
from webapi.scope import Scope, current_scope
from webapi.services import services

bp: Final = Blueprint("quotas", __name__, url_prefix="/v2/quotas")

_MOST: Final = 2**31 - 1


@bp.get("")
def get_quotas() -> ResponseReturnValue:
    """A project's quotas, the caller's own if none is named. 403: another's, and the caller no admin."""
    check_arguments(request.args, frozenset({"project_id"}))
    scope = current_scope()
    project_id = request.args.get("project_id") or scope.project_id or ""
    if not scope.admin and project_id != scope.project_id:
        raise _forbidden()
    return _shown(project_id)


@bp.post("")
def set_quotas() -> ResponseReturnValue:
    """Set a project's quotas; admin only (403). 400: an unknown resource, a limit below -1."""
    _check_admin(current_scope())
    reading = Reading("quotas", body_json())
    reading.only(("project_id", "quotas"))
    project_id = reading.name_text("project_id")
    limits = dict(_quota(one) for one in reading.entries("quotas"))
    write_quotas(services().store, project_id, limits, now_us())
    return _shown(project_id), 201


@bp.delete("/<project_id>")
def forget_quotas(project_id: str) -> ResponseReturnValue:
    """Let a project have the configured quota again; admin only (403)."""
    _check_admin(current_scope())
    delete_quotas(services().store, project_id, now_us())
    return "", 204


def _quota(found: Any) -> tuple[str, int]:
    reading = Reading("quotas", found)
    reading.only(("resource", "limit"))
    return reading.choice("resource", (QUOTA,)), reading.integer("limit", -1, _MOST)


def _shown(project_id: str) -> dict[str, Any]:
    own = quotas_of(services().store, project_id)
    limits = own or {QUOTA: services().config.alarms.project_quota}
    quotas = [{"resource": resource, "limit": limit} for resource, limit in limits.items()]
    return {"project_id": project_id, "quotas": quotas}


def _check_admin(scope: Scope) -> None:
    if not scope.admin:
        raise _forbidden()


def _forbidden() -> RequestError:
    return RequestError("RBAC Authorization Failed", 403)
