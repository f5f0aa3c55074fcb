"""Actions in the service: who calls what by the configuration, and the way from a transition to the pool."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner

from jobs.actions import ActionsError, Delivering, senders_of
from metering.alarms.attempts import Outcome
from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery
from sinks.clickhouse import Outlet
from sinks.latest import LatestWriter
from sinks.notify import NotifyActions
from sinks.writer import Writer
from store.alarm_states import write_transitions
from store.client import Store
from tests.delivering import HERE, transition
from tests.servers.rabbitmq import wait_until
from tests.servers.receiver import receiving

OPEN: dict[str, Any] = {}  # of the test under way: what travels in a pipeline are names


def outlet() -> Outlet:
    found: Outlet = OPEN["outlet"]
    return found


def offer(deliveries: Sequence[Delivery]) -> None:
    OPEN["offered"] += deliveries


def test_transitions_are_written_then_offered_before_what_comes_behind(store: Store) -> None:
    writer = Writer()
    OPEN.update(outlet=Outlet(store, writer, LatestWriter(store)), offered=[])
    made = [transition(1, one, "http://host/") for one in ("a", "b")]
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        bundles = pipeline | beam.Create([made, []])
        bundles | "NotifyActions" >> NotifyActions(outlet, offer)
    seen: list[Delivery] = []
    writer.then(lambda: seen.extend(OPEN["offered"]))
    writer.flush()
    assert sorted(seen, key=lambda one: one.alarm_id) == [one.deliveries()[0] for one in made]
    rows = store.query(f"SELECT alarm_id FROM {store.name}.deliveries ORDER BY 1").result_rows
    assert rows == [("a",), ("b",)]
    writer.close()
    OPEN.clear()


def now() -> int:
    return time.time_ns() // 1_000_000


def outcome_of(action: str, **settings: Any) -> Outcome:
    async def call() -> Outcome:
        senders = senders_of(Actions.model_validate({"allow": HERE} | settings))
        await senders.open()
        try:
            return await senders.send(transition(1, "a", action).deliveries()[0])
        finally:
            await senders.close()

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("pubsub://topic", "alarms.actions.pubsub.topics"),
        ("amqp://exchange/topic", "alarms.actions.amqp.url"),
        ("trust+heat://T@", "alarms.actions.cloud"),
    ],
)
def test_what_is_not_configured_is_told_and_given_up(action: str, field: str) -> None:
    assert outcome_of(action) == Outcome(f"not configured here ({field})", hopeless=True)


@pytest.mark.parametrize(
    ("action", "settings", "told"),
    [
        ("pubsub://other", {"pubsub": {"topics": ["topic"]}}, "no alarm may publish to other"),
        (
            "amqp://other/x",
            {"amqp": {"url": "amqp://u:p@localhost/", "exchanges": ["alarms"]}},
            "no alarm may publish to other",
        ),
        ("log://", {}, ""),
        ("test://", {}, ""),
        ("trust+http://T@localhost/", {}, "there is no trust, or no cloud"),
    ],
)
def test_each_kind_of_action_has_its_own_sender(
    action: str, settings: dict[str, Any], told: str
) -> None:
    assert outcome_of(action, **settings).error.startswith(told)
    assert bool(outcome_of(action, **settings).error) == bool(told)


def test_webhooks_are_called_as_the_service(store: Store) -> None:
    with receiving() as receiver:
        assert outcome_of(f"{receiver.url}/x") == Outcome(status=200)
    assert receiver.calls[0].headers["user-agent"].startswith("streamgauge/")


def test_nothing_is_delivered_before_the_start_and_all_of_it_then(store: Store) -> None:
    delivering = Delivering()
    assert (delivering.failure, delivering.status()) == (None, {})
    with receiving() as receiver:
        delivering.offer(write_transitions(store, [transition(1, "a", receiver.url, at=now())]))
        delivering.start(store, Actions(allow=HERE))
        receiver.await_calls(1)
        wait_until(lambda: delivering.status() == {"waiting": 0, "under_way": 0}, "it to be done")
        delivering.offer(write_transitions(store, [transition(2, "a", receiver.url, at=now())]))
        receiver.await_calls(2)
        delivering.close()
    assert (delivering.failure, delivering.ended.is_set()) == (None, True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ca": "none.pem"}, "alarms.actions.ca, cert or key cannot be used: No such file"),
        ({"cloud": "nowhere", "clouds_file": "clouds.yaml"}, "no login for nowhere: "),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, store: Store, settings: dict[str, str], told: str
) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {}\n")
    paths = {name: tmp_path / settings[name] for name in ("ca", "clouds_file") if name in settings}
    with pytest.raises(ActionsError) as error:
        Delivering().start(store, Actions.model_validate(settings | paths))
    assert str(error.value).startswith(told)
