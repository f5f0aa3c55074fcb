"""Ceilometer's own agents publish for real: what they poll and are notified of is in our tables.

The polling agent asks a real Keystone, Glance and Cinder; the notification agent publishes each meter
and each kind of event by a publisher of its own, so that what is found tells which way it came.
"""

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from tests.corpus import bodies
from tests.servers.ceilometer import FOLDER, INSTALL, Agents
from tests.servers.openstack import REGION, OpenStack
from tests.servers.proxy import PASSWORD, USER, Proxy, proxy
from tests.servers.rabbitmq import RabbitServer, wait_until
from tests.soak.notifications import Message
from tests.soak.publisher import publish_all
from tests.soak.service import DRAIN_SECONDS, Service, service_in

pytestmark = pytest.mark.server

EXCHANGE = "telemetry-of-agents"
# Which meters and events go by which publisher.
METERS = {
    "http": ["dynamic.volume.size", "image.serve"],
    "https": ["dynamic.snapshot.size", "volume.size"],
    "gnocchi": ["image.size", "vcpus", "memory"],
    "notifier": ["dynamic.service.health", "image.download"],
}
EVENTS = {
    "http": ["image.*"],
    "https": ["volume.*"],
    "gnocchi": ["compute.instance.*"],
    "notifier": ["snapshot.*"],
}
# Ceilometer 27.0.0's own pollsters of Block Storage do not get past openstacksdk 4.22.
CINDER = {
    "sample_type": "gauge",
    "endpoint_type": "block-storage",
    "headers": {"OpenStack-API-Version": "volume 3.64"},
    "project_id_attribute": "project_id",
    "metadata_fields": ["name", "status"],
}
POLLSTERS = [
    {
        **CINDER,
        "name": "dynamic.volume.size",
        "unit": "GiB",
        "url_path": "volumes/detail?all_tenants=1",
        "value_attribute": "size",
        "project_id_attribute": "os-vol-tenant-attr:tenant_id",
    },
    {
        **CINDER,
        "name": "dynamic.snapshot.size",
        "unit": "GiB",
        "url_path": "snapshots/detail?all_tenants=1",
        "value_attribute": "size",
        "project_id_attribute": "os-extended-snapshot-attributes:project_id",
    },
    {
        **CINDER,
        "name": "dynamic.service.health",
        "unit": "health",
        "url_path": "os-services",
        "resource_id_attribute": "binary",
        "metadata_fields": ["host", "status"],
        "value_attribute": "state",
        "value_mapping": {"up": 1, "down": 0},
    },
]
POLLED = ["dynamic.*", "image.size"]
INSTANCE = "2406551f-6f10-4456-a6f7-3db18151d450"
# Recorded from Glance: one that was sent whole, one that was not, which it tells as an error.
SENT_WHOLE = "d20c8271-b8e5-4b6c-bb07-17a2451f5b54"
SENT_IN_PART = "1d297198-01ae-4081-802d-aef3d35eec9b"
SENT = {
    "image.send": [SENT_IN_PART, SENT_WHOLE],
    "volume.create.end": [""],
    "snapshot.create.end": [""],
    "compute.instance.create.end": [INSTANCE],
}


@dataclasses.dataclass
class Topics:
    """What the service under test reads: topics of the agents' exchange."""

    url: str
    topics: list[str]
    queue: str
    kind: ClassVar[str] = "rabbitmq"

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration."""
        return {
            "type": self.kind,
            "urls": [self.url],
            "exchanges": [EXCHANGE],
            "topics": self.topics,
            "queue": self.queue,
        }


@dataclasses.dataclass
class Made:
    """What was made in the cloud, and by whom."""

    volumes: dict[str, float]  # size by id
    snapshots: dict[str, float]
    image: str
    project: str
    user: str


@dataclasses.dataclass
class Published:
    """A service that the agents publish to."""

    service: Service
    agents: Agents
    made: Made
    proxy: Proxy

    def samples(self, meter: str) -> dict[str, tuple[Any, ...]]:
        """Return the newest of each resource's samples of a meter."""
        found = self.service.query(
            "SELECT resource_id, argMax((type, unit, volume, project_id, user_id,"
            " resource_metadata), timestamp) FROM metering.v_samples"
            f" WHERE meter = '{meter}' GROUP BY resource_id"
        )
        return dict(found)  # type: ignore[arg-type]

    def events(self, like: str) -> list[tuple[str, str]]:
        """Return type and message id of events."""
        return self.service.query(
            "SELECT event_type, message_id FROM metering.v_events"
            f" WHERE event_type LIKE '{like}' ORDER BY generated, message_id"
        )  # type: ignore[return-value]

    def until(self, condition: Any, what: str) -> None:
        """Wait until a condition holds; fail with what the agents said."""
        try:
            wait_until(condition, what, DRAIN_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.agents.tail()}") from error


def recorded(event_type: str, about: str = "") -> tuple[bytes, dict[str, Any]]:
    """Return a recorded notification, about a thing, as it crossed the queue and as it reads."""
    for body in bodies():
        message = json.loads(json.loads(body)["oslo.message"])
        if message["event_type"] == event_type and about in body.decode():
            return body, message
    raise AssertionError(f"no {event_type} about {about!r} was recorded")


@pytest.fixture(scope="module")
def made(cloud: OpenStack) -> Iterator[Made]:
    """Volumes, a snapshot and an image, which are gone afterwards: others use this cloud, too."""
    with cloud.connection() as admin:
        store, images = admin.block_storage, admin.image
        volumes = [cloud.volume(size, "v") for size in (2, 5)]
        snapshot = store.create_snapshot(volume_id=volumes[1].id, name="kept")
        store.wait_for_status(snapshot, "available", interval=0.2, wait=60)
        image = images.create_image(
            "agents'", data=b"x" * 4096, disk_format="raw", container_format="bare"
        )
        yield Made(
            volumes={volumes[0].id: 2.0, volumes[1].id: 5.0},
            snapshots={snapshot.id: 5.0},
            image=image.id,
            project=admin.current_project_id,
            user=admin.current_user_id,
        )
        images.delete_image(image)
        store.delete_snapshot(snapshot)
        store.wait_for_delete(snapshot, interval=0.2, wait=60)
        for volume in volumes:
            store.delete_volume(volume)
            store.wait_for_delete(volume, interval=0.2, wait=60)


@contextlib.contextmanager
def in_catalog(cloud: OpenStack, url: str) -> Iterator[None]:
    """Make this address the cloud's Gnocchi, for a while."""
    with cloud.connection() as admin:
        service = admin.identity.create_service(type="metric", name="gnocchi")
        admin.identity.create_endpoint(
            service_id=service.id, interface="public", region_id=REGION, url=url
        )
        yield
        admin.identity.delete_service(service)


@pytest.fixture(scope="module")
def published(
    cloud: OpenStack,
    rabbitmq: RabbitServer,
    made: Made,
    certificates: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    """Everything runs, and all the notifications were sent."""
    folder = tmp_path_factory.mktemp("agents")
    topics = Topics(rabbitmq.url, ["metering", "event"], "of-publishers")
    agents = Agents(folder / "agents", cloud, rabbitmq, EXCHANGE)
    with (
        service_in(folder / "service", topics) as service,  # type: ignore[arg-type]
        proxy(certificates, service.api) as before,
    ):
        service.start()
        wait_until(lambda: service.feed()["connected"], "the feed to connect", DRAIN_SECONDS)
        urls = addresses(service.api, before.server_port, certificates)
        agents.configure(
            POLLSTERS,
            POLLED,
            {urls[way]: meters for way, meters in METERS.items()},
            {urls[way]: events for way, events in EVENTS.items()},
        )
        with in_catalog(cloud, f"http://127.0.0.1:{service.api}/gnocchi"), agents:
            agents.upgrade()
            agents.publish()
            agents.poll()
            notify(rabbitmq.url, SENT)
            yield Published(service, agents, made, before)


def addresses(api: int, tls: int, certificates: Path) -> dict[str, str]:
    """Return what stands under `publishers`, by its kind."""
    verified = "&".join(
        f"{name}={certificates / file}"
        for name, file in (
            ("verify_ssl", "ca.pem"),
            ("clientcert", "client.pem"),
            ("clientkey", "client.key"),
        )
    )
    return {
        "http": f"http://127.0.0.1:{api}/v1/ceilometer",
        "https": f"https://{USER}:{PASSWORD}@localhost:{tls}/v1/ceilometer?{verified}",
        "gnocchi": "gnocchi://?archive_policy=ceilometer-low-rate&filter_project=nobody",
        "notifier": "notifier://",
    }


def notify(url: str, about: dict[str, list[str]]) -> None:
    """Publish recorded notifications as services do: of each event type, about each of these."""
    found = [recorded(kind, each) for kind, things in about.items() for each in things]
    sent = [
        Message(EXCHANGE, f"notifications.{message['priority'].lower()}", body)
        for body, message in found
    ]
    publish_all(url, sent)


def test_samples_by_http_are_what_the_agent_polled(published: Published) -> None:
    made = published.made
    published.until(
        lambda: published.samples("dynamic.volume.size").keys() >= made.volumes.keys(),
        "volumes by http",
    )
    found = published.samples("dynamic.volume.size")
    for volume, size in made.volumes.items():
        assert found[volume][:5] == ("gauge", "GiB", size, made.project, made.user)
        assert found[volume][5]["status"] == "available"


def test_samples_by_https_pass_a_proxy_with_certificates_and_password(published: Published) -> None:
    made = published.made
    published.until(
        lambda: published.samples("dynamic.snapshot.size").keys() >= made.snapshots.keys(),
        "snapshots by https",
    )
    found = published.samples("dynamic.snapshot.size")
    for snapshot, size in made.snapshots.items():
        assert found[snapshot][:5] == ("gauge", "GiB", size, made.project, made.user)
    assert published.proxy.refused == 0


def test_samples_by_notifier_are_read_from_its_topic(published: Published) -> None:
    published.until(lambda: len(published.samples("dynamic.service.health")) == 2, "services")
    found = published.samples("dynamic.service.health")
    assert {row[:3] for row in found.values()} == {("gauge", "health", 1.0)}


def test_samples_by_gnocchi_have_the_owner_and_what_its_resource_is_told_of(
    published: Published,
) -> None:
    made = published.made
    published.until(lambda: made.image in published.samples("image.size"), "images by gnocchi")
    # The agent tells of a resource's attributes with its first measures.
    row = published.samples("image.size")[made.image]
    assert row[:5] == ("gauge", "B", 4096.0, made.project, "")
    assert row[5] == {"name": "agents'", "container_format": "bare", "disk_format": "raw"}


def test_a_resource_of_gnocchis_is_what_notifications_tell_of_it_and_ends_when_they_say_so(
    published: Published,
) -> None:
    payload = recorded("compute.instance.create.end", INSTANCE)[1]["payload"]
    url = f"http://127.0.0.1:{published.service.api}/gnocchi/v1/resource/instance/{INSTANCE}"

    def told() -> dict[str, Any]:
        found: dict[str, Any] = requests.get(url, timeout=30).json()
        return found

    # The event has its name, the samples of the same notification its image.
    published.until(lambda: told().get("image_ref"), "the instance to be told of")
    names = ("display_name", "project_id", "user_id")
    owner = payload["display_name"], payload["tenant_id"], payload["user_id"]
    assert tuple(told()[name] for name in names) == owner
    assert "ended_at" not in told()
    notify(published.agents.broker.url, {"compute.instance.delete.start": [INSTANCE]})
    published.until(lambda: told().get("ended_at"), "its end")


@dataclasses.dataclass(frozen=True)
class Metered:
    """A sample as the agent makes it of a notification."""

    meter: str
    event_type: str
    about: str
    type: str
    unit: str
    volume: str  # and the rest: where in the payload
    resource: str
    project: str
    user: str = ""

    def expected(self) -> tuple[Any, ...]:
        """Return its row."""
        message = recorded(self.event_type, self.about)[1]
        told = {"": "", **message["payload"]}
        volume, owner = float(told[self.volume]), (told[self.project], told[self.user])
        moment = dt.datetime.fromisoformat(message["timestamp"]).isoformat(timespec="milliseconds")
        return told[self.resource], self.type, self.unit, volume, *owner, moment


NOTIFIED = {
    "http": Metered(
        *("image.serve", "image.send", SENT_WHOLE, "delta", "B"),
        *("bytes_sent", "image_id", "owner_id"),
    ),
    "https": Metered(
        *("volume.size", "volume.create.end", "", "gauge", "GiB"),
        *("size", "volume_id", "tenant_id", "user_id"),
    ),
    "notifier": Metered(
        *("image.download", "image.send", SENT_WHOLE, "delta", "B"),
        *("bytes_sent", "image_id", "receiver_tenant_id", "receiver_user_id"),
    ),
    "gnocchi": Metered(
        *("vcpus", "compute.instance.create.end", INSTANCE, "gauge", "vcpu"),
        *("vcpus", "instance_id", "tenant_id", "user_id"),
    ),
}


@pytest.mark.parametrize("way", NOTIFIED)
def test_what_the_agent_makes_of_a_notification_comes_by_each_publisher(
    published: Published, way: str
) -> None:
    metered = NOTIFIED[way]
    assert metered.meter in METERS[way]

    def found() -> list[tuple[Any, ...]]:
        return published.service.query(
            "SELECT resource_id, type, unit, volume, project_id, user_id,"
            " replaceOne(toString(timestamp), ' ', 'T') FROM metering.v_samples"
            f" WHERE meter = '{metered.meter}'"
        )

    published.until(found, f"{metered.meter} by {way}")
    assert found() == [metered.expected()]


@pytest.mark.parametrize(
    ("like", "event_type"),
    [
        ("image.%", "image.send"),
        ("volume.%", "volume.create.end"),
        ("snapshot.%", "snapshot.create.end"),
    ],
    ids=["http", "https", "notifier"],
)
def test_events_are_found_under_the_id_of_their_notification(
    published: Published, like: str, event_type: str
) -> None:
    messages = [recorded(event_type, about)[1] for about in SENT[event_type]]
    published.until(
        lambda: len(published.events(like)) == len(messages), f"{event_type} to be stored"
    )
    assert published.events(like) == [(event_type, each["message_id"]) for each in messages]


def test_the_agent_makes_an_event_and_no_sample_of_what_a_service_tells_as_an_error(
    published: Published,
) -> None:
    message = recorded("image.send", SENT_IN_PART)[1]
    assert message["priority"] == "ERROR"
    told = ("image.send", message["message_id"])
    # It would have made the sample before the event, which went the same way.
    published.until(lambda: told in published.events("image.%"), "the error to be stored")
    for meter in ("image.serve", "image.download"):
        assert SENT_IN_PART not in published.samples(meter)


def test_nothing_that_agents_publish_is_refused(published: Published) -> None:
    published.until(lambda: published.events("snapshot.%"), "the last of what was sent")
    assert published.service.query("SELECT reason, payload FROM metering.v_invalid") == []
    assert "Traceback" not in published.agents.tail()


def test_polling_agents_can_be_read_without_any_publisher(
    cloud: OpenStack, rabbitmq: RabbitServer, made: Made, tmp_path: Path
) -> None:
    topics = Topics(rabbitmq.url, ["notifications"], "of-pollers")
    agents = Agents(tmp_path / "agents", cloud, rabbitmq, EXCHANGE)
    agents.configure(POLLSTERS, ["dynamic.volume.size"], {}, {})
    with service_in(tmp_path / "service", topics) as service:  # type: ignore[arg-type]
        service.start()
        wait_until(lambda: service.feed()["connected"], "the feed to connect", DRAIN_SECONDS)
        read = Published(service, agents, made, None)  # type: ignore[arg-type]
        with agents:
            agents.poll()
            read.until(
                lambda: read.samples("dynamic.volume.size").keys() >= made.volumes.keys(), "volumes"
            )
        found = read.samples("dynamic.volume.size")
        for volume, size in made.volumes.items():
            assert found[volume][:5] == ("gauge", "GiB", size, made.project, made.user)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Skip where there are no agents."""
    if not (FOLDER / "ready").exists():
        pytest.skip(INSTALL)
