"""What is polled and what is pushed, against kill -9 and a store that is away.

One service polls a cloud and a hypervisor, and is pushed to by every route. A push is answered once it
is on disk, so each that was answered is stored, once. A poll cannot be had again, so what holds is:
every stored sample is an answer that was given at that time, once; a poll that was acknowledged is
stored whole; after a kill everything is polled anew at once.
"""

import collections
import dataclasses
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.polling import only
from tests.servers.cloud import StubCloud, server
from tests.servers.engine import engine_in
from tests.servers.rabbitmq import wait_until
from tests.soak.pushes import Pusher, found
from tests.soak.service import Service, service_in

pytestmark = pytest.mark.server

KILLS = int(os.environ.get("STREAMGAUGE_SOAK_KILLS", "20"))
SEED = int(os.environ.get("STREAMGAUGE_SOAK_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
AWAY = float(os.environ.get("STREAMGAUGE_SOAK_AWAY", "5"))  # s
SERVERS = 200
HOST = ("vcpus", "memory", "power.state")  # of libvirt's one domain
SECONDS = 300.0  # that a start and a poll may take on a busy machine
FLAT = 16 * 1024**2  # bytes that the memory may vary by
# Volume of each meter after so much work, by the stub's own rule.
ORACLE = {
    "cpu": lambda work: work,
    "disk.device.read.bytes": lambda work: work * 4096,
    "network.incoming.bytes": lambda work: work * 1500,
}


@dataclasses.dataclass
class Stub:
    """What the service under test polls: diagnostics every second."""

    cloud: StubCloud
    folder: Path
    kind: ClassVar[str] = "openstack"

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration."""
        file = self.folder / "clouds.yaml"
        file.write_text(self.cloud.clouds_yaml())
        return {
            "type": self.kind,
            "clouds": ["stub"],
            "clouds_file": str(file),
            "polling": str(only(self.folder, *ORACLE, interval=1)),
            "jitter": 0,
        }


@pytest.fixture
def stub() -> Iterator[StubCloud]:
    cloud = StubCloud(["compute"])
    cloud.lists["servers"] = [server(number) for number in range(SERVERS)]
    yield cloud
    cloud.close()


@dataclasses.dataclass
class Stored:
    """What is stored of each poll: (server, work) -> its meters, by the poll's time."""

    polls: dict[Any, dict[str, dict[str, float]]]

    @property
    def whole(self) -> int:
        """How many polls are stored with every meter of every server."""
        return sum(
            len(servers) == SERVERS and all(len(found) == len(ORACLE) for found in servers.values())
            for servers in self.polls.values()
        )


def stored(rows: list[tuple[Any, ...]]) -> Stored:
    """Return what is stored; fails where a series has two samples of one time."""
    polls: dict[Any, dict[str, dict[str, float]]] = collections.defaultdict(
        lambda: collections.defaultdict(dict)
    )
    for timestamp, instance, meter, volume in rows:
        assert meter not in polls[timestamp][instance], "one series, one time, one sample"
        polls[timestamp][instance][meter] = volume
    return Stored(polls)


SAMPLES = (
    "SELECT timestamp, resource_metadata['instance_id'], meter, volume FROM metering.v_samples"
    f" WHERE meter IN {tuple(ORACLE)}"
)


def assert_every_sample_is_an_answer(found: Stored, cloud: StubCloud) -> None:
    """Fail unless all stored samples are of answers that were given, each of one answer."""
    given = collections.Counter(cloud.given)
    assert max(given.values()) == 1  # the work of each answer is another
    for servers in found.polls.values():
        for instance, volumes in servers.items():
            work = {volume / ORACLE[meter](1) for meter, volume in volumes.items()}
            assert len(work) == 1, "meters of two answers under one time"
            assert (instance, work.pop()) in given


def test_what_is_stored_after_kills_is_what_was_answered_and_all_that_was_acknowledged(
    stub: StubCloud, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    acknowledged = []
    with service_in(tmp_path / "service", Stub(stub, tmp_path)) as service:  # type: ignore[arg-type]
        service.more = [hypervisor(tmp_path)]
        with Pusher(service.api) as pusher:
            for number in range(KILLS):
                service.spawn(element_payloads=rng.choice((1, 3, 5000)))
                acknowledged.append(kill_at_some_moment(service, stub, rng, number % 3))
            print("polls acknowledged before each kill:", *acknowledged)
            assert any(acknowledged), "no kill came after a poll was acknowledged"
            before = len(stub.asked("/diagnostics"))
            service.start()  # may have polled twice by the time that it answers
            wait_until(lambda: service.feed()["polls_stored"] >= 2, "two polls", SECONDS)
            assert len(stub.asked("/diagnostics")) - before >= 2 * SERVERS  # anew, all of them
        print(f"{pusher.answered} pushes answered, {pusher.sent_again} sent again")
        assert pusher.sent_again, "no kill came while anything was pushed"
        last = service.feed()["polls_stored"]
        assert service.stop() == 0, service.tail()
        service.start()
        wait_until(lambda: spooled(service) == 0, "the spool to be empty", SECONDS)
        polled, hosted = stored(service.query(SAMPLES)), service.query(HOSTED)
        assert found(service.query) == pusher.expected
    assert_every_sample_is_an_answer(polled, stub)
    assert polled.whole >= sum(acknowledged) + last
    assert_the_host_was_read_whole(hosted)


def hypervisor(folder: Path) -> dict[str, Any]:
    """Return a libvirt feed's entry in the configuration: its test driver, every second."""
    polling = only(folder, *HOST, interval=1)
    return {"type": "libvirt", "uri": "test:///default", "polling": str(polling)}


HOSTED = (
    "SELECT timestamp, meter, volume FROM metering.v_samples WHERE resource_id ="
    " '6695eb01-f6a4-8304-79aa-97f2502e193f'"  # the one domain of test:///default
)


def assert_the_host_was_read_whole(rows: list[tuple[Any, ...]]) -> None:
    """Fail unless each poll has every meter, once: they are one message."""
    polls: dict[Any, list[tuple[str, float]]] = collections.defaultdict(list)
    for timestamp, meter, volume in rows:
        polls[timestamp].append((meter, volume))
    assert polls
    read = [("memory", 2048.0), ("power.state", 1.0), ("vcpus", 2.0)]
    assert [poll for poll in polls.values() if sorted(poll) != read] == []


def spooled(service: Service) -> int:
    """Return how many pushes wait to be stored."""
    status = service.status()
    assert status is not None
    return int(status["feeds"]["spool"]["records"])


def kill_at_some_moment(service: Service, cloud: StubCloud, rng: random.Random, polls: int) -> int:
    """Kill it while it starts (0), some time after polling began (1), or after a poll is stored (2).

    Return how many are acknowledged by then.
    """
    seen = len(cloud.given)
    if polls:
        wait_until(lambda: len(cloud.given) > seen, "polling to begin", SECONDS)
    if polls == 2:
        wait_until(lambda: acknowledged_polls(service), "a poll to be stored", SECONDS)
    threading.Event().wait(rng.uniform(0, 1.5 if polls else 5))
    acknowledged = acknowledged_polls(service)
    service.kill_running()
    return acknowledged


def acknowledged_polls(service: Service) -> int:
    """Return how many polls have been acknowledged whole since it was started."""
    status = service.status()
    return int(status["feeds"]["openstack"]["polls_stored"]) if status else 0


def test_a_store_that_is_away_makes_polls_wait_and_keeps_pushes_and_memory_stays_flat(
    stub: StubCloud, tmp_path: Path
) -> None:
    with (
        engine_in(tmp_path / "engine") as engine,
        service_in(
            tmp_path / "service",
            Stub(stub, tmp_path),  # type: ignore[arg-type]
            server=engine.database(),
        ) as service,
        Pusher(service.api) as pusher,
    ):
        service.more = [hypervisor(tmp_path)]
        service.start(queue_bytes=256 * 1024, element_bytes=64 * 1024)
        wait_until(lambda: stored_polls(service) >= 2, "two polls of both", SECONDS)
        engine.stop()
        wait_until(lambda: is_full(service), "the queues to fill", SECONDS)
        before = pusher.answered
        watch(service, stub)
        assert pusher.answered > before  # they are on disk
        more = max(feed["polls"] for feed in polling(service)) + 3
        engine.start()
        wait_until(lambda: stored_polls(service) >= more, "polls to go on", SECONDS)
        pusher.stop()
        wait_until(lambda: spooled(service) == 0, "the spool to be empty", SECONDS)
        cloud, host = polling(service)
        assert min(cloud["polls_skipped"], host["polls_skipped"]) >= int(AWAY) - 1
        assert service.stop() == 0, service.tail()
        polled = stored(engine.query(f"{SAMPLES} SETTINGS max_result_rows = 0"))
        hosted = engine.query(f"{HOSTED} SETTINGS max_result_rows = 0")
        assert found(engine.query) == pusher.expected
    assert_every_sample_is_an_answer(polled, stub)
    # Nothing that was read before or meanwhile is lost.
    assert polled.whole >= cloud["polls_stored"]
    assert_the_host_was_read_whole(hosted)
    assert len(hosted) >= host["polls_stored"] * len(HOST)


def polling(service: Service) -> list[dict[str, Any]]:
    """Return the status of the feeds that poll: of a cloud, and of a host."""
    status = service.status()
    assert status is not None
    return [status["feeds"][name] for name in ("openstack", "libvirt")]


def stored_polls(service: Service) -> int:
    """Return how many polls of each are stored at least."""
    return min(int(feed["polls_stored"]) for feed in polling(service))


def is_full(service: Service) -> bool:
    """Return whether both queues hold what they may."""
    status = service.status()
    assert status is not None
    feed = status["feeds"]["openstack"]
    return bool(status["queue_bytes"] >= 256 * 1024 and feed["waiting_bytes"] >= 4 * 1024**2)


def watch(service: Service, cloud: StubCloud) -> None:
    """Look on while the store is away: nothing is asked any more, and the memory stays as it is."""
    wait_until(lambda: settled(cloud), "calls to end", SECONDS)
    before, asked = service.resident(), len(cloud.requests)
    _, host = polling(service)
    ends = time.monotonic() + AWAY
    while time.monotonic() < ends:
        assert len(cloud.requests) == asked
        assert polling(service)[1]["polls"] == host["polls"]
        assert abs(service.resident() - before) < FLAT
        threading.Event().wait(0.1)
    print(f"away for {AWAY:g} s: {before >> 20} MiB, then {service.resident() >> 20} MiB")


def settled(cloud: StubCloud) -> bool:
    """Return whether nothing was asked for three seconds."""
    before = len(cloud.requests)
    threading.Event().wait(3)
    return len(cloud.requests) == before
