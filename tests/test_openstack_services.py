"""Real Keystone, Glance and Cinder, polled by the service: what was made there is in `v_samples`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.polling import only
from tests.servers.openstack import REGION, OpenStack
from tests.servers.rabbitmq import wait_until
from tests.soak.service import DRAIN_SECONDS, Service, service_in

pytestmark = pytest.mark.server

METERS = ("volume.*", "image.size", "ip.floating")


@dataclasses.dataclass
class Clouds:
    """What the service under test polls."""

    file: Path
    polling: Path
    kind: ClassVar[str] = "openstack"

    def feed(self) -> dict[str, Any]:
        """Return the feed's entry in the configuration; lists come an entry a page."""
        return {
            "type": self.kind,
            "clouds": ["here"],
            "clouds_file": str(self.file),
            "polling": str(self.polling),
            "jitter": 0,
            "page": 1,
        }


@pytest.fixture
def service(cloud: OpenStack, tmp_path: Path) -> Iterator[Service]:
    polled = Clouds(cloud.clouds, only(tmp_path, *METERS, interval=2))
    with service_in(tmp_path / "service", polled) as service:  # type: ignore[arg-type]
        yield service


def samples(service: Service, meter: str) -> dict[str, tuple[Any, ...]]:
    """Return the newest of each resource's samples of a meter."""
    found = service.query(
        "SELECT resource_id, argMax((volume, unit, type, project_id, user_id,"
        f" resource_metadata['name']), timestamp) FROM v_samples WHERE meter = '{meter}'"
        " GROUP BY resource_id"
    )
    return dict(found)  # type: ignore[arg-type]


def test_volumes_snapshots_and_images_of_all_projects_are_found_in_v_samples(
    cloud: OpenStack, service: Service
) -> None:
    with cloud.connection() as admin:
        other = admin.identity.create_project(name="another", domain_id="default")
        made = {"one": cloud.volume(2, "one"), "two": cloud.volume(5, "two")}
        snapshot = admin.block_storage.create_snapshot(volume_id=made["two"].id, name="kept")
        admin.block_storage.wait_for_status(snapshot, "available", interval=0.2, wait=60)
        image = admin.image.create_image(
            "small", data=b"x" * 4096, disk_format="raw", container_format="bare"
        )
        hidden = admin.image.create_image(
            "old", data=b"x" * 1024, disk_format="raw", container_format="bare"
        )
        admin.image.update_image(hidden, is_hidden=True)
        theirs = admin.image.post("/images", json={"name": "theirs", "owner": other.id}).json()
        own, me = admin.current_project_id, admin.current_user_id
    service.start()
    wait_until(lambda: service.feed()["polls_stored"], "a poll", DRAIN_SECONDS)
    wait_until(lambda: is_polled(service), "polls of everything", DRAIN_SECONDS)
    assert samples(service, "volume.size") == {
        made["one"].id: (2.0, "GiB", "gauge", own, me, "one"),
        made["two"].id: (5.0, "GiB", "gauge", own, me, "two"),
    }
    assert samples(service, "volume.snapshot.size") == {
        snapshot.id: (5.0, "GiB", "gauge", own, me, "kept")
    }
    assert samples(service, "image.size") == {
        image.id: (4096.0, "B", "gauge", own, "", "small"),
        hidden.id: (1024.0, "B", "gauge", own, "", "old"),
    }, f"of {theirs['id']} there are no bytes yet"
    health = samples(service, "volume.service.health")
    assert sorted(name.partition("@")[0] for name in health) == [
        "cinder-scheduler",
        "cinder-volume",
    ]
    assert {found[:2] for found in health.values()} == {(1.0, "health")}
    allocated = samples(service, "volume.provider.pool.capacity.allocated")
    assert [found[:2] for found in allocated.values()] == [(7.0, "GiB")]
    # Cinder's fake driver has no bounds, and says so in words.
    assert samples(service, "volume.provider.pool.capacity.total") == {}
    feed = service.feed()
    assert feed["absent"] == {f"here/{REGION} network": "not in the catalog"}
    assert (feed["connected"], feed["last_error"], feed["unreadable"]) == (True, None, 0)
    assert service.query("SELECT count() FROM v_invalid") == [(0,)]


def is_polled(service: Service) -> bool:
    """Return whether there are samples of every kind, and Cinder has told of both volumes."""
    allocated = samples(service, "volume.provider.pool.capacity.allocated")
    kinds = ("volume.size", "volume.snapshot.size", "image.size", "volume.service.health")
    return [found[0] for found in allocated.values()] == [7.0] and all(
        samples(service, kind) for kind in kinds
    )


def test_a_volume_that_grows_is_metered_with_its_new_size_and_not_once_it_is_gone(
    cloud: OpenStack, service: Service
) -> None:
    service.start()
    with cloud.connection() as admin:
        volume = cloud.volume(1, "growing")
        sizes = f"SELECT DISTINCT volume FROM v_samples WHERE resource_id = '{volume.id}'"
        wait_until(lambda: service.query(sizes) == [(1.0,)], "the volume's first size", 60)
        admin.block_storage.extend_volume(volume, 3)
        wait_until(lambda: len(service.query(sizes)) == 2, "its second size", 60)
        admin.block_storage.delete_volume(volume)
        admin.block_storage.wait_for_delete(volume, interval=0.2, wait=60)
    wait_until(lambda: is_left_out(service, volume.id), "two polls without it", 60)
    assert sorted(service.query(sizes)) == [(1.0,), (3.0,)]


def is_left_out(service: Service, volume: str) -> bool:
    """Return whether volumes have been polled twice since a volume was polled last."""
    newer = (
        "SELECT uniq(timestamp) FROM v_samples WHERE meter = 'volume.service.health' AND timestamp >"
        f" (SELECT max(timestamp) FROM v_samples WHERE resource_id = '{volume}') + 2.5"
    )
    return bool(service.query(newer) >= [(2,)])
