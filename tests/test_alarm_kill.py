"""kill -9 at random moments loses no transition, and makes none twice: the history is as of one run.

The service runs as a process of its own over a real RabbitMQ. Every alarm watches one resource, with a
sample in each period, so that its samples alone say which states it must go through.
"""

import contextlib
import http.client
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.servers.rabbitmq import RabbitServer, wait_until
from tests.soak.notifications import Message, message, new_id, polling, stamp
from tests.soak.service import DRAIN_SECONDS, Service, service_in
from tests.soak.sources import RabbitSource

pytestmark = pytest.mark.server

KILLS = int(os.environ.get("STREAMGAUGE_SOAK_KILLS", "6"))
SEED = int(os.environ.get("STREAMGAUGE_SOAK_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
RESOURCES = 40
A_KILL = 6  # periods that come between two kills
PERIOD = 60_000  # ms


def test_kills_at_random_moments_lose_no_transition(
    second_rabbitmq: RabbitServer, tmp_path: Path
) -> None:
    second_rabbitmq.start()
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    high = [[rng.random() < 0.4 for _ in range(RESOURCES)] for _ in range((KILLS + 1) * A_KILL)]
    begin = int(time.time() * 1000) // PERIOD * PERIOD - len(high) * PERIOD
    messages = [made(rng, begin + nth * PERIOD, row) for nth, row in enumerate(high)]
    with service_in(tmp_path / "service", RabbitSource(second_rabbitmq.url)) as service:
        service.start()
        wait_until(lambda: service.feed()["connected"], "the feed to connect")
        alarms = [created(service, number) for number in range(RESOURCES)]
        for kill in range(KILLS):
            service.source.publish(messages[kill * A_KILL : (kill + 1) * A_KILL])
            wait_until(lambda: is_reading(service), "reading to begin", DRAIN_SECONDS)
            threading.Event().wait(rng.uniform(0, 0.6))
            service.kill_running()
            service.spawn(element_payloads=rng.choice((1, 1, 2, 5000)))
        service.source.publish(messages[KILLS * A_KILL :])
        wait_until(lambda: service.status() is not None, "the service to answer", DRAIN_SECONDS)
        service.drain()
        found = went(service)
        assert service.stop() == 0, service.tail()
    wanted = {name: expected([row[number] for row in high]) for number, name in enumerate(alarms)}
    assert found == wanted


def expected(values: list[bool]) -> list[str]:
    """Return the states that an alarm goes through: one for each change of what a period holds."""
    states = ["alarm" if value else "ok" for value in values]
    return [each for nth, each in enumerate(states) if nth == 0 or states[nth - 1] != each]


def made(rng: random.Random, at: int, high: list[bool]) -> Message:
    """Return the poll of a period: a sample of every resource."""
    samples = [
        {
            "source": "openstack",
            "counter_name": "cpu_util",
            "counter_type": "gauge",
            "counter_unit": "%",
            "counter_volume": 90 if value else 10,
            "user_id": "u",
            "project_id": "p",
            "resource_id": f"r{number}",
            "timestamp": stamp(at + number),
            "resource_metadata": {},
            "message_id": new_id(rng),
        }
        for number, value in enumerate(high)
    ]
    return message(rng, *polling(rng, samples))


def created(service: Service, number: int) -> str:
    """Create an alarm by the API; return its id."""
    rule = {
        "metric": "cpu_util",
        "resource_id": f"r{number}",
        "resource_type": "instance",
        "aggregation_method": "mean",
        "granularity": PERIOD // 1000,
        "comparison_operator": "gt",
        "threshold": 50,
    }
    kind = "gnocchi_resources_threshold"
    body = json.dumps({"name": f"alarm {number}", "type": kind, f"{kind}_rule": rule})
    connection = http.client.HTTPConnection("127.0.0.1", service.api, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", "/v2/alarms", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told: dict[str, Any] = json.load(answer)
    assert answer.status == 201, told
    return str(told["alarm_id"])


def is_reading(service: Service) -> bool:
    status = service.status()
    return status is not None and status["payloads"] > 0


def went(service: Service) -> dict[str, list[str]]:
    """Return the states that each alarm went through, in order."""
    rows = service.query(
        "SELECT alarm_id, JSONExtractString(detail, 'state') FROM metering.alarm_history FINAL"
        " WHERE type = 'state transition' ORDER BY version"
    )
    states: dict[str, list[str]] = {}
    for alarm_id, state in rows:
        states.setdefault(alarm_id, []).append(state)
    return states
