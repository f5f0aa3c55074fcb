"""Raw payloads by HTTP, a line each: what `streamgauge replay` sends to a running service.

Guarantee: on disk in the spool before it is answered 201.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from webapi.errors import RequestError
from webapi.scope import require_admin
from webapi.services import services

TYPE = "application/x-ndjson"

bp = Blueprint("payloads", __name__)


@bp.post("/v1/payloads")
def post_payloads() -> ResponseReturnValue:
    """Spool each line; admin only. 415: another content type. 503: the spool is full."""
    require_admin()
    if request.mimetype != TYPE:
        raise RequestError(f"The body must be {TYPE}: one JSON object a line", 415)
    lines = [line for line in request.get_data().split(b"\n") if line.strip()]
    if lines:
        services().spool.append(lines)
    return {"accepted": len(lines)}, 201
