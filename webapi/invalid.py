"""Refused payloads, and feeding them again: /v1/invalid. Admin only."""

import base64
import datetime as dt
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.refusal import REASONS
from store.queries.invalid import InvalidQuery, OneInvalidQuery, mark_redriven
from webapi.errors import RequestError, invalid_input, not_found, unknown_argument
from webapi.fields import bounded_limit, check_arguments, limit_from
from webapi.scope import require_admin
from webapi.services import fetch, services

bp: Final = Blueprint("invalid", __name__, url_prefix="/v1/invalid")

_MOST_AT_ONCE: Final = 1000  # payloads that one request feeds again


@bp.get("")
def get_invalid() -> ResponseReturnValue:
    """What was refused, the newest first. 400: an unknown reason, a bad limit."""
    require_admin()
    check_arguments(request.args, frozenset({"reason", "feed", "limit", "marker"}))
    reason, feed, marker = (request.args.get(name) for name in ("reason", "feed", "marker"))
    _check_reason(reason)
    query = InvalidQuery(limit_from(request.args), reason, feed, marker)
    return [_refused(row) for row in fetch(query)]


@bp.get("/<name>")
def get_one(name: str) -> ResponseReturnValue:
    """One refused payload, as text or else as base64. 404: it is not there."""
    require_admin()
    check_arguments(request.args, frozenset())
    row = _one(name)
    return _refused(row) | _payload(row)


@bp.post("/<name>/redrive")
def redrive_one(name: str) -> ResponseReturnValue:
    """Feed one refused payload again. 404: it is not there; 409: it was cut, and is not whole."""
    require_admin()
    row = _one(name)
    if row["kept"] < row["size"]:
        raise RequestError(
            f"Of this payload's {row['size']} bytes only {row['kept']} were kept"
            " (decode.invalid_payload_bytes): it cannot be fed again",
            409,
        )
    return _refused(row) | {"redriven_at": _redrive([row])}


@bp.post("/redrive")
def redrive_many() -> ResponseReturnValue:
    """Feed again what was kept in full and not fed again yet. 400: a bad attribute or value."""
    require_admin()
    reason, limit = _asked(request.get_json(silent=True) if request.get_data() else {})
    query = InvalidQuery(limit, reason, pending=True, whole=True, payload=True)
    rows = fetch(query)
    if rows:
        _redrive(rows)
    return {"redriven": len(rows)}


def _redrive(rows: list[dict[str, Any]]) -> dt.datetime:
    """Put the payloads into the spool, then say so: never the other way round."""
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    services().spool.append([base64.b64decode(row["payload_"]) for row in rows])
    mark_redriven(services().store, [row["id"] for row in rows], now)
    return now.replace(tzinfo=None)


def _asked(body: Any) -> tuple[str | None, int]:
    if not isinstance(body, dict):
        raise RequestError('The body must be a JSON object such as {"reason": "bad_json"}')
    for name in body:
        if name not in ("reason", "limit"):
            raise unknown_argument(name)
    reason, limit = body.get("reason"), body.get("limit", services().config.api.default_limit)
    if reason is not None and not isinstance(reason, str):
        raise invalid_input("reason", reason, "it is text")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid_input("limit", limit, "it is a whole number")
    _check_reason(reason)
    return reason, min(bounded_limit(limit), _MOST_AT_ONCE)


def _check_reason(reason: str | None) -> None:
    if reason is not None and reason not in REASONS:
        raise invalid_input("reason", reason, f"Value should be one of: {', '.join(REASONS)}")


def _one(name: str) -> dict[str, Any]:
    rows = fetch(OneInvalidQuery(name))
    if not rows:
        raise not_found("Invalid payload", name)
    return rows[0]


def _refused(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "payload_"}


def _payload(row: dict[str, Any]) -> dict[str, str]:
    try:
        text = base64.b64decode(row["payload_"]).decode()
    except UnicodeDecodeError:
        return {"payload": row["payload_"], "encoding": "base64"}
    return {"payload": text, "encoding": "text"}
