"""Working out usage again from stored samples: /v1/usage/restate. Admin only."""

import dataclasses
from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from metering.restatement import NoJobError, RestateError, RestateScope
from webapi.errors import RequestError, invalid_input, unknown_argument
from webapi.fields import check_arguments
from webapi.scope import require_admin
from webapi.selection import milliseconds_of
from webapi.services import services

bp: Final = Blueprint("restate", __name__, url_prefix="/v1/usage/restate")

_ATTRIBUTES: Final = ("start", "end", "meter", "project", "apply")


@bp.post("")
def restate() -> ResponseReturnValue:
    """What would change; with `apply` it is written. 400: a bad body; 409: it can't be done; 503: not yet."""
    require_admin()
    check_arguments(request.args, frozenset())
    body = _body()
    scope, write = _scope(body), _flag(body)
    engine = services().restate
    if engine is None:
        raise RequestError("Restating is not served here: there is no job in this process", 503)
    try:
        found = engine(scope, write)
    except RestateError as error:
        raise RequestError(str(error), 409) from error
    except NoJobError as error:
        raise RequestError(str(error), 503) from error
    told = dataclasses.asdict(found)
    for change in told["sums"]:
        change["project_id"] = change["project_id"] or None
    return told


def _body() -> dict[str, Any]:
    try:
        body = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestError(f"The body must be an object with {', '.join(_ATTRIBUTES)}")
    for name in body:
        if name not in _ATTRIBUTES:
            raise unknown_argument(name)
    return body


def _scope(body: dict[str, Any]) -> RestateScope:
    for name in ("start", "end"):
        if name not in body:
            raise RequestError(f"The body needs {name}, a time")
    start, end = (milliseconds_of(name, body[name]) for name in ("start", "end"))
    if end <= start:
        raise invalid_input("end", body["end"], "it must be later than start")
    return RestateScope(start, end, _text(body, "meter"), _text(body, "project"))


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid_input(name, value, "it is text")
    return value


def _flag(body: dict[str, Any]) -> bool:
    value = body.get("apply", False)
    if not isinstance(value, bool):
        raise invalid_input("apply", value, "it is true or false")
    return value
