"""The one place where a failure becomes an answer, in the shape that Ceilometer's clients read.

Shape: {"error_message": {"faultstring", "faultcode", "debuginfo"}} with the status of the failure;
    below /gnocchi {"code", "title", "description"}.
Errors: RequestError and DefinitionError are the caller's fault; a query over its bound is 400; a
    store, spool or Keystone that is away or full is 503; what is unforeseen is 500, logged with its
    traceback.
"""

import logging
from typing import Any

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from metering.alarms.faults import DefinitionError
from metering.alarms.trusts import TrustsError
from sources.spool import SpoolError
from store.client import StoreAwayError
from store.queries.run import PatternError, QueryBoundError

_log = logging.getLogger(__name__)


class RequestError(Exception):
    """The request cannot be served as it is: its status, and what to tell the caller.

    It is text, but for what Gnocchi's clients read as an object.
    """

    def __init__(self, faultstring: str | dict[str, Any], status: int = 400) -> None:
        super().__init__(faultstring)
        self.faultstring = faultstring
        self.status = status


def invalid_input(field: str, value: object, reason: str = "") -> RequestError:
    """Return the error for a field or attribute whose value cannot be taken: 400."""
    return RequestError(
        f"Invalid input for field/attribute {field}. Value: '{value}'. {reason}".rstrip()
    )


def unknown_argument(name: str, reason: str = "") -> RequestError:
    """Return the error for an argument that this route does not know: 400."""
    return RequestError(f'Unknown argument: "{name}"' + (f": {reason}" if reason else ""))


def not_found(kind: str, name: str) -> RequestError:
    """Return the error for something that is not there: 404."""
    return RequestError(f"{kind} {name} Not Found", 404)


def not_authorized(name: str, aspect: str = "project") -> RequestError:
    """Return the error for a project or user that is not the caller's own: 401."""
    return RequestError(f"Not Authorized to access {aspect} {name}", 401)


def answer_errors(app: Flask) -> None:
    """Make the application answer every failure in this module's shape."""
    app.register_error_handler(RequestError, _requested)
    app.register_error_handler(DefinitionError, _requested)
    app.register_error_handler(QueryBoundError, _refused)
    app.register_error_handler(PatternError, _refused)
    app.register_error_handler(StoreAwayError, _away)
    app.register_error_handler(SpoolError, _away)
    app.register_error_handler(TrustsError, _away)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def fault(faultstring: str | dict[str, Any], status: int) -> Response:
    """Return the answer that tells a failure."""
    code = "Server" if status >= 500 else "Client"
    body: dict[str, Any] = {
        "error_message": {"faultstring": faultstring, "faultcode": code, "debuginfo": None}
    }
    if request.path.startswith("/gnocchi"):
        title = HTTP_STATUS_CODES.get(status, "")
        body = {"code": status, "title": title, "description": faultstring}
    return Response(json.dumps(body), status=status, mimetype="application/json")


def _requested(error: RequestError | DefinitionError) -> Response:
    return fault(error.faultstring, error.status)


def _refused(error: QueryBoundError | PatternError) -> Response:
    return fault(str(error), 400)


def _away(error: StoreAwayError | SpoolError | TrustsError) -> Response:
    return fault(str(error), 503)


def _http(error: HTTPException) -> Response:
    answer = fault(error.description or error.name, error.code or 500)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            answer.headers[name] = value  # Allow of a 405, Retry-After, ...
    return answer


def _unforeseen(error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return fault("Internal server error; the log says more", 500)
