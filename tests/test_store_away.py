"""A store that is away: reading stops, memory stays as it is, and nothing is lost once it is back."""

import os
import time
from pathlib import Path

import pytest

from tests.servers.engine import engine_in
from tests.servers.rabbitmq import wait_until
from tests.soak.comparison import differences
from tests.soak.notifications import MAX_PAYLOAD
from tests.soak.oracle import expected
from tests.soak.service import DRAIN_SECONDS, Service, service_in
from tests.soak.sources import Source
from tests.soak.traffic import traffic

pytestmark = pytest.mark.server

AWAY = float(os.environ.get("STREAMGAUGE_SOAK_AWAY", "5"))  # s
SEED = 7
COUNT = 40_000  # samples and notifications
QUEUE = 1024**2  # bytes of payloads that may wait
FLAT = 16 * 1024**2  # bytes that the memory may vary by


def test_a_store_that_is_away_stops_the_reading_and_nothing_is_lost(
    source: Source, tmp_path: Path
) -> None:
    now = int(time.time() * 1000)
    messages = traffic(SEED, COUNT, now - 3_600_000)
    few = len(messages) // 10
    with (
        engine_in(tmp_path / "engine") as engine,
        service_in(tmp_path / "service", source, server=engine.database()) as service,
    ):
        service.start(queue_bytes=QUEUE, element_bytes=QUEUE // 4)
        wait_until(lambda: service.feed()["connected"], "the feed to connect")
        source.publish(messages[:few])
        service.drain()
        engine.stop()
        source.publish(messages[few:])
        held = full(service)
        assert held < len(messages) - few
        watch(service, held)
        engine.start()
        service.drain()
        bodies = [message.body for message in messages]
        found = differences(engine.query, expected(bodies, now, MAX_PAYLOAD))
        assert not found, "\n".join(found)
        assert service.stop() == 0, service.tail()


def full(service: Service) -> int:
    """Wait until it reads no more; return how many messages it holds."""
    seen: list[int] = []

    def steady() -> bool:
        status = service.status()
        assert status is not None
        seen.append(service.feed()["unacknowledged"])
        full = status["queue_bytes"] >= QUEUE
        return full and len(seen) > 100 and len(set(seen[-100:])) == 1

    wait_until(steady, "the reading to stop", DRAIN_SECONDS)
    return seen[-1]


def watch(service: Service, held: int) -> None:
    """Look on while the store is away."""
    before = service.resident()
    ends = time.monotonic() + AWAY
    while time.monotonic() < ends:
        assert service.feed()["unacknowledged"] == held
        assert abs(service.resident() - before) < FLAT
    status = service.status()
    assert status is not None
    assert "the store did not answer" in status["last_error"]
    print(f"away for {AWAY:g} s: {before >> 20} MiB, then {service.resident() >> 20} MiB")
