"""What docs/alarms.md shows is so: the autoscaling walk-through, from the template's alarm to the scaling URL."""

import dataclasses
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metering.alarms.definition import alarm_from
from store.alarms import changed_alarms
from store.client import Store
from tests.alarm_api import ALICE, api
from tests.alarms.transcript import START, Step, Stream, came, sample, tick, way
from webapi.alarming import Alarming

PAGE = Path(__file__).parents[1] / "docs" / "alarms.md"
SIGNAL = "heat.example.org:8004/v1/6c1f/stacks/asg/5b7e/resources/scale_out/signal"
SECOND = 1e9  # ns of processor time


class FixedTrusts:
    """A Keystone that makes one trust."""

    def create(self, user_id: str, project_id: str, roles: Sequence[str], token: str | None) -> str:
        return f"trust-of-{user_id}"

    def delete(self, trust_id: str, token: str | None) -> None:
        raise AssertionError("nothing is deleted")


def shown(kind: str) -> list[Any]:
    """Return the JSON that the page shows with a field of this name."""
    text = PAGE.read_text()
    blocks = [textwrap.dedent(one) for one in re.findall(r"```\w*\n(.*?)```", text, re.S)]
    found = [json.loads(one) for one in blocks if one.lstrip().startswith("{")]
    return [one for one in found if kind in one]


def cpu(minute: int, *seconds: float) -> Step:
    """The group's servers have used so many seconds of processor time."""
    tags = {"user_metadata.server_group": "5b7e"}
    return came(
        *(
            sample(f"{minute}:10", used * SECOND, resource_id=f"s{n}", metadata=tags, type="cumulative")
            for n, used in enumerate(seconds)
        )
    )  # fmt: skip


def test_the_templates_alarm_is_taken_and_calls_the_scaling_url(store: Store) -> None:
    (body,) = shown("gnocchi_aggregation_by_resources_threshold_rule")
    answer = api(store, Alarming(trusts=FixedTrusts())).post(
        "/v2/alarms", json=body, headers=ALICE | {"X-Auth-Token": "of-alice"}
    )
    assert answer.status_code == 201, answer.get_json()
    assert answer.get_json()["alarm_actions"] == [f"trust+http://{SIGNAL}"]
    (kept,) = changed_alarms(store, 0).alarms
    stream = Stream()
    stream.shelf.define(dataclasses.replace(kept, scope=None, timestamp=START))
    busy = [tick("00:30", lag=60), tick("00:31", lag=60)]
    for minute in range(
        1, 5
    ):  # one server is idle, the other's processors are full: 50 s on average
        busy += [cpu(minute, 2 * minute, 98 * minute), tick(f"{minute}:20", lag=60)]
    stream.run(*busy)
    made = [one for one in stream.made if one.recorded]
    assert [way(one).partition(": ")[2] for one in made] == ["unknown -> alarm"]
    assert made[0].reason_data["most_recent"] == 50 * SECOND
    (delivery,) = made[0].deliveries()
    assert delivery.action == f"trust+http://trust-of-alice:delete@{SIGNAL}"


def test_definitions_that_are_shown_are_good() -> None:
    found = shown("type")
    assert [one["type"] for one in found] == [
        "absence",
        "gnocchi_aggregation_by_resources_threshold",
    ]
    for one in found:
        assert alarm_from(one, "a").name == one["name"]


def test_the_webhooks_body_that_is_shown_is_what_is_sent() -> None:
    (told,) = shown("alarm_name")
    stream = Stream()
    stream.shelf.define(dataclasses.replace(_busy(), timestamp=START))
    stream.run(tick("00:30", lag=60), tick("00:31", lag=60), came(sample("01:00", 10.0)))
    stream.run(tick("01:20", lag=60), came(sample("02:10", 91.5)))
    body = json.loads(stream.made[-1].deliveries()[0].body)
    assert body | {"alarm_id": told["alarm_id"]} == told


def _busy() -> Any:
    rule = {"meter_name": "cpu", "threshold": 50, "comparison_operator": "gt"}
    said = {"name": "busy", "type": "threshold", "threshold_rule": rule}
    return alarm_from(said | {"alarm_actions": ["http://host/"]}, "a")
