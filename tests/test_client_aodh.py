"""What the unmodified `aodh` client 3.12.0 does with alarms and prints of them."""

import json
from collections.abc import Iterator

import pytest

from store.client import Store
from tests.alarm_api import TIME, masked
from tests.aodh import Client, as_json, running


@pytest.fixture
def aodh(store: Store) -> Iterator[Client]:
    with running(store, "aodh") as client:
        yield client


def busy(aodh: Client, *more: str, **caller: str) -> str:
    """Create the alarm `busy` and return its id."""
    plain = ("alarm", "create", "--name", "busy", "-t", "threshold", "-m", "cpu_util")
    printed = aodh(*plain, "--threshold", "80", *more, "-f", "value", "-c", "alarm_id", **caller)
    return printed.strip()


BUSY = {
    "name": "busy",
    "description": "Alarm when cpu_util is gt a max of 80.0 over 300 seconds",
    "type": "threshold",
    "enabled": False,
    "severity": "critical",
    "repeat_actions": True,
    "ok_actions": ["http://x/"],
    "alarm_actions": ["http://x/", "http://y/"],
    "insufficient_data_actions": [],
    "project_id": "p1",
    "user_id": "alice",
    "timestamp": "TIME",
    "state": "insufficient data",
    "state_timestamp": "TIME",
    "state_reason": "Not evaluated yet",
    "evaluate_timestamp": "TIME",
    "meter_name": "cpu_util",
    "query": "resource_id = vm0",
    "period": 300,
    "comparison_operator": "gt",
    "threshold": 80.0,
    "statistic": "max",
    "evaluation_periods": 2,
    "exclude_outliers": False,
}


def test_a_threshold_alarm_is_created_and_shown(aodh: Client) -> None:
    made = as_json(
        aodh,
        *("alarm", "create", "--name", "busy", "-t", "threshold", "-m", "cpu_util"),
        *("--threshold", "80", "--comparison-operator", "gt", "--statistic", "max"),
        *("--period", "300", "--evaluation-periods", "2", "--query", "resource_id=vm0"),
        *("--alarm-action", "http://x/", "--alarm-action", "http://y/", "--ok-action", "http://x/"),
        *("--severity", "critical", "--repeat-actions", "True", "--enabled", "False"),
        *("--time-constraint", "name=night;start=0 23 * * *;duration=60;timezone=Europe/Paris"),
    )
    assert json.loads(made.pop("time_constraints")) == [
        {
            "name": "night",
            "description": "Time constraint at 0 23 * * * lasting for 60 seconds",
            "start": "0 23 * * *",
            "duration": 60,
            "timezone": "Europe/Paris",
        }
    ]
    assert masked(made) == {"alarm_id": made["alarm_id"], **BUSY}
    by_name = as_json(aodh, "alarm", "show", "--name", "busy")
    by_id = as_json(aodh, "alarm", "show", made["alarm_id"])
    by_either = as_json(aodh, "alarm", "show", "busy")
    assert by_name == by_id == by_either
    assert by_id.items() >= made.items()


GNOCCHI = ("--threshold", "1", "--aggregation-method", "mean", "--granularity", "300")
OPTIONS = {
    "gnocchi_resources_threshold": (
        (*GNOCCHI, "--metric", "cpu", "--resource-id", "r", "--resource-type", "instance"),
        {"metric": "cpu", "resource_id": "r", "resource_type": "instance", "granularity": 300},
    ),
    "gnocchi_aggregation_by_metrics_threshold": (
        (*GNOCCHI, "--metric", "a", "--metric", "b"),
        {"metrics": ["a", "b"], "granularity": 300},
    ),
    "gnocchi_aggregation_by_resources_threshold": (
        (
            *(*GNOCCHI, "--metric", "cpu", "--resource-type", "instance"),
            *("--query", '{"=": {"server_group": "g"}}'),
        ),
        {"metric": "cpu", "query": '{"=": {"server_group": "g"}}', "granularity": 300},
    ),
    "event": (
        ("--event-type", "compute.*", "--query", "traits.n>=integer::5"),
        {"event_type": "compute.*", "query": "traits.n >= 5"},
    ),
    "loadbalancer_member_health": (
        ("--stack-id", "s", "--pool-id", "p", "--autoscaling-group-id", "g"),
        {"stack_id": "s", "pool_id": "p", "autoscaling_group_id": "g"},
    ),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_an_alarm_of_every_type_is_created(kind: str, aodh: Client) -> None:
    options, rule = OPTIONS[kind]
    made = as_json(aodh, "alarm", "create", "--name", "x", "-t", kind, *options)
    assert made["type"] == kind
    assert made.items() >= rule.items()


def test_a_composite_alarm_is_created(aodh: Client) -> None:
    leaf = {
        "type": "gnocchi_resources_threshold",
        "metric": "cpu",
        "threshold": 1,
        "resource_id": "r",
        "resource_type": "instance",
        "aggregation_method": "mean",
    }
    old = {"type": "threshold", "meter_name": "cpu_util", "threshold": 0.8}
    tree = json.dumps({"or": [old, {"and": [leaf, leaf]}]})
    options = ("--name", "x", "-t", "composite", "--composite-rule", tree)
    made = as_json(aodh, "alarm", "create", *options)
    rule = json.loads(made["composite_rule"])
    assert rule["or"][0]["meter_name"] == "cpu_util"
    assert rule["or"][1]["and"] == [leaf | {"threshold": 1.0, **DEFAULTS}] * 2


DEFAULTS = {"comparison_operator": "eq", "evaluation_periods": 1, "granularity": 60}


def test_a_prometheus_alarm_is_refused_with_the_reason(aodh: Client) -> None:
    options = ("--name", "x", "-t", "prometheus", "--query", "up", "--threshold", "1")
    said = aodh("alarm", "create", *options, fails=True)
    assert "there is no Prometheus behind this service" in said
    assert "(HTTP 400)" in said


def test_an_alarm_is_changed_and_deleted(aodh: Client) -> None:
    alarm_id = busy(aodh, "--ok-action", "http://x/")
    changed = as_json(aodh, "alarm", "update", "busy", "--threshold", "90", "--enabled", "False")
    assert (changed["threshold"], changed["enabled"], changed["statistic"]) == (90.0, False, "avg")
    assert changed["ok_actions"] == ["http://x/"]
    emptied = as_json(aodh, "alarm", "update", alarm_id, "--ok-action", "")
    assert emptied["ok_actions"] == []
    options = OPTIONS["gnocchi_resources_threshold"][0]
    other = as_json(
        aodh, "alarm", "update", alarm_id, "-t", "gnocchi_resources_threshold", *options
    )
    assert (other["type"], other["metric"]) == ("gnocchi_resources_threshold", "cpu")
    assert aodh("alarm", "delete", "busy") == ""
    assert "not found (HTTP 404)" in aodh("alarm", "show", alarm_id, fails=True)


def test_a_state_is_set_and_everything_is_in_the_history(aodh: Client) -> None:
    alarm_id = busy(aodh)
    state = ("-f", "value", "-c", "state")
    assert aodh("alarm", "state", "set", "busy", "--state", "alarm", *state) == "alarm\n"
    assert aodh("alarm", "state", "get", alarm_id, *state) == "alarm\n"
    aodh("alarm", "delete", alarm_id)
    history = as_json(aodh, "alarm-history", "show", alarm_id)
    assert [entry["type"] for entry in history] == ["deletion", "state transition", "creation"]
    assert json.loads(history[0]["detail"]) == {"state": "alarm"}
    assert TIME.fullmatch(history[0]["timestamp"])
    page = ("--limit", "2", "--sort", "timestamp:asc", "--marker", history[2]["event_id"])
    assert as_json(aodh, "alarm-history", "show", alarm_id, *page) == history[1::-1]
    found = as_json(aodh, "alarm-history", "search", "--query", 'type="state transition"')
    assert [entry["alarm_id"] for entry in found] == [alarm_id]


def test_alarms_are_listed_filtered_queried_and_paged(aodh: Client) -> None:
    ids = {"busy": busy(aodh, "--severity", "critical")}
    event = ("alarm", "create", "-t", "event", "--name")
    for name in ("a", "b"):
        ids[name] = as_json(aodh, *event, name)["alarm_id"]

    def names(*arguments: str, **caller: str) -> list[str]:
        rows = as_json(aodh, "alarm", "list", *arguments, **caller)
        return [row["name"] for row in rows]

    assert names() == ["b", "a", "busy"]
    assert names("--filter", "severity=critical") == ["busy"]
    assert names("--filter", "type=event", "--filter", "name=a") == ["a"]
    assert names("--query", "type=event and not name=a") == ["b"]
    assert names("--query", "enabled=true and severity=critical") == ["busy"]
    assert names("--sort", "name:asc", "--limit", "2") == ["a", "b"]
    assert names("--sort", "name:asc", "--limit", "2", "--marker", ids["b"]) == ["busy"]
    assert names(project="p2") == []
    everything = ("--filter", "all_projects=true", "--sort", "name")
    assert names(*everything, project="ops", roles="admin") == ["a", "b", "busy"]
    denied = aodh("alarm", "list", "--filter", "all_projects=true", fails=True)
    assert "RBAC Authorization Failed (HTTP 403)" in denied


def test_capabilities_and_metrics_are_printed(aodh: Client) -> None:
    printed = as_json(aodh, "capabilities", "list")
    assert printed["api"]["alarms:query:complex"] is True
    assert printed["alarm_storage"] == {"storage:production_ready": True}
    assert aodh("alarm", "metrics").strip() == ""
