"""The service against kill -9, SIGTERM, lost brokers, full disks and folders it cannot have.

Each test runs `streamgauge run` as a process of its own over a real RabbitMQ or Pub/Sub server, and
compares its tables with an oracle of everything that was published (tests.soak).
"""

import itertools
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.servers.rabbitmq import RabbitServer, wait_until
from tests.soak.comparison import differences
from tests.soak.derived import derived_differences
from tests.soak.notifications import MAX_PAYLOAD, Message
from tests.soak.oracle import expected
from tests.soak.service import DRAIN_SECONDS, Service, service_in
from tests.soak.sources import PubSubSource, RabbitSource, Source
from tests.soak.traffic import traffic
from tests.soak.usage import usage_differences

pytestmark = pytest.mark.server

KILLS = int(os.environ.get("STREAMGAUGE_SOAK_KILLS", "20"))
SEED = int(os.environ.get("STREAMGAUGE_SOAK_SEED", "0")) or random.SystemRandom().randrange(
    1, 10**6
)
# Notifications and samples. pstest hands out messages in any order, which costs the job more, and
# forgets those that nobody acknowledged for 10 minutes.
COUNTS = {RabbitSource.kind: 60_000, PubSubSource.kind: 30_000}
SPELL = (
    20  # kills, after which all may be acknowledged; what is killed so soon acknowledges nothing
)
BUSY = min(2.0, 40 / max(KILLS, 1))  # s; about what it takes to write what comes between two kills
NOWHERE = RabbitSource("amqp://guest:guest@127.0.0.1:1/")
EARLIER = 40 * 60_000  # ms; where the traffic's times begin


@pytest.fixture
def broker(second_rabbitmq: RabbitServer) -> RabbitServer:
    second_rabbitmq.start()
    return second_rabbitmq


@pytest.fixture
def service(tmp_path: Path, broker: RabbitServer) -> Iterator[Service]:
    with service_in(tmp_path / "service", RabbitSource(broker.url)) as service:
        yield service


def start(service: Service, **job: int) -> None:
    """Start it and wait until its queue is bound, so that nothing published is lost on the way."""
    service.start(**job)
    wait_until(lambda: service.feed()["connected"], "the feed to connect")


def make_traffic(count: int, seed: int = SEED) -> tuple[list[Message], int]:
    """Return messages and the time they were made for (ms)."""
    now = int(time.time() * 1000)
    print(f"seed {seed}, {count} samples and notifications at {now}")
    return traffic(seed, count, now - EARLIER), now


def assert_tables_hold(service: Service, messages: Sequence[Message], now: int) -> None:
    """Compare every table with the oracle; the service runs before and after."""
    bodies = [message.body for message in messages]
    found = differences(service.query, expected(bodies, now, MAX_PAYLOAD))
    assert not found, "\n".join(found)


def assert_usage_holds(service: Service) -> None:
    """Wait until usage is what the samples say: it is told on ticks, that of open windows by and by."""
    wait_until(
        lambda: not derived_differences(service.query), "meters to be derived", DRAIN_SECONDS
    )
    # Pub/Sub's traffic has fewer open windows than are told at once.
    open_windows = service.source.kind == PubSubSource.kind
    wait_until(
        lambda: not usage_differences(service.query, open_windows),
        "usage to be told",
        DRAIN_SECONDS,
    )


def test_tables_equal_the_oracle_after_kills_at_random_moments(
    source: Source, tmp_path: Path
) -> None:
    with service_in(tmp_path / "service", source) as service:
        hold_through_kills(service)


def hold_through_kills(service: Service) -> None:
    messages, now = make_traffic(COUNTS[service.source.kind])
    rng = random.Random(SEED)
    start(service)
    cuts = [len(messages) * i // (KILLS + 1) for i in range(KILLS + 2)]
    left = []
    for number, (first, last) in enumerate(itertools.pairwise(cuts[:-1])):
        if number and not number % SPELL:
            drain(service)
        left.append(kill_under_load(service, messages[first:last], rng))
        service.spawn(element_payloads=rng.choice((3, 30, 300, 5000)))
    print("messages not acknowledged at each kill:", *left)
    assert any(left), "no kill came while anything was under way"
    service.source.publish(messages[cuts[-2] :])
    drain(service)
    assert service.stop() == 0, service.tail()
    assert service.source.waiting() == 0  # what was unacknowledged would be back
    service.start()
    assert_tables_hold(service, messages, now)
    assert_usage_holds(service)
    assert service.stop() == 0, service.tail()


def drain(service: Service) -> None:
    wait_until(lambda: service.status() is not None, "the service to answer", DRAIN_SECONDS)
    service.drain()


def kill_under_load(service: Service, messages: Sequence[Message], rng: random.Random) -> int:
    """Publish half while it starts, the rest while it reads, and kill it at some moment of that.

    Return how many messages come again.
    """
    half = len(messages) // 2
    service.source.publish(messages[:half])
    early = rng.random() < 0.15
    if not early:
        wait_until(lambda: is_reading(service), "reading to begin", DRAIN_SECONDS)
    publishing = threading.Thread(target=service.source.publish, args=(messages[half:],))
    publishing.start()
    moment = rng.uniform(0, 5 if early else BUSY)
    threading.Event().wait(moment)
    service.kill_running()
    publishing.join()
    return service.source.waiting()


def is_reading(service: Service) -> bool:
    status = service.status()
    return status is not None and status["payloads"] > 0


def test_sigterm_in_the_middle_loses_nothing_and_a_new_start_goes_on(
    source: Source, tmp_path: Path
) -> None:
    messages, now = make_traffic(8000)
    third = len(messages) // 3
    with service_in(tmp_path / "service", source) as service:
        start(service, element_payloads=10)
        for part in (messages[:third], messages[third : 2 * third]):
            source.publish(part)
            assert service.stop() == 0, service.tail()
            service.start(element_payloads=10)
        source.publish(messages[2 * third :])
        service.drain()
        assert_tables_hold(service, messages, now)
        assert service.stop() == 0, service.tail()


def test_a_second_process_on_the_same_folder_is_refused_and_the_first_goes_on(
    service: Service,
) -> None:
    messages, now = make_traffic(500)
    start(service)
    refused = service.run_beside()
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines() == [
        f"database.path {service.database} is in use by another process; stop that one first,"
        " or set another database.path"
    ]
    service.source.publish(messages)
    service.drain()
    assert_tables_hold(service, messages, now)


def test_a_folder_that_cannot_be_had_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with service_in(tmp_path / "service", NOWHERE) as service:
        service.database = tmp_path / "file" / "db"
        refused = service.run()
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert line.startswith(f"database.path {service.database}: ")
    assert "it must be a folder" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root: run as root")
def test_a_folder_of_another_user_is_named_with_the_remedy(tmp_path: Path) -> None:
    with service_in(tmp_path / "service", NOWHERE) as service:
        assert service.database is not None
        service.database.mkdir(mode=0o700)
        # Root without its right to pass over modes, in a folder of somebody else's.
        os.chown(service.database, 12345, 12345)
        refused = service.run("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert line.startswith(f"database.path {service.database}")
    assert "change its owner or mode, or choose another folder" in line


def test_a_broker_that_is_away_at_the_start_is_told_and_joined_when_it_comes(
    service: Service, broker: RabbitServer
) -> None:
    messages, now = make_traffic(500)
    broker.stop()
    service.start()
    wait_until(lambda: service.feed()["last_error"] is not None, "the broker's absence to be told")
    status = service.status()
    assert status is not None
    assert not status["feeds"]["rabbitmq"]["connected"]
    assert str(broker.port) in status["last_error"]
    broker.start()
    wait_until(lambda: service.feed()["connected"], "the feed to connect")
    service.source.publish(messages)
    service.drain()
    assert_tables_hold(service, messages, now)
    assert service.feed()["last_error"] is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that this test can fill: a file system of memory, of 48 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root: run the tests as root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_told_and_nothing_is_lost_once_it_has_room(
    small_disk: Path, tmp_path: Path, broker: RabbitServer
) -> None:
    messages, now = make_traffic(6000)
    half = len(messages) // 2
    with service_in(tmp_path / "service", RabbitSource(broker.url), small_disk / "db") as service:
        start(service)
        service.source.publish(messages[:half])
        service.drain()
        fill(small_disk / "ballast")
        service.source.publish(messages[half:])
        wait_until(lambda: "is full" in (last_error(service) or ""), "the full disk to be told")
        assert "free some space" in (last_error(service) or "")
        assert service.feed()["unacknowledged"] or service.source.waiting()
        subprocess.run(["mount", "-o", "remount,size=512m", small_disk], check=True)
        service.drain()
        assert last_error(service) is None
        assert_tables_hold(service, messages, now)
        assert service.stop() == 0, service.tail()


def last_error(service: Service) -> str | None:
    status = service.status()
    assert status is not None
    error: str | None = status["last_error"]
    return error


def fill(ballast: Path) -> None:
    """Take all room that is left on a disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
