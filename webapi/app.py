"""The web application: its blueprints, its JSON and what every request is checked for."""

import importlib
from collections.abc import Callable
from typing import Any, Final

import orjson
from flask import Flask, request
from flask.json.provider import JSONProvider
from werkzeug.routing import BaseConverter

from metering.config import Config
from store.client import Store
from webapi.alarming import Alarming
from webapi.errors import RequestError, answer_errors
from webapi.services import EXTENSION, Restate, Services, Spool

_BLUEPRINTS: Final = (
    "agents",
    "alarm_history",
    "alarm_metrics",
    "alarm_state",
    "alarm_trials",
    "alarms",
    "capabilities",
    "deliveries",
    "cloudevents",
    "events",
    "gnocchi",
    "gnocchi_measures",
    "gnocchi_resources",
    "invalid",
    "late",
    "meters",
    "openapi",
    "payloads",
    "query_alarms",
    "query_samples",
    "quotas",
    "resources",
    "restate",
    "samples",
    "status",
    "statistics",
    "push",
    "usage",
)


class _AnyText(BaseConverter):
    """A part of a path that may hold any character, slashes too."""

    regex = ".+"
    part_isolating = False


class _Json(JSONProvider):
    """JSON with times as Ceilometer wrote them: naive UTC, microseconds only where there are any."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj, option=orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


def create_app(
    config: Config,
    store: Store,
    spool: Spool,
    status: Callable[[], dict[str, Any]],
    restate: Restate | None = None,
    alarming: Alarming | None = None,
) -> Flask:
    """Return the application over this store, with pushes into this spool."""
    app = Flask("webapi", static_folder=None)
    app.json = _Json(app)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # a resource's id may hold any character
    app.url_map.converters["any_text"] = _AnyText
    app.config["MAX_CONTENT_LENGTH"] = config.api.max_body
    app.extensions[EXTENSION] = Services(
        config, store, spool, status, restate, alarming or Alarming()
    )
    answer_errors(app)
    app.before_request(_negotiate)
    for name in _BLUEPRINTS:
        app.register_blueprint(importlib.import_module(f"webapi.{name}").bp)
    return app


def _negotiate() -> None:
    """Let only a request pass that takes JSON and sends JSON. Raises RequestError (406, 415)."""
    if not _speaks_json(request.path):
        return
    if request.accept_mimetypes and not request.accept_mimetypes.accept_json:
        raise RequestError("Only application/json can be answered", 406)
    sends = request.mimetype
    if request.method in ("POST", "PUT") and sends and not request.is_json:
        raise RequestError(f"The body must be application/json, not {sends}", 415)


def _speaks_json(path: str) -> bool:
    return path in ("", "/") or path.startswith("/v2")
