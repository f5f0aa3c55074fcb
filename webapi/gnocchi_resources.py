"""Resources as Ceilometer's gnocchi publisher creates, changes and searches them.

What is told of a resource is owner and metadata of the samples that its measures become; see
webapi.register for how long it is known.
Source: Gnocchi 4.7's v1 API.
"""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from webapi.errors import RequestError
from webapi.gnocchi import body_of, text_of
from webapi.register import Matches, Resource
from webapi.scope import require_admin
from webapi.services import services

bp: Final = Blueprint("gnocchi_resources", __name__, url_prefix="/gnocchi/v1")

_ANY: Final = "generic"  # the type that every resource is of, too
_DEEPEST: Final = 10  # filters within filters
_ATTRIBUTES: Final = 100  # of a resource, once it is changed
_UNSETTABLE: Final = ("id", "original_resource_id", "type", "metrics")


@bp.post("/resource/<kind>")
def create_resource(kind: str) -> ResponseReturnValue:
    """Take a resource; admin only. 409: it is known."""
    require_admin()
    body = body_of(dict)
    resource = Resource(text_of(body, "id"), kind, _attributes(body))
    if not services().register.create(resource):
        raise RequestError(f"Resource {resource.id} already exists", 409)
    return resource.to_json(), 201


@bp.get("/resource/<kind>/<any_text:name>")
def get_resource(kind: str, name: str) -> ResponseReturnValue:
    """One resource. 404: it is not known."""
    require_admin()
    return _known(kind, name).to_json()


@bp.patch("/resource/<kind>/<any_text:name>")
def change_resource(kind: str, name: str) -> ResponseReturnValue:
    """Change attributes of a resource: samples from now on have them; admin only. 404: it is not known."""
    require_admin()
    attributes = _attributes(body_of(dict))
    known = _known(kind, name)
    if len({**known.attributes, **attributes}) > _ATTRIBUTES:
        raise RequestError(f"Invalid input: a resource has at most {_ATTRIBUTES} attributes")
    changed = services().register.change(name, attributes)
    if changed is None:
        raise _unknown(name)
    return changed.to_json()


@bp.post("/search/resource/<kind>")
def search_resources(kind: str) -> ResponseReturnValue:
    """Resources that a filter matches, `api.max_limit` at the most. 400: a filter that is none."""
    require_admin()
    wanted = body_of(dict) if request.get_data() else {}
    matches = _filter(wanted, _DEEPEST)
    found = services().register.search(
        lambda each: kind in (_ANY, each["type"]) and matches(each),
        services().config.api.max_limit,
    )
    return [each.to_json() for each in found]


def _known(kind: str, name: str) -> Resource:
    """Raises RequestError (404)."""
    found = services().register.find([name]).get(name)
    if found is None or kind not in (_ANY, found.type):
        raise _unknown(name)
    return found


def _unknown(name: str) -> RequestError:
    return RequestError(f"Resource {name} does not exist", 404)


def _attributes(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _UNSETTABLE}


def _filter(wanted: Any, deep: int) -> Matches:
    """Return what a filter such as {"=": {"instance_id": "x"}} matches. Raises RequestError."""
    if wanted == {}:
        return lambda _: True
    if not deep or not isinstance(wanted, dict) or len(wanted) != 1:
        raise RequestError("Invalid input: a filter is an object of one operator")
    ((operator, value),) = wanted.items()
    if operator in ("and", "or") and isinstance(value, list):
        parts = [_filter(one, deep - 1) for one in value]
        every = all if operator == "and" else any
        return lambda each: every(part(each) for part in parts)
    if operator in ("=", "==", "eq") and isinstance(value, dict) and len(value) == 1:
        ((name, compared),) = value.items()
        return _equal(name, compared)
    raise RequestError(f"Invalid input: {operator[:20]!r} is not =, and, or")


def _equal(name: str, compared: Any) -> Matches:
    def matches(each: Mapping[str, Any]) -> bool:
        return bool(each.get(name) == compared)

    return matches
