"""`streamgauge alarm ...` against the real API, over HTTP."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.main import main
from metering.alarms.definition import Alarm
from metering.alarms.transitions import Transition
from metering.config import Config
from store.client import Store
from tests.alarm_api import THRESHOLD, masked
from tests.api import RecordingSpool
from webapi.alarming import Alarming
from webapi.app import create_app
from webapi.serving import serve

Ask = Callable[..., Any]
RULE = json.dumps(THRESHOLD)


def dry_run(alarm: Alarm, start: int, end: int) -> list[Transition]:
    return [
        Transition(
            alarm_id=alarm.alarm_id,
            alarm_name=alarm.name,
            project_id="",
            severity="low",
            previous="ok",
            current="alarm",
            reason=f"{end - start} ms",
            reason_data={},
            at=start,
            version=1,
        )
    ]


PERIOD = {"start": "10:00", "end": "10:01", "counts": True}
EXPLAINED: dict[str, Any] = {
    "rules": [
        {"rule": "rule1", "last": "09:59"},
        {
            "rule": "rule2",
            "periods": [
                PERIOD | {"samples": 0, "value": None, "breaches": None, "passed": True},
                PERIOD | {"samples": 2, "value": 91.5, "breaches": True, "passed": False},
            ],
        },
    ],
    "samples": [{"timestamp": "10:00:01", "resource_id": "r", "volume": 91.5}],
}


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    alarming = Alarming(dry_run=dry_run, explain=lambda alarm: EXPLAINED)
    app = create_app(Config(), store, RecordingSpool(), dict, alarming=alarming)
    serving = serve(app, "127.0.0.1:0", 2)
    yield f"http://{serving.address}"
    serving.close()


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["--api-url", url, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def ask(run: Callable[..., tuple[int, str, str]]) -> Ask:
    """Run a command and return its JSON."""

    def call(*arguments: str) -> Any:
        code, out, err = run(*arguments, "-f", "json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


def create(ask: Ask, name: str, *more: str) -> Any:
    plain = ("alarm", "create", "--name", name, "--type", "threshold", "--rule", RULE)
    return ask(*plain, *more)


def test_an_alarm_is_created_listed_and_shown(ask: Ask) -> None:
    constraint = {"name": "night", "start": "0 23 * * *", "duration": 60}
    made = create(
        ask,
        "busy",
        *("--severity", "critical", "--enabled", "false", "--repeat-actions", "true"),
        *("--alarm-action", "http://a/", "--alarm-action", "http://b/", "--state", "ok"),
        *("--time-constraint", json.dumps(constraint)),
    )
    assert (made["threshold_rule.meter_name"], made["state"]) == ("cpu_util", "ok")
    assert made["alarm_actions"] == ["http://a/", "http://b/"]
    assert made["time_constraints"][0]["duration"] == 60
    assert ask("alarm", "show", "busy") == ask("alarm", "show", made["alarm_id"]) == made
    create(ask, "other")
    row = {
        "alarm_id": made["alarm_id"],
        "name": "busy",
        "type": "threshold",
        "state": "ok",
        "severity": "critical",
        "enabled": False,
    }
    assert ask("alarm", "list", "--query", "severity=critical") == [row]
    names = [one["name"] for one in ask("alarm", "list", "--sort-by", "name:desc")]
    assert names == ["other", "busy"]
    page = ("--sort-by", "name", "--limit", "1", "--marker", made["alarm_id"])
    assert [one["name"] for one in ask("alarm", "list", *page)] == ["other"]


def test_what_is_given_replaces_what_there_is(ask: Ask) -> None:
    create(ask, "busy", "--ok-action", "http://a/")
    changed = ask("alarm", "update", "busy", "--severity", "moderate", "--name", "busier")
    assert (changed["severity"], changed["ok_actions"]) == ("moderate", ["http://a/"])
    rule = json.dumps(THRESHOLD | {"period": 30})
    assert ask("alarm", "update", "busier", "--rule", rule)["threshold_rule.period"] == 30
    event = ("--type", "event", "--rule", '{"event_type": "x.*"}')
    assert ask("alarm", "update", "busier", *event)["event_rule.event_type"] == "x.*"


def test_a_tree_is_shown_as_json(ask: Ask) -> None:
    tree = {"or": [{"type": "threshold", **THRESHOLD}]}
    options = ("--name", "tree", "--type", "composite", "--rule", json.dumps(tree))
    shown = json.loads(ask("alarm", "create", *options)["composite_rule"])
    assert shown["or"][0]["meter_name"] == "cpu_util"


def test_a_state_is_set_and_in_the_history_of_what_is_deleted(
    ask: Ask, run: Callable[..., tuple[int, str, str]]
) -> None:
    made = create(ask, "busy")
    assert ask("alarm", "state", "set", "busy", "alarm") == {"state": "alarm"}
    assert masked(ask("alarm", "state", "get", "busy")) == {
        "state": "alarm",
        "state_timestamp": "TIME",
        "state_reason": "Manually set via API",
    }
    assert run("alarm", "delete", "busy") == (0, "", "")
    kinds = [one["type"] for one in ask("alarm", "history", made["alarm_id"])]
    assert kinds == ["deletion", "state transition", "creation"]
    assert len(ask("alarm", "history", made["alarm_id"], "--limit", "1")) == 1


def test_a_quota_is_set_and_forgotten(ask: Ask) -> None:
    assert ask("alarm", "quota", "show", "p") == {"project_id": "p", "alarms": -1}
    assert ask("alarm", "quota", "set", "p", "3") == {"project_id": "p", "alarms": 3}
    assert ask("alarm", "quota", "set", "p", "default") == {"project_id": "p", "alarms": -1}


def test_a_definition_is_tried_and_an_alarm_explained(ask: Ask) -> None:
    options = ("--name", "x", "--type", "threshold", "--rule", RULE)
    times = ("--start", "2026-11-22T10:00:00", "--end", "2026-11-22T10:00:01")
    assert ask("alarm", "dry", "run", *options, *times) == [
        {
            "at": "2026-11-22T10:00:00",
            "previous": "ok",
            "current": "alarm",
            "reason": "1000 ms",
        }
    ]
    made = create(ask, "busy")
    told = ask("alarm", "explain", "busy")
    assert (told["alarm_id"], told["rules"]) == (made["alarm_id"], EXPLAINED["rules"])


def test_an_explanation_is_shown_a_line_a_period_and_sample(
    ask: Ask, run: Callable[..., tuple[int, str, str]]
) -> None:
    create(ask, "busy")
    code, out, err = run("alarm", "explain", "busy", "-c", "rules", "-c", "samples")
    assert (code, err) == (0, "")
    assert [line.split("|")[2].strip() for line in out.splitlines()[3:-1]] == [
        "rule1: last 09:59",
        "rule2: 10:00 to 10:01: 0 samples, counts",
        "rule2: 10:00 to 10:01: 2 samples, 91.5, breaches, counts, may still grow",
        "10:00:01 r 91.5",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("alarm", "show", "none"), 1, "none: no such alarm"),
        (("alarm", "history", "none"), 1, "Alarm none not found"),
        (("alarm", "quota", "set", "p", "many"), 1, "unable to convert to int"),
        (
            ("alarm", "create", "--name", "x", "--type", "event", "--rule", "{"),
            2,
            "--rule {: it is no JSON",
        ),
        (
            ("alarm", "create", "--name", "x", "--type", "threshold", "--rule", "{}"),
            1,
            "Mandatory field missing.",
        ),
    ],
)
def test_a_failure_is_one_line(
    arguments: tuple[str, ...], code: int, text: str, run: Callable[..., tuple[int, str, str]]
) -> None:
    done, _, err = run(*arguments)
    assert done == code
    assert re.fullmatch(f".*{re.escape(text)}.*\n", err)


def test_a_name_of_several_alarms_is_told(
    ask: Ask, run: Callable[..., tuple[int, str, str]]
) -> None:
    made = create(ask, "busy")
    create(ask, made["alarm_id"])
    code, _, err = run("alarm", "show", made["alarm_id"])
    assert code == 1
    assert "there are several alarms of this name" in err
