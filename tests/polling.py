"""An openstack feed that polls a stub of a cloud, and what comes of it, for tests."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from sources.openstack.feed import OpenStackFeed
from sources.openstack.settings import OpenStackSettings
from tests.servers.cloud import StubCloud
from tests.servers.rabbitmq import wait_until

SECONDS = 30.0


class Polled:
    """What a feed has brought so far: samples, and payloads that are none."""

    def __init__(self, feed: OpenStackFeed) -> None:
        self.feed = feed
        self.samples: list[dict[str, Any]] = []
        self.strays: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []

    def take(self) -> None:
        """Take, and acknowledge, what waits."""
        payloads = self.feed.poll(0.05)
        if payloads is None:
            return
        self.bodies += payloads.bodies
        for body in payloads.bodies:
            message = orjson.loads(body)
            if "oslo.message" in message:
                self.samples += orjson.loads(message["oslo.message"])["payload"]["samples"]
            else:
                self.strays.append(message)
        self.feed.ack(payloads.receipt)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Take until a condition holds."""

        def holds() -> bool:
            self.take()
            return bool(condition())

        wait_until(holds, what, SECONDS)

    def until_polls(self, count: int) -> None:
        """Take until so many polls have been stored."""
        self.until(lambda: self.status["polls_stored"] >= count, f"{count} polls")

    @property
    def status(self) -> dict[str, Any]:
        """The feed's status."""
        return self.feed.status()

    def volumes(self) -> dict[tuple[str, str], Any]:
        """Return the last volume of each series."""
        return {(s["counter_name"], s["resource_id"]): s["counter_volume"] for s in self.samples}

    def meters(self) -> set[str]:
        """Return the names of the meters that came."""
        return {sample["counter_name"] for sample in self.samples}


@contextlib.contextmanager
def polling(cloud: StubCloud, folder: Path, *names: str, **settings: Any) -> Iterator[Polled]:
    """Poll clouds of these names (`stub`), which are all the stub; at once, and then seldom."""
    folder.mkdir(exist_ok=True)
    file = folder / "clouds.yaml"
    file.write_text(cloud.clouds_yaml(*names))
    plain = {"jitter": 0, "interval": 3600, "backoff_min": 0.01, "backoff_max": 0.1}
    keys = {"radosgw_access_key": cloud.access_key, "radosgw_secret_key": cloud.secret_key}
    given = {"clouds": names or ("stub",), "clouds_file": file, **plain, **keys, **settings}
    feed = OpenStackFeed(OpenStackSettings.model_validate(given))
    feed.open()
    try:
        yield Polled(feed)
    finally:
        feed.close()


def only(folder: Path, *meters: str, interval: int = 3600) -> Path:
    """Return a polling.yaml of some meters."""
    folder.mkdir(exist_ok=True)
    file = folder / f"polling-{time.monotonic_ns()}.yaml"
    source = {"name": "some", "interval": interval, "meters": meters}
    file.write_bytes(orjson.dumps({"sources": [source]}))
    return file
