"""Alarms for tests of the API: definitions, callers, and a client whose times are told apart by mask."""

import re
from typing import Any

from flask.testing import FlaskClient

from metering.config import Config
from store.client import Store
from tests.api import RecordingSpool
from webapi.alarming import Alarming
from webapi.app import create_app

ADMIN = {"X-User-Id": "root", "X-Project-Id": "ops", "X-Roles": "admin"}
ALICE = {"X-User-Id": "alice", "X-Project-Id": "p1", "X-Roles": "member"}
BOB = {"X-User-Id": "bob", "X-Project-Id": "p2", "X-Roles": "member"}
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")

THRESHOLD = {"meter_name": "cpu_util", "threshold": 80.0}
GNOCCHI = {"threshold": 80.0, "aggregation_method": "mean"}
RULES: dict[str, dict[str, Any]] = {
    "threshold": THRESHOLD,
    "gnocchi_resources_threshold": {
        **GNOCCHI,
        "metric": "cpu_util",
        "resource_id": "vm0",
        "resource_type": "instance",
    },
    "gnocchi_aggregation_by_metrics_threshold": {**GNOCCHI, "metrics": ["dm0wK2NwdV91dGls"]},
    "gnocchi_aggregation_by_resources_threshold": {
        **GNOCCHI,
        "metric": "cpu_util",
        "query": '{"=": {"server_group": "g"}}',
        "resource_type": "instance",
    },
    "event": {"event_type": "compute.instance.*"},
    "composite": {"or": [{"type": "threshold", **THRESHOLD}]},
    "loadbalancer_member_health": {"pool_id": "p", "stack_id": "s", "autoscaling_group_id": "g"},
    "absence": {"meter_name": "cpu", "within": 600},
}


def definition(kind: str = "threshold", **fields: Any) -> dict[str, Any]:
    """Return what a request says to create an alarm of a type."""
    return {"name": f"a {kind}", "type": kind, f"{kind}_rule": RULES[kind]} | fields


def api(store: Store, alarming: Alarming | None = None, **config: dict[str, Any]) -> FlaskClient:
    """Return a client of the application; `alarms={"max_actions": 1}` and the like configure it."""
    configuration = Config.model_validate(config)
    app = create_app(configuration, store, RecordingSpool(), dict, alarming=alarming)
    return app.test_client()


def created(client: FlaskClient, who: dict[str, str] = ADMIN, **fields: Any) -> dict[str, Any]:
    """Create an alarm and return it."""
    answer = client.post("/v2/alarms", json=definition(**fields), headers=who)
    assert answer.status_code == 201, answer.get_json()
    alarm: dict[str, Any] = answer.get_json()
    return alarm


def masked(found: Any) -> Any:
    """Return what was answered with every time as TIME."""
    if isinstance(found, dict):
        return {name: masked(value) for name, value in found.items()}
    if isinstance(found, list):
        return [masked(value) for value in found]
    return TIME.sub("TIME", found) if isinstance(found, str) else found
