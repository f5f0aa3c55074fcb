"""The description of the API in OpenAPI 3.1, kept true to the routes by test: /openapi.json."""

import functools
from importlib import resources
from typing import Any, Final

import orjson
from flask import Blueprint
from flask.typing import ResponseReturnValue

bp: Final = Blueprint("openapi", __name__)


@bp.get("/openapi.json")
def get_openapi() -> ResponseReturnValue:
    """The description of every route."""
    return description()


@functools.cache
def description() -> dict[str, Any]:
    """Return the description, as webapi/openapi.json has it."""
    found: dict[str, Any] = orjson.loads(
        resources.files("webapi").joinpath("openapi.json").read_bytes()
    )
    return found
