"""What there is: the versions of the API, and what this one can be asked for.

Source: Ceilometer's v2 API and Aodh's: capabilities are flattened to `meters:query:simple` and the like.
"""

from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

bp: Final = Blueprint("capabilities", __name__)

_API: Final[dict[str, Any]] = {
    "meters": {"query": {"simple": True, "metadata": True}},
    "resources": {"query": {"simple": True, "metadata": True}},
    "samples": {"query": {"simple": True, "metadata": True, "complex": True}},
    "statistics": {
        "groupby": True,
        "query": {"simple": True, "metadata": True},
        "aggregation": {
            "standard": True,
            "selectable": dict.fromkeys(
                ("max", "min", "sum", "avg", "count", "stddev", "cardinality"), True
            ),
        },
    },
    "events": {"query": {"simple": True}},
    "alarms": {
        "query": {"simple": True, "complex": True},
        "history": {"query": {"simple": True, "complex": True}},
    },
}
_STORAGE: Final = {"storage": {"production_ready": True}}


@bp.get("/")
def get_versions() -> ResponseReturnValue:
    """The versions of the API."""
    return {"versions": {"values": [_version()]}}


@bp.get("/v2")
def get_version() -> ResponseReturnValue:
    """This version of the API."""
    return {"version": _version()}


@bp.get("/v2/capabilities")
def get_capabilities() -> ResponseReturnValue:
    """What can be asked for."""
    return {
        "api": _flattened(_API),
        "storage": _flattened(_STORAGE),
        "event_storage": _flattened(_STORAGE),
        "alarm_storage": _flattened(_STORAGE),
    }


def _version() -> dict[str, Any]:
    return {
        "id": "v2",
        "status": "stable",
        "updated": "2013-02-13T00:00:00Z",
        "links": [{"rel": "self", "href": f"{request.url_root.rstrip('/')}/v2"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.telemetry-v2+json"}
        ],
    }


def _flattened(tree: dict[str, Any], prefix: str = "") -> dict[str, bool]:
    found: dict[str, bool] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= _flattened(value, f"{prefix}{name}:")
        else:
            found[f"{prefix}{name}"] = value
    return found
