"""The openstack feed against a stub of a cloud: everything polled, gently, once, by one reader."""

import collections
import copy
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.config import Decode
from metering.decode import Decoder
from metering.pollsters.readings import Poll
from metering.pollsters.shipped import KINDS, METERS
from metering.signature import is_signed
from sources.feed import FeedError
from sources.openstack.feed import OpenStackFeed
from sources.openstack.outbox import BOUND
from sources.openstack.poller import Poller
from sources.openstack.settings import OpenStackSettings
from tests.polling import Polled, only, polling
from tests.servers.cloud import Answer, Request, StubCloud, bucket, calls, server
from tests.servers.rabbitmq import wait_until

KINDS_POLLED = len(KINDS)
IMAGE_LISTS = 2  # calls: of the images that are not hidden, and of those that are


@pytest.fixture
def cloud() -> Iterator[StubCloud]:
    cloud = StubCloud()
    yield cloud
    cloud.close()


def volume(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"volume-{number}",
        "size": number,
        "user_id": "u",
        "os-vol-tenant-attr:tenant_id": f"p{number % 3}",
        "attachments": [],
        **fields,
    }


OWN = {"project_id": "p", "user_id": "u"}
CAPABILITIES = {
    "pool_name": "lvm",
    "total_capacity_gb": 100,
    "free_capacity_gb": 60,
    "provisioned_capacity_gb": 45,
    "allocated_capacity_gb": 40,
    "reserved_percentage": 5,
}
COUNTERS = {"ok": 5, "alarm": 2}
LISTS: dict[str, list[dict[str, Any]]] = {
    "servers": [server(1)],
    "volumes": [volume(1)],
    "snapshots": [
        {
            "id": "s",
            "size": 2,
            "os-extended-snapshot-attributes:project_id": "p",
            "user_id": "u",
        }
    ],
    "backups": [{"id": "b", "size": 3, "os-backup-project-attr:project_id": "p"}],
    "pools": [{"name": "h@lvm#lvm", "capabilities": CAPABILITIES}],
    "services": [{"binary": "cinder-volume", "host": "h", "state": "up", "zone": "nova"}],
    "images": [
        {"id": "i", "size": 1000, "owner": "p"},
        {"id": "queued", "size": None},
        {"id": "hidden", "size": 500, "owner": "p", "os_hidden": True},
    ],
    "floatingips": [{"id": "f", "status": "ACTIVE", "tenant_id": "p"}],
    "vpnservices": [{"id": "v", "status": "PENDING_CREATE", "project_id": "p"}],
    "ipsec_site_connections": [{"id": "c", "psk": "secret", **OWN}],
    "firewall_groups": [{"id": "g", "status": "ODD", **OWN}],
    "firewall_policies": [{"id": "fp", **OWN}],
    "loadbalancers": [
        {"id": "l", "operating_status": "ONLINE", "provisioning_status": "ERROR", **OWN}
    ],
    "shares": [{"id": "sh", "size": 7, "status": "available", "share_proto": "NFS", **OWN}],
    "zones": [{"id": "z", "status": "ACTIVE", "ttl": 60, "serial": 9, "recordset_count": 4, **OWN}],
    "evaluation_results": [{"alarm_id": "a", "project_id": "p", "state_counters": COUNTERS}],
    "projects": [{"id": "full"}, {"id": "empty"}, {"id": "none"}],
}


def fill(cloud: StubCloud) -> None:
    """Put one of everything there is into a cloud."""
    cloud.lists |= copy.deepcopy(LISTS)
    cloud.accounts = {
        "full": [{"name": "one", "count": 2, "bytes": 30}, {"name": "two", "count": 1, "bytes": 5}],
        "empty": [],
    }
    cloud.gateway = {"full": {"bucket": [bucket("b", main=(3, 4))], "usage": calls(6)}}


EVERYTHING = {
    ("alarm.evaluation_result", "a/ok"): 5,
    ("alarm.evaluation_result", "a/alarm"): 2,
    ("disk.ephemeral.size", server(1)["id"]): 4,
    ("disk.root.size", server(1)["id"]): 20,
    ("dns.zone.recordsets", "z"): 4,
    ("dns.zone.serial", "z"): 9,
    ("dns.zone.status", "z"): 1,
    ("dns.zone.ttl", "z"): 60,
    ("image.size", "i"): 1000,
    ("image.size", "hidden"): 500,
    ("ip.floating", "f"): 1,
    ("loadbalancer.operating", "l"): 1,
    ("loadbalancer.provisioning", "l"): 3,
    ("manila.share.size", "sh"): 7,
    ("manila.share.status", "sh"): 1,
    ("network.services.firewall", "g"): -1,
    ("network.services.firewall.policy", "fp"): 1,
    ("network.services.vpn", "v"): 2,
    ("network.services.vpn.connections", "c"): 1,
    ("radosgw.api.request", "full"): 6,
    ("radosgw.containers.objects", "full/b"): 3,
    ("radosgw.containers.objects.size", "full/b"): 4096,
    ("radosgw.objects", "full"): 3,
    ("radosgw.objects.containers", "full"): 1,
    ("radosgw.objects.size", "full"): 4096,
    ("storage.containers.objects", "full/one"): 2,
    ("storage.containers.objects", "full/two"): 1,
    ("storage.containers.objects.size", "full/one"): 30,
    ("storage.containers.objects.size", "full/two"): 5,
    ("storage.objects", "full"): 3,
    ("storage.objects", "empty"): 0,
    ("storage.objects.containers", "full"): 2,
    ("storage.objects.containers", "empty"): 0,
    ("storage.objects.size", "full"): 35,
    ("storage.objects.size", "empty"): 0,
    ("volume.backup.size", "b"): 3,
    ("volume.provider.pool.capacity.allocated", "h@lvm#lvm"): 40,
    ("volume.provider.pool.capacity.free", "h@lvm#lvm"): 60,
    ("volume.provider.pool.capacity.provisioned", "h@lvm#lvm"): 45,
    ("volume.provider.pool.capacity.total", "h@lvm#lvm"): 100,
    ("volume.provider.pool.capacity.virtual_free", "h@lvm#lvm"): 50,
    ("volume.service.health", "cinder-volume@h"): 1,
    ("volume.size", "volume-1"): 1,
    ("volume.snapshot.size", "s"): 2,
}


def test_one_of_everything_is_polled_for_all_projects(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    with polling(cloud, tmp_path) as polled:
        polled.until_polls(KINDS_POLLED)
        status = polled.status
    found = polled.volumes()
    diagnosed = {key: value for key, value in found.items() if server(1)["id"] in key[1]}
    assert {key: value for key, value in found.items() if key not in diagnosed} == {
        key: value for key, value in EVERYTHING.items() if key not in diagnosed
    }
    assert len(diagnosed) == 19
    assert polled.meters() == METERS
    assert (status["connected"], status["last_error"], polled.strays) == (True, None, [])
    assert (status["absent"], status["polls"], status["polls_failed"]) == ({}, KINDS_POLLED, 0)
    owners = {s["counter_name"]: (s["project_id"], s["user_id"]) for s in polled.samples}
    assert owners["volume.size"] == ("p1", "u")
    assert owners["volume.provider.pool.capacity.total"] == (None, None)
    assert owners["storage.objects"][0] in ("full", "empty")
    assert "secret" not in str(polled.bodies)


def test_what_is_polled_passes_the_decoders_fast_way(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    with polling(cloud, tmp_path) as polled:
        polled.until_polls(KINDS_POLLED)
    now = int(time.time() * 1000)
    decoded = Decoder(Decode()).decode("openstack", polled.bodies, now)
    assert (decoded.samples.num_rows, decoded.invalid.num_rows) == (len(polled.samples), 0)
    names = {s["message_id"] for s in polled.samples}
    assert set(decoded.samples["message_id"].to_pylist()) == names
    assert len(names) == len(polled.samples)
    assert {s["resource_metadata"]["region"] for s in polled.samples} == {"one"}


def test_a_polls_samples_share_one_time(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.lists["servers"] = [server(number) for number in range(40)]
    with polling(cloud, tmp_path, polling=only(tmp_path, "cpu", interval=1), page=7) as polled:
        polled.until_polls(3)
    times = collections.Counter(sample["timestamp"] for sample in polled.samples)
    whole = [count for count in times.values() if count == 40]
    assert len(whole) >= 3
    assert sum(times.values()) - sum(whole) < 40  # of one that was cut short by the end


def test_every_page_is_read_whatever_its_size(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.largest_page = 4
    cloud.lists["volumes"] = [volume(number) for number in range(10)]
    cloud.lists["images"] = [{"id": f"i{number}", "size": number} for number in range(9)]
    cloud.lists["zones"] = [
        {"id": f"z{number}", "ttl": number, "status": "ACTIVE"} for number in range(5)
    ]
    meters = only(tmp_path, "volume.size", "image.size", "dns.zone.ttl")
    with polling(cloud, tmp_path, polling=meters, page=1000) as polled:
        polled.until_polls(3)
    assert polled.volumes() == {
        **{("volume.size", f"volume-{number}"): number for number in range(10)},
        **{("image.size", f"i{number}"): number for number in range(9)},
        **{("dns.zone.ttl", f"z{number}"): number for number in range(5)},
    }
    assert len(cloud.asked("/volumes/detail")) == 3


def test_a_page_that_links_to_itself_is_the_last(cloud: StubCloud, tmp_path: Path) -> None:
    href = "/v2/images?visibility=all&limit=1000"
    cloud.other["/image/v2/images"] = {"images": [{"id": "i", "size": 1}], "next": href}
    with polling(cloud, tmp_path, polling=only(tmp_path, "image.size")) as polled:
        polled.until_polls(1)
    # The second list's link leads to the first, whose link is the one that leads nowhere.
    assert len(cloud.asked("/images")) == IMAGE_LISTS + 1


def test_several_clouds_and_all_their_regions_are_polled(tmp_path: Path) -> None:
    cloud = StubCloud(["block-storage"], ["one", "two"])
    fill(cloud)
    with polling(cloud, tmp_path, "a", "b", polling=only(tmp_path, "volume.s*")) as polled:
        polled.until_polls(12)
    cloud.close()
    places = {
        (s["resource_metadata"]["cloud"], s["resource_metadata"]["region"]) for s in polled.samples
    }
    assert places == {("a", "one"), ("a", "two"), ("b", "one"), ("b", "two")}
    services = {s["resource_id"] for s in polled.samples if s["counter_name"].endswith("health")}
    # Only a region knows what `cinder-volume@h` is; a volume's id is the same everywhere.
    assert services == {"one/cinder-volume@h", "two/cinder-volume@h"}
    assert {s["resource_id"] for s in polled.samples if s["counter_name"] == "volume.size"} == {
        "volume-1"
    }


def test_only_the_regions_that_are_named_are_polled(tmp_path: Path) -> None:
    cloud = StubCloud(["block-storage"], ["one", "two"])
    fill(cloud)
    meters = only(tmp_path, "volume.size")
    with polling(cloud, tmp_path, polling=meters, regions=["two"]) as polled:
        polled.until_polls(1)
    cloud.close()
    assert [s["resource_metadata"]["region"] for s in polled.samples] == ["two"]


def test_a_login_from_the_environment_is_taken(
    cloud: StubCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cloud)
    login = {
        "AUTH_URL": f"{cloud.url}/identity/v3",
        "USERNAME": "admin",
        "PASSWORD": cloud.password,
        "PROJECT_NAME": "admin",
        "USER_DOMAIN_ID": "default",
        "PROJECT_DOMAIN_ID": "default",
        "REGION_NAME": "one",
    }
    for name, value in login.items():
        monkeypatch.setenv(f"OS_{name}", value)
    monkeypatch.chdir(tmp_path)
    feed = OpenStackFeed(OpenStackSettings(jitter=0, polling=only(tmp_path, "volume.size")))
    feed.open()
    polled = Polled(feed)
    polled.until_polls(1)
    feed.close()
    assert polled.volumes() == {("volume.size", "volume-1"): 1}


def test_services_that_are_not_there_are_said_once_and_polled_once_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = StubCloud(["block-storage"])
    fill(cloud)
    cloud.fault = lambda request: Answer({}, 404) if "/backups" in request.path else None
    meters = only(tmp_path, "volume.*size", "image.size", "cpu", "disk.root.size", interval=1)
    with caplog.at_level(logging.WARNING), polling(cloud, tmp_path, polling=meters) as polled:
        polled.until_polls(5)
        assert polled.status["absent"] == {
            "stub/one backups": "no /backups/detail?all_tenants=1 there",
            "stub/one compute": "not in the catalog",
            "stub/one image": "not in the catalog",
        }
        assert (polled.status["connected"], polled.status["last_error"]) == (True, None)
        cloud.fault = lambda request: None
        polled.until(lambda: "volume.backup.size" in polled.meters(), "backups")
        assert "stub/one backups" not in polled.status["absent"]
    cloud.close()
    said = collections.Counter(record.getMessage() for record in caplog.records)
    assert {text: count for text, count in said.items() if "not polled" in text} == {
        "stub/one backups is not polled: no /backups/detail?all_tenants=1 there": 1,
        "stub/one compute is not polled: not in the catalog": 1,
        "stub/one image is not polled: not in the catalog": 1,
    }


def test_meters_have_intervals_of_their_own(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    file = tmp_path / "polling.yaml"
    file.write_text(
        "sources:\n"
        "  - {name: often, interval: 1, meters: [volume.size]}\n"
        "  - {name: once, interval: 3600, meters: ['!volume.size', '!*.objects*']}\n"
    )
    with polling(cloud, tmp_path, polling=file) as polled:
        polled.until(lambda: len(cloud.asked("/volumes/detail")) >= 3, "three polls of volumes")
        wanted = {meter for meter in METERS if ".objects" not in meter}
        polled.until(lambda: polled.meters() >= wanted, "a poll of the others")
    assert len(cloud.asked("/images")) == IMAGE_LISTS
    assert polled.meters() == wanted


def test_meters_that_nothing_polls_are_said(
    cloud: StubCloud, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    meters = only(tmp_path, "image.size", "perf.instructions", "hardware.*")
    with caplog.at_level(logging.WARNING), polling(cloud, tmp_path, polling=meters) as polled:
        assert polled.status["not_polled"] == ["hardware.*", "perf.instructions"]
    assert "no poller has these meters: hardware.*, perf.instructions" in caplog.messages


def test_a_service_that_is_busy_is_left_alone_as_long_as_it_asks(
    cloud: StubCloud, tmp_path: Path
) -> None:
    fill(cloud)
    busy = iter([Answer({}, 429, [("Retry-After", "1")]), Answer({}, 503)])
    cloud.fault = lambda request: next(busy, None) if "/block-storage" in request.path else None
    meters = only(tmp_path, "volume.size", "volume.snapshot.size")
    with polling(
        cloud, tmp_path, polling=meters, concurrency=1, backoff_min=0.2, backoff_max=1
    ) as polled:
        polled.until_polls(2)
        assert polled.status["retries"] == 2
        assert (polled.status["polls_failed"], polled.status["last_error"]) == (0, None)
    asked = cloud.asked("/block-storage")
    assert len(asked) == 4
    assert asked[1].began - asked[0].began >= 1.0  # every call to the service waited
    assert asked[2].began - asked[1].began >= 0.1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_fault_of_one_call_is_tried_again_and_others_go_on(
    cloud: StubCloud, tmp_path: Path, status: int
) -> None:
    cloud.lists["servers"] = [server(1), server(2)]
    broken = server(1)["id"]
    cloud.fault = lambda request: Answer({}, status) if broken in request.path else None
    meters = only(tmp_path, "cpu")
    with polling(cloud, tmp_path, polling=meters, retries=2) as polled:
        polled.until_polls(1)
        found = polled.status
    assert [s["resource_id"] for s in polled.samples] == [server(2)["id"]]
    assert len(cloud.asked(broken)) == 3
    assert (found["retries"], found["calls_failed"], found["connected"]) == (2, 1, True)
    assert f"{status} -" in found["last_error"]


def test_what_is_refused_is_not_tried_again_at_once_and_is_told(
    cloud: StubCloud, tmp_path: Path
) -> None:
    cloud.fault = lambda request: Answer({"no": 1}, 403) if "/images" in request.path else None
    meters = only(tmp_path, "image.size")
    with polling(cloud, tmp_path, polling=meters, backoff_min=60, backoff_max=60) as polled:
        polled.until(lambda: polled.status["polls_failed"], "the poll to fail")
        found = polled.status
    assert len(cloud.asked("/images")) == 1
    assert found["last_error"].startswith("stub/one images: GET ")
    assert '403 {"no": 1}' in found["last_error"]
    assert found["connected"] is True


def test_a_cloud_that_is_away_is_told_and_polled_when_it_comes(tmp_path: Path) -> None:
    cloud = StubCloud(["image"])
    fill(cloud)
    cloud.close()
    with polling(cloud, tmp_path, polling=only(tmp_path, "image.size"), retries=1) as polled:
        polled.until(lambda: not polled.status["connected"], "its absence to be told")
        assert str(cloud.port) in polled.status["last_error"]
        again = StubCloud(["image"], port=cloud.port)
        fill(again)
        polled.until_polls(1)
        assert (polled.status["connected"], polled.status["last_error"]) == (True, None)
    again.close()
    assert polled.volumes() == {("image.size", "i"): 1000, ("image.size", "hidden"): 500}


def test_a_wrong_password_is_told_and_not_tried_in_haste(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.password = "another"
    file = tmp_path / "clouds.yaml"
    file.write_text(cloud.clouds_yaml())
    cloud.password = "the right one"
    settings = {"clouds": ["stub"], "clouds_file": file, "jitter": 0}
    settings |= {"polling": only(tmp_path, "image.size"), "backoff_min": 60}
    feed = OpenStackFeed(OpenStackSettings.model_validate(settings))
    feed.open()
    wait_until(lambda: feed.status()["last_error"], "the refusal to be told")
    feed.close()
    assert feed.status()["connected"] is False
    assert len(cloud.asked("/auth/tokens")) == 1


def test_a_call_without_an_answer_in_time_is_tried_again(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    first = threading.Event()

    def fault(request: Request) -> None:
        if "/images" in request.path and not first.is_set():
            first.set()
            threading.Event().wait(1.5)

    cloud.fault = fault
    meters = only(tmp_path, "image.size")
    with polling(cloud, tmp_path, polling=meters, timeout=0.5) as polled:
        polled.until_polls(1)
        assert (polled.status["retries"], polled.status["polls_failed"]) == (1, 0)
    assert polled.volumes() == {("image.size", "i"): 1000, ("image.size", "hidden"): 500}


def test_an_identity_service_that_does_not_answer_is_told(cloud: StubCloud, tmp_path: Path) -> None:
    over = threading.Event()

    def fault(request: Request) -> None:
        if "/auth/tokens" in request.path:
            over.wait(20)

    cloud.fault = fault
    meters = only(tmp_path, "image.size")
    with polling(cloud, tmp_path, polling=meters, timeout=0.3, retries=0) as polled:
        polled.until(lambda: not polled.status["connected"], "it to be told")
        assert "timed out" in polled.status["last_error"]
    over.set()


def test_calls_under_way_to_a_service_are_bounded(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.lists["servers"] = [server(number) for number in range(30)]

    def slow(request: Request) -> None:
        if "/diagnostics" in request.path:
            threading.Event().wait(0.02)

    cloud.fault = slow
    meters = only(tmp_path, "cpu", "disk.root.size")
    with polling(cloud, tmp_path, polling=meters, concurrency=3) as polled:
        polled.until_polls(2)
    assert cloud.most_at_once["compute"] == 3


def test_first_polls_are_spread_over_the_jitter(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    meters = only(tmp_path, "image.size", interval=1)
    with polling(cloud, tmp_path, polling=meters, jitter=1e9):
        threading.Event().wait(1.5)  # without it, two polls
    assert cloud.requests == []


def test_polls_that_fall_due_while_one_runs_are_skipped_and_counted(
    cloud: StubCloud, tmp_path: Path
) -> None:
    fill(cloud)
    slow = threading.Event()

    def fault(request: Request) -> None:
        if "/images" in request.path and not slow.is_set():
            slow.wait(3.5)
            slow.set()

    cloud.fault = fault
    meters = only(tmp_path, "image.size", interval=1)
    with polling(cloud, tmp_path, polling=meters) as polled:
        polled.until_polls(1)
        asked = len(cloud.asked("/images"))
        polled.until_polls(2)
        assert polled.status["polls_skipped"] >= 3
    assert asked == IMAGE_LISTS  # none had queued


def test_lists_whose_resources_are_asked_are_kept_for_a_while(
    cloud: StubCloud, tmp_path: Path
) -> None:
    cloud.lists["servers"] = [server(1), server(2)]
    meters = only(tmp_path, "cpu", interval=1)
    with polling(cloud, tmp_path, polling=meters) as polled:
        polled.until_polls(1)
        cloud.lists["servers"] = [server(2, status="SHUTOFF"), server(3)]
        polled.until_polls(3)
        assert polled.status["last_error"] is None  # a server that is gone is no fault
    assert len(cloud.asked("/servers/detail")) == 1
    counted = collections.Counter(s["resource_id"] for s in polled.samples)
    assert counted == {server(1)["id"]: 1, server(2)["id"]: 1}
    with polling(cloud, tmp_path, polling=meters, discovery=0) as polled:
        polled.until_polls(2)
    assert len(cloud.asked("/servers/detail")) >= 3


def test_a_server_that_does_not_run_has_a_power_state_alone(
    cloud: StubCloud, tmp_path: Path
) -> None:
    stopped = {"status": "SHUTOFF", "OS-EXT-STS:power_state": 4}
    cloud.lists["servers"] = [server(1, **stopped)]
    meters = only(tmp_path, "cpu", "power.state", "vcpus")
    with polling(cloud, tmp_path, polling=meters) as polled:
        polled.until_polls(1)
        assert polled.status["last_error"] is None
    assert polled.volumes() == {("power.state", server(1)["id"]): 4}


def test_readers_share_the_work_and_none_asks_what_is_anothers(
    cloud: StubCloud, tmp_path: Path
) -> None:
    fill(cloud)
    cloud.lists["servers"] = [server(number) for number in range(20)]
    cloud.lists["volumes"] = [volume(number) for number in range(20)]
    cloud.lists["projects"] = [{"id": f"p{number}"} for number in range(20)]
    cloud.accounts = {f"p{number}": [] for number in range(20)}
    found = []
    for reader in range(3):
        with polling(cloud, tmp_path / str(reader), reader=reader, readers=3) as polled:
            polled.until_polls(KINDS_POLLED)
        found.append(set(polled.volumes()))
    assert sum(map(len, found)) == len(set.union(*found))  # no series is two readers'
    with polling(cloud, tmp_path) as alone:
        alone.until_polls(KINDS_POLLED)
    assert set.union(*found) == set(alone.volumes())
    asked = collections.Counter(request.path for request in cloud.asked("/diagnostics"))
    assert set(asked.values()) == {2}  # once by one of the three, once by the one alone
    assert all(any(meter == "cpu" for meter, _ in each) for each in found)


def test_bad_entries_and_answers_end_in_invalid_and_the_rest_is_metered(
    cloud: StubCloud, tmp_path: Path
) -> None:
    cloud.lists["volumes"] = [
        volume(1),
        volume(2, size="much"),
        {"size": 5},
        "text",
        volume(3, attachments=5),
    ]
    cloud.other["/image/v2/images"] = {"pictures": []}
    cloud.fault = lambda request: (
        Answer(b"<html>oops</html>") if "/snapshots" in request.path else None
    )
    meters = only(tmp_path, "volume.size", "image.size", "volume.snapshot.size")
    with polling(cloud, tmp_path, polling=meters) as polled:
        polled.until_polls(3)
        assert polled.status["unreadable"] == 4 + IMAGE_LISTS
    now = int(time.time() * 1000)
    decoded = Decoder(Decode()).decode("openstack", polled.bodies, now)
    assert decoded.samples["resource_id"].to_pylist() == ["volume-1"]
    refused = collections.Counter(decoded.invalid["reason"].to_pylist())
    assert refused == {"bad_volume": 1, "bad_envelope": 4 + IMAGE_LISTS}
    told = "".join(str(each) for each in decoded.invalid["payload"].to_pylist())
    for part in ("much", "text", "<html>oops</html>", "pictures", "stub/one snapshots"):
        assert part in told


def test_unreadable_diagnostics_end_in_invalid_and_other_servers_are_metered(
    cloud: StubCloud, tmp_path: Path
) -> None:
    cloud.lists["servers"] = [server(number) for number in range(4)]
    path = "/compute/v2.1/servers/{}/diagnostics"
    cloud.other[path.format(server(0)["id"])] = {"nic_details": 5}
    cloud.other[path.format(server(1)["id"])] = [1, 2]
    garbage = server(2)["id"]
    cloud.fault = lambda request: Answer(b"{") if garbage in request.path else None
    with polling(cloud, tmp_path, polling=only(tmp_path, "network.incoming.*", "cpu")) as polled:
        polled.until_polls(1)
    assert {s["resource_id"][-36:] for s in polled.samples if s["counter_name"] == "cpu"} == {
        server(3)["id"]
    }
    assert len(polled.strays) == 3


def test_samples_are_signed_where_there_is_a_secret(cloud: StubCloud, tmp_path: Path) -> None:
    fill(cloud)
    with polling(cloud, tmp_path, telemetry_secret="s3cret") as polled:
        polled.until_polls(KINDS_POLLED)
    assert all(is_signed(sample, "s3cret") for sample in polled.samples)
    decoder = Decoder(Decode(telemetry_secret="s3cret"))
    decoded = decoder.decode("openstack", polled.bodies, int(time.time() * 1000))
    assert (decoded.samples.num_rows, decoded.invalid.num_rows) == (len(polled.samples), 0)


def test_a_poll_is_stored_when_all_of_it_is_acknowledged(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.lists["volumes"] = [volume(number) for number in range(600)]
    with polling(cloud, tmp_path, polling=only(tmp_path, "volume.size")) as polled:
        wait_until(lambda: polled.status["polls"] == 1, "the poll to end")
        payloads = polled.feed.poll(1)
        assert payloads is not None
        assert len(payloads.bodies) == 3
        assert polled.status["polls_stored"] == 0
        polled.feed.ack(payloads.receipt)
        polled.feed.ack(payloads.receipt)
        assert polled.status["polls_stored"] == 1


def test_polls_wait_while_nobody_takes_what_they_bring(cloud: StubCloud, tmp_path: Path) -> None:
    cloud.lists["volumes"] = [volume(number, name="x" * 2000) for number in range(10_000)]
    with polling(cloud, tmp_path, polling=only(tmp_path, "volume.size", interval=1)) as polled:
        wait_until(lambda: polled.status["waiting_bytes"] >= BOUND, "the outbox to be full")
        asked = len(cloud.asked("/volumes"))
        threading.Event().wait(2.5)  # more polls fall due, and pages could be read
        assert len(cloud.asked("/volumes")) == asked
        assert polled.status["waiting_bytes"] < 2 * BOUND
        polled.until_polls(2)
        assert polled.status["polls_skipped"] >= 2
    assert len({s["resource_id"] for s in polled.samples}) == 10_000


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"clouds": ["nowhere"]}, "no login for nowhere"),
        ({"polling": "none.yaml"}, "none.yaml: No such file"),
        ({"pollsters": ["none.yaml"]}, "none.yaml: No such file"),
    ],
)
def test_what_is_wrong_with_the_files_is_said_at_the_start(
    cloud: StubCloud, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(cloud.clouds_yaml())
    given = {"clouds": ["stub"], "clouds_file": file, **settings}
    with pytest.raises(FeedError, match=said):
        OpenStackFeed(OpenStackSettings.model_validate(given)).open()


def test_a_reader_must_be_one_of_the_readers() -> None:
    with pytest.raises(ValueError, match="reader must be below readers"):
        OpenStackSettings(reader=2, readers=2)


DYNAMIC = """
- name: dynamic.rating
  sample_type: delta
  unit: credit
  endpoint_type: rating
  url_path: v1/summary
  response_entries_key: summary
  value_attribute: "rate | float(value)"
  resource_id_attribute: tenant_id
  project_id_attribute: tenant_id
  next_sample_url_attribute: next
  headers: [{X-Special: "yes"}]
  metadata_fields: [res_type]
  extra_metadata_fields:
    - name: project_name
      endpoint_type: identity
      url_path: "'/identity/v3/projects/' + sample['tenant_id']"
      value: name
      metadata_fields: [domain_id]
"""


def test_dynamic_pollsters_call_any_service_of_the_catalog(
    cloud: StubCloud, tmp_path: Path
) -> None:
    (tmp_path / "rating.yaml").write_text(DYNAMIC)
    cloud.other |= {
        "/rating/v1/summary": {
            "summary": [
                {"tenant_id": "a", "rate": "1.5", "res_type": "ALL"},
                {"tenant_id": "b", "rate": "free", "res_type": "ALL"},
            ],
            "next": "v1/more",
        },
        "/rating/v1/more": {"summary": [{"tenant_id": "a", "rate": "2", "res_type": "VOL"}]},
        "/identity/v3/projects/a": {"project": {"name": "shop", "domain_id": "d"}},
        "/identity/v3/projects/b": {"project": {"name": "farm", "domain_id": "d"}},
    }
    meters = only(tmp_path / "polling", "dynamic.*")
    with polling(cloud, tmp_path / "x", polling=meters, pollsters=[tmp_path]) as polled:
        polled.until_polls(1)
        assert polled.status["last_error"] is None
    assert [
        (s["counter_name"], s["counter_volume"], s["resource_id"], s["resource_metadata"])
        for s in polled.samples
    ] == [
        (
            "dynamic.rating",
            volume,
            "a",
            {
                "res_type": kind,
                "project_name": "shop",
                "domain_id": "d",
                "cloud": "stub",
                "region": "one",
            },
        )
        for volume, kind in ((1.5, "ALL"), (2.0, "VOL"))
    ]
    assert [stray["unreadable"]["tenant_id"] for stray in polled.strays] == ["b"]
    assert {request.headers["x-special"] for request in cloud.asked("/rating/")} == {"yes"}
    assert len(cloud.asked("/projects/a")) == 1  # its answer is kept


def test_a_dynamic_pollsters_path_is_below_the_address_in_the_catalog(
    cloud: StubCloud, tmp_path: Path
) -> None:
    fill(cloud)
    text = DYNAMIC.partition("  extra_metadata_fields:")[0]
    for old, new in {
        "endpoint_type: rating": "endpoint_type: image",
        "v1/summary": "v2/images",
        "response_entries_key: summary": "response_entries_key: images",
        '"rate | float(value)"': "size",
        "resource_id_attribute: tenant_id": "resource_id_attribute: id",
        "project_id_attribute: tenant_id": "project_id_attribute: owner",
    }.items():
        text = text.replace(old, new)
    (tmp_path / "images.yaml").write_text(text)
    meters = only(tmp_path / "polling", "dynamic.*")
    with polling(cloud, tmp_path / "x", polling=meters, pollsters=[tmp_path]) as polled:
        polled.until_polls(1)
    assert polled.volumes() == {("dynamic.rating", "i"): 1000}


def test_a_sample_counts_without_the_extra_call_that_failed(
    cloud: StubCloud, tmp_path: Path
) -> None:
    (tmp_path / "rating.yaml").write_text(DYNAMIC)
    cloud.other["/rating/v1/summary"] = {"summary": [{"tenant_id": "gone", "rate": "1"}]}
    meters = only(tmp_path / "polling", "dynamic.*")
    with polling(cloud, tmp_path / "x", polling=meters, pollsters=[tmp_path]) as polled:
        polled.until_polls(1)
        assert "project_name: no /identity/v3/projects/gone there" in polled.status["last_error"]
    assert polled.volumes() == {("dynamic.rating", "gone"): 1.0}


class Broken(Poller):
    """A poller with a fault that nobody foresaw."""

    _services = ()

    def _read(self, poll: Poll) -> Iterator[dict[str, Any]]:
        raise RuntimeError("a fault of ours")


def test_a_fault_that_nobody_foresaw_ends_the_feed_and_is_told(
    cloud: StubCloud, tmp_path: Path
) -> None:
    with polling(cloud, tmp_path, polling=only(tmp_path, "image.size")) as polled:
        feed = polled.feed
        assert feed._plan is not None
        broken = Broken(feed._plan.regions[0], "things", 1, frozenset(), False)
        broken.start(feed.settings, feed._outbox, feed._tally, feed._stopping).join()
        with pytest.raises(FeedError, match="stub/one things: RuntimeError: a fault of ours"):
            feed.poll(0)
