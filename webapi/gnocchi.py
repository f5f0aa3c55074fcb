"""The routes of Gnocchi that Ceilometer's agents call, below /gnocchi: versions, archive policies, types.

An agent sets archive policies and types of resources up before it sends anything. They are taken, kept
until the process ends, and mean nothing here: samples are stored as they are.
Source: Gnocchi 4.7's v1 API; Ceilometer 27's publisher/gnocchi and ceilometer-upgrade.
"""

from typing import Any, Final

import orjson
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from webapi.errors import RequestError
from webapi.register import FullError, Names
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("gnocchi", __name__, url_prefix="/gnocchi")

_BUILD: Final = "4.7.0"  # whose routes these are; ceilometer-upgrade wants 4.2.0 or newer
_DESCRIBED: Final = 16_384  # bytes that may describe a thing, which is kept
_METHODS: Final = ("mean", "sum", "min", "max", "count", "rate:mean")


@bp.get("/")
def get_versions() -> ResponseReturnValue:
    """The version of Gnocchi's API."""
    links = [{"rel": "self", "href": f"{request.base_url.rstrip('/')}/v1/"}]
    version = {"status": "CURRENT", "links": links, "id": "v1.0", "updated": "2015-03-19"}
    return {"build": _BUILD, "versions": [version]}


@bp.get("/v1")
def get_version() -> ResponseReturnValue:
    """What there is in this version."""
    here = request.base_url.rstrip("/")
    names = ("archive_policy", "batch", "capabilities", "resource", "resource_type", "search")
    links = [{"rel": name, "href": f"{here}/{name}"} for name in names]
    return {"version": "1.0", "links": [{"rel": "self", "href": here}, *links]}


@bp.get("/v1/capabilities")
def get_capabilities() -> ResponseReturnValue:
    """Methods that archive policies may name."""
    return {"aggregation_methods": list(_METHODS)}


@bp.get("/v1/archive_policy")
def get_policies() -> ResponseReturnValue:
    """The archive policies that were created."""
    require_admin()
    return services().register.policies.all()


@bp.post("/v1/archive_policy")
def create_policy() -> ResponseReturnValue:
    """Take an archive policy; admin only. 409: there is one of that name."""
    require_admin()
    return _create(services().register.policies, "Archive policy", {})


@bp.get("/v1/archive_policy/<name>")
def get_policy(name: str) -> ResponseReturnValue:
    """One archive policy. 404: it was not created since the process started."""
    require_admin()
    return _known(services().register.policies.get(name), f"Archive policy {name}")


@bp.get("/v1/resource_type")
def get_types() -> ResponseReturnValue:
    """The types of resources that were created."""
    require_admin()
    return services().register.types.all()


@bp.post("/v1/resource_type")
def create_type() -> ResponseReturnValue:
    """Take a type of resources; admin only. 409: there is one of that name."""
    require_admin()
    return _create(services().register.types, "Resource type", {"attributes": {}})


@bp.get("/v1/resource_type/<name>")
def get_type(name: str) -> ResponseReturnValue:
    """One type. 404: it was not created since the process started."""
    require_admin()
    return _known(services().register.types.get(name), f"Resource type {name}")


@bp.patch("/v1/resource_type/<name>")
def change_type(name: str) -> ResponseReturnValue:
    """Add and remove attributes, by JSON patch; admin only. 404: it is not known."""
    require_admin()
    operations = body_of(list)

    def change(known: dict[str, Any]) -> dict[str, Any]:
        return {**known, "attributes": _patched(known["attributes"], operations)}

    return _known(services().register.types.change(name, change), f"Resource type {name}")


def body_of(kind: type[Any], most: int = _DESCRIBED) -> Any:
    """Return the request's body, which must be of this kind. Raises RequestError."""
    data = request.get_data()
    if len(data) > most:
        raise RequestError(f"The body may have {most} bytes, not {len(data)}", 413)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The body is no JSON: {error}") from None
    if not isinstance(body, kind):
        what = "an object" if kind is dict else "a list"
        raise RequestError(f"The body must be {what}")
    return body


def text_of(body: dict[str, Any], name: str) -> str:
    """Return a text that must be in a body. Raises RequestError."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"Invalid input: {name} must be a text")
    return value


def _create(names: Names, kind: str, more: dict[str, Any]) -> ResponseReturnValue:
    described = {**more, **body_of(dict)}
    name = text_of(described, "name")
    if not isinstance(described.get("attributes", {}), dict):
        raise RequestError("Invalid input: attributes must be an object")
    try:
        if not names.add(name, described):
            raise RequestError(f"{kind} {name} already exists", 409)
    except FullError as error:
        raise RequestError(f"{kind} {name} is too many: {error}") from None
    return described, 201


def _known(thing: dict[str, Any] | None, what: str) -> ResponseReturnValue:
    if thing is None:
        raise RequestError(f"{what} does not exist", 404)
    return thing


def _patched(attributes: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    """Return attributes after a JSON patch of them. Raises RequestError."""
    patched = dict(attributes)
    for one in operations:
        if not isinstance(one, dict) or not str(one.get("path")).startswith("/attributes/"):
            raise RequestError("Invalid input: an operation needs a path below /attributes")
        name = one["path"].removeprefix("/attributes/")
        if one.get("op") == "remove":
            patched.pop(name, None)
        elif one.get("op") == "add" and isinstance(one.get("value"), dict):
            patched[name] = {key: one["value"][key] for key in one["value"] if key != "options"}
        else:
            raise RequestError("Invalid input: an operation adds a value or removes one")
    return patched
