"""What the unmodified `ceilometer` client 2.9.0 does with alarms and prints of them."""

from collections.abc import Iterator

import pytest

from store.client import Store
from tests.ceilometer import Client, properties, rows, running, table


@pytest.fixture
def ceilometer(store: Store) -> Iterator[Client]:
    with running(store) as client:
        yield client


def busy(ceilometer: Client, name: str = "busy", *more: str) -> str:
    """Create an alarm and return its id."""
    plain = ("alarm-threshold-create", "--name", name, "-m", "cpu_util", "--threshold", "80")
    return properties(ceilometer(*plain, *more))["alarm_id"]


def test_a_threshold_alarm_is_created_and_shown(ceilometer: Client) -> None:
    alarm_id = busy(
        ceilometer,
        "busy",
        *("--statistic", "max", "--comparison-operator", "gt", "--period", "300"),
        *("-q", "metadata.flavor=m1;user_id=u", "--alarm-action", "http://x/"),
        *("--time-constraint", "name=night;start='0 23 * * *';duration=60"),
    )
    shown = properties(ceilometer("alarm-show", alarm_id))
    assert (
        shown.items()
        >= {
            "name": "busy",
            "type": "threshold",
            "state": "insufficient data",
            "severity": "low",
            "enabled": "True",
            "repeat_actions": "False",
            "meter_name": "cpu_util",
            "statistic": "max",
            "comparison_operator": "gt",
            "threshold": "80.0",
            "period": "300",
            "evaluation_periods": "1",
            "exclude_outliers": "False",
            "alarm_actions": '["http://x/"]',
        }.items()
    )
    assert "metadata.flavor == m1" in shown["query"]


def test_alarms_are_listed_changed_and_deleted(ceilometer: Client) -> None:
    alarm_id = busy(ceilometer)
    busy(ceilometer, "other", "--severity", "critical")
    listed = table(ceilometer("alarm-list"))
    assert listed[0][:5] == ["Alarm ID", "Name", "State", "Severity", "Enabled"]
    assert sorted(row[1] for row in listed[1:]) == ["busy", "other"]
    assert [row[1] for row in rows(ceilometer("alarm-list", "-q", "severity=critical"))] == [
        "other"
    ]
    changed = ("--threshold", "90", "--enabled", "False", "--severity", "moderate")
    shown = properties(ceilometer("alarm-threshold-update", alarm_id, *changed))
    assert (shown["threshold"], shown["enabled"], shown["severity"]) == (
        "90.0",
        "False",
        "moderate",
    )
    assert ceilometer("alarm-delete", alarm_id) == ""
    assert "Alarm not found" in ceilometer("alarm-show", alarm_id, fails=True)


def test_alarms_of_other_types_are_created(ceilometer: Client) -> None:
    one, two = busy(ceilometer, "one"), busy(ceilometer, "two")
    printed = ceilometer(
        *("alarm-combination-create", "--name", "both", "--operator", "or"),
        *("--alarm_ids", one, "--alarm_ids", two),
    )
    combined = properties(printed)
    assert (combined["type"], combined["operator"]) == ("combination", "or")
    assert one in printed
    assert two in printed
    event = properties(ceilometer("alarm-event-create", "--name", "e", "--event-type", "image.*"))
    assert (event["type"], event["event_type"]) == ("event", "image.*")
    gnocchi = properties(
        ceilometer(
            *("alarm-gnocchi-resources-threshold-create", "--name", "g", "-m", "cpu"),
            *("--threshold", "1", "--resource-type", "instance", "--resource-id", "r"),
            *("--aggregation-method", "mean", "--granularity", "300"),
        )
    )
    assert (gnocchi["metric"], gnocchi["granularity"]) == ("cpu", "300")


def test_a_state_is_set_and_history_is_shown_and_queried(ceilometer: Client) -> None:
    alarm_id = busy(ceilometer)
    assert "alarm" in ceilometer("alarm-state-set", alarm_id, "--state", "alarm")
    assert "alarm" in ceilometer("alarm-state-get", alarm_id)
    kinds = [row[0] for row in rows(ceilometer("alarm-history", alarm_id)) if row[0]]
    assert kinds == ["state transition", "creation"]
    text = '{"=": {"state": "alarm"}}'
    assert [row[1] for row in rows(ceilometer("query-alarms", "-f", text))] == ["busy"]
    text = '{"=": {"type": "creation"}}'
    printed = ceilometer("query-alarm-history", "-f", text, "-o", '[{"timestamp": "desc"}]')
    assert alarm_id in printed
    assert "state transition" not in printed
