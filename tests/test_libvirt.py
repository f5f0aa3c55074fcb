"""The libvirt feed against libvirt's own test driver, and Nova's metadata in a domain."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from metering.config import Decode
from metering.decode import Decoder
from metering.pollsters.hypervisor import (
    METERS,
    Nic,
    disk_volumes,
    instance_of,
    memory_volumes,
    nic_volumes,
    perf_volumes,
)
from sources.feed import FeedError
from sources.libvirt import LibvirtFeed, LibvirtSettings
from tests.polling import only

ID = "6695eb01-f6a4-8304-79aa-97f2502e193f"  # of the one domain of test:///default
NOVA = "b6ff8d6e-1c6b-4c7f-8f3f-6a0a9b0f6d11"
DOMAIN = f"""
<domain type='test'>
  <name>instance-0000002a</name>
  <uuid>{NOVA}</uuid>
  <metadata>
    <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
      <nova:name>web</nova:name>
      <nova:flavor name='m1.small' id='2'>
        <nova:memory>2048</nova:memory>
        <nova:disk>20</nova:disk>
        <nova:swap>0</nova:swap>
        <nova:ephemeral>4</nova:ephemeral>
        <nova:vcpus>2</nova:vcpus>
      </nova:flavor>
      <nova:owner>
        <nova:user uuid='u-1'>ops</nova:user>
        <nova:project uuid='p-1'>shop</nova:project>
      </nova:owner>
      <nova:root type='image' uuid='image-1'/>
    </nova:instance>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <source file='/guest/disk'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='hda'/></disk>
    <interface type='bridge'>
      <mac address='fa:16:3e:00:00:01'/>
      <source bridge='br-int'/>
      <virtualport type='openvswitch'><parameters interfaceid='9d1e4c3a-0000-4000-8000-000000000001'/></virtualport>
      <target dev='tap9d1e4c3a-00'/>
    </interface>
    <interface type='bridge'><mac address='fa:16:3e:00:00:02'/><source bridge='br-int'/></interface>
  </devices>
</domain>
"""

libvirt = pytest.importorskip(
    "libvirt",
    reason="libvirt's binding is not installed; `make services`, then `make clean test` install it",
)


@pytest.fixture
def driver(tmp_path: Path) -> str:
    """The address of a host whose one domain is Nova's."""
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{DOMAIN}</node>")
    return f"test://{node}"


def opened(uri: str = "test:///default", **settings: Any) -> LibvirtFeed:
    feed = LibvirtFeed(LibvirtSettings(uri=uri, **settings))
    feed.open()
    return feed


def polled(feed: LibvirtFeed) -> list[dict[str, Any]]:
    """Return the samples of a feed's next poll, stored."""
    payloads = feed.poll(0)
    assert payloads is not None
    feed.ack(payloads.receipt)
    return [
        sample
        for body in payloads.bodies
        for sample in json.loads(json.loads(body)["oslo.message"])["payload"]["samples"]
    ]


def test_the_test_drivers_domain_is_metered_in_all_it_counts() -> None:
    feed = opened()
    samples = polled(feed)
    feed.close()
    meters = {sample["counter_name"] for sample in samples}
    silent = {"disk.root.size", "disk.ephemeral.size"}  # it is not Nova's
    silent |= {"disk.device.read.latency", "disk.device.write.latency"}  # not in the test driver
    silent |= {meter for meter in METERS if meter.startswith("perf.")}
    assert meters == set(METERS) - silent
    found = {s["counter_name"]: (s["counter_volume"], s["resource_id"]) for s in samples}
    assert found["power.state"] == (1, ID)
    assert found["vcpus"] == (2, ID)
    assert found["memory"] == (2048, ID)
    assert found["memory.usage"] == (1024, ID)
    assert found["memory.resident"] == (1024, ID)
    assert found["disk.device.capacity"] == (1024**4, f"{ID}-vda")
    assert found["network.incoming.bytes"][1] == f"test-{ID}-testnet0"
    assert found["cpu"][0] > 0
    assert len({sample["timestamp"] for sample in samples}) == 1
    assert {sample["project_id"] for sample in samples} == {None}
    assert feed.status() == {
        "connected": True,
        "last_error": None,
        "polls": 1,
        "polls_stored": 1,
        "polls_skipped": 0,
        "samples": len(samples),
    }


def test_an_instance_of_novas_has_its_owner_and_metadata(driver: str) -> None:
    feed = opened(driver, host="compute-1")
    samples = {sample["counter_name"]: sample for sample in polled(feed)}
    feed.close()
    owners = {(s["resource_id"][:36], s["project_id"], s["user_id"]) for s in samples.values()}
    nic = f"instance-0000002a-{NOVA}-testnet0"  # the driver names it so
    assert (NOVA, "p-1", "u-1") in owners
    assert samples["disk.root.size"]["counter_volume"] == 20
    assert samples["disk.ephemeral.size"]["counter_volume"] == 4
    assert samples["disk.device.read.bytes"]["resource_id"] == f"{NOVA}-vda"
    assert samples["network.outgoing.packets"]["resource_id"] == nic
    assert samples["cpu"]["resource_metadata"] == {
        "name": "instance-0000002a",
        "instance_id": NOVA,
        "instance_host": "compute-1",
        "status": "active",
        "state": "active",
        "os_type": "hvm",
        "architecture": "x86_64",
        "display_name": "web",
        "instance_type": "m1.small",
        "flavor": {
            "id": "2",
            "name": "m1.small",
            "vcpus": 2,
            "ram": 2048,
            "disk": 20,
            "ephemeral": 4,
            "swap": 0,
        },
        "host": "6face11a93b4e26eebae96c11b71ecfe4914422a17e3b4939a574019",
        "image": {"id": "image-1"},
        "image_ref": "image-1",
        "vcpus": 2,
        "memory_mb": 2048,
        "disk_gb": 20,
        "root_gb": 20,
        "ephemeral_gb": 4,
    }
    assert samples["network.incoming.bytes"]["resource_metadata"]["vnic_name"] == "testnet0"


def test_what_is_polled_passes_the_decoder(driver: str) -> None:
    feed = opened(driver)
    payloads = feed.poll(0)
    feed.close()
    assert payloads is not None
    now = int(time.time() * 1000)
    decoded = Decoder(Decode()).decode("libvirt", payloads.bodies, now)
    assert (decoded.samples.num_rows, decoded.invalid.num_rows) == (29, 0)


@dataclasses.dataclass
class Torn:
    """A domain of libvirt's that describes itself as none."""

    domain: Any

    def XMLDesc(self) -> str:
        return "<domain/>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.domain, name)


@dataclasses.dataclass
class Host:
    """libvirt, with a domain that cannot be read beside its own."""

    uri: str

    def __post_init__(self) -> None:
        self._connection = libvirt.openReadOnly(self.uri)

    def listAllDomains(self) -> list[Any]:
        (domain,) = self._connection.listAllDomains()
        return [Torn(domain), domain]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class WithTornDomain(LibvirtFeed):
    """The feed, on such a host."""

    def _connected(self) -> Any:
        return Host(self.settings.uri)


def test_a_domain_that_cannot_be_read_ends_in_invalid_and_the_others_are_metered(
    driver: str,
) -> None:
    feed = WithTornDomain(LibvirtSettings(uri=driver))
    feed.open()
    payloads = feed.poll(0)
    feed.close()
    assert payloads is not None
    now = int(time.time() * 1000)
    decoded = Decoder(Decode()).decode("libvirt", payloads.bodies, now)
    assert decoded.samples.num_rows == 29
    (refused,) = decoded.invalid.to_pylist()
    assert refused["reason"] == "bad_envelope"
    assert "a domain without name or uuid" in str(refused["payload"])


def test_meters_have_the_intervals_of_polling_yaml_and_missed_polls_are_counted(
    tmp_path: Path,
) -> None:
    times = iter([0.0, 0.0, 0.0, 3.0, 12.0, 12.5, 47.0, 47.0, 47.0])
    slept: list[float] = []
    settings = LibvirtSettings(
        uri="test:///default", polling=only(tmp_path, "cpu", "vcpus", interval=10)
    )
    feed = LibvirtFeed(settings, clock=lambda: next(times), sleep=slept.append)
    feed.open()
    assert {sample["counter_name"] for sample in polled(feed)} == {"cpu", "vcpus"}
    assert feed.poll(0.5) is None  # at 3: the next is due at 10
    assert slept == [0.5]
    assert len(polled(feed)) == 2  # at 12, in time
    assert len(polled(feed)) == 2  # at 47: what was due at 30 and 40 is skipped
    assert feed.status()["polls_skipped"] == 2
    feed.close()


def test_a_hypervisor_that_is_away_is_told_and_tried_again() -> None:
    feed = opened("test:///nowhere/node.xml", backoff_min=60)
    assert feed.poll(0) is None
    status = feed.status()
    assert status["connected"] is False
    assert status["last_error"].startswith("test:///nowhere/node.xml: ")
    assert feed.poll(0) is None
    assert feed.status() == status  # it was left alone
    feed.close()


def test_a_bad_polling_file_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "polling.yaml"
    file.write_text("sources: 5")
    with pytest.raises(FeedError, match="must be a list of sources"):
        opened(polling=file)


def test_a_domain_that_does_not_run_is_metered_by_its_state_and_sizes() -> None:
    stopped = instance_of(DOMAIN, 5, "h")
    assert (stopped.metadata["status"], stopped.metadata["state"]) == ("shutoff", "stopped")
    assert stopped.sizes == {"disk.root.size": 20, "disk.ephemeral.size": 4}
    assert stopped.disks == ("vda",)  # a drive without a medium has no source
    assert [nic.device for nic in stopped.nics] == ["tap9d1e4c3a-00"]
    assert stopped.nics[0].parameters == {
        "interfaceid": "9d1e4c3a-0000-4000-8000-000000000001",
        "bridge": "br-int",
    }


def test_an_interface_with_a_filter_is_named_by_it() -> None:
    nic = Nic("tap0", "m", "nova-instance-x", {})
    assert instance_of(DOMAIN, 1, "h").nic_id(nic) == "nova-instance-x"


@pytest.mark.parametrize("xml", ["", "<domain", "<domain/>", "<domain><name>a</name></domain>"])
def test_what_is_no_domain_is_refused(xml: str) -> None:
    with pytest.raises(ValueError, match=r"no XML|without name or uuid"):
        instance_of(xml, 1, "h")


def test_counters_become_meters_in_ceilometers_units() -> None:
    kib = {"actual": 2048, "available": 1024, "usable": 256, "unused": 128, "rss": 512}
    assert memory_volumes(kib) == {
        "memory": 2.0,
        "memory.available": 1.0,
        "memory.usage": 0.75,
        "memory.resident": 0.5,
    }
    assert memory_volumes({"available": 1024, "unused": 256, "swap_in": 0}) == {
        "memory.available": 1.0,
        "memory.usage": 0.75,
        "memory.swap.in": 0.0,
    }
    assert disk_volumes({"rd_bytes": 5, "rd_total_times": 7}, (10, 4, 16)) == {
        "disk.device.read.bytes": 5,
        "disk.device.read.latency": 7,
        "disk.device.capacity": 16,
        "disk.device.allocation": 4,
        "disk.device.usage": 16,
    }
    assert nic_volumes((1, 2, -1, 4, 5, 6, 7, 8)) == {
        "network.incoming.bytes": 1,
        "network.incoming.packets": 2,
        "network.incoming.packets.drop": 4,
        "network.outgoing.bytes": 5,
        "network.outgoing.packets": 6,
        "network.outgoing.packets.error": 7,
        "network.outgoing.packets.drop": 8,
    }
    assert perf_volumes({"perf.instructions": 5, "state.state": 1}) == {"perf.instructions": 5}
