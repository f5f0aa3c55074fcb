"""Instances of a host as its hypervisor has them: who they are, and what it counts of them.

Source: libvirt's domain XML, Nova's metadata in it (instance 1.1), and libvirt's counters;
    Ceilometer's meters of the same names. Units: libvirt's KiB become MiB.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree

_NOVA: Final = "{http://openstack.org/xmlns/libvirt/nova/1.1}"
_STATES: Final = {  # libvirt's number -> Compute's status and vm_state
    1: ("active", "active"),
    2: ("active", "active"),
    3: ("paused", "paused"),
    4: ("active", "active"),
    5: ("shutoff", "stopped"),
    6: ("error", "error"),
    7: ("suspended", "suspended"),
}
_KIB: Final = 1024

# Meters, by what is counted: (unit, type).
INSTANCE: Final = {
    "power.state": ("", "gauge"),
    "cpu": ("ns", "cumulative"),
    "vcpus": ("vcpu", "gauge"),
    "memory": ("MiB", "gauge"),
    "memory.available": ("MiB", "gauge"),
    "memory.usage": ("MiB", "gauge"),
    "memory.resident": ("MiB", "gauge"),
    "memory.swap.in": ("MiB", "cumulative"),
    "memory.swap.out": ("MiB", "cumulative"),
    "disk.root.size": ("GiB", "gauge"),
    "disk.ephemeral.size": ("GiB", "gauge"),
    "perf.cpu.cycles": ("", "gauge"),
    "perf.instructions": ("", "gauge"),
    "perf.cache.references": ("", "gauge"),
    "perf.cache.misses": ("", "gauge"),
}
DISK: Final = {
    "disk.device.read.requests": ("request", "cumulative"),
    "disk.device.read.bytes": ("B", "cumulative"),
    "disk.device.write.requests": ("request", "cumulative"),
    "disk.device.write.bytes": ("B", "cumulative"),
    "disk.device.read.latency": ("ns", "cumulative"),
    "disk.device.write.latency": ("ns", "cumulative"),
    "disk.device.capacity": ("B", "gauge"),
    "disk.device.allocation": ("B", "gauge"),
    "disk.device.usage": ("B", "gauge"),
}
NIC: Final = {
    "network.incoming.bytes": ("B", "cumulative"),
    "network.incoming.packets": ("packet", "cumulative"),
    "network.incoming.packets.error": ("packet", "cumulative"),
    "network.incoming.packets.drop": ("packet", "cumulative"),
    "network.outgoing.bytes": ("B", "cumulative"),
    "network.outgoing.packets": ("packet", "cumulative"),
    "network.outgoing.packets.error": ("packet", "cumulative"),
    "network.outgoing.packets.drop": ("packet", "cumulative"),
}
METERS: Final = {**INSTANCE, **DISK, **NIC}


@dataclasses.dataclass(frozen=True, slots=True)
class Nic:
    """An interface of an instance."""

    device: str
    mac: str | None
    filter: str | None
    parameters: Mapping[str, str | None]

    def metadata(self) -> dict[str, Any]:
        """Return what an agent says of it."""
        named = {"name": self.device, "mac": self.mac, "fref": self.filter}
        return {
            **named,
            "vnic_name": self.filter or self.device,
            "parameters": dict(self.parameters),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """A domain: an instance of Nova's, or any other, which then has no project."""

    id: str
    name: str  # libvirt's
    project_id: str | None
    user_id: str | None
    sizes: Mapping[str, int]  # GiB, by meter
    metadata: Mapping[str, Any]
    disks: tuple[str, ...]
    nics: tuple[Nic, ...]

    def nic_id(self, nic: Nic) -> str:
        """Return the resource id of an interface."""
        return nic.filter or f"{self.name}-{self.id}-{nic.device}"


def instance_of(xml: str, state: int, host: str) -> Instance:
    """Return the instance that a domain of this XML, state and host is. Raises ValueError."""
    try:
        domain = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    name, uuid = domain.findtext("name"), domain.findtext("uuid")
    if not name or not uuid:
        raise ValueError("a domain without name or uuid")
    nova = domain.find(f"metadata/{_NOVA}instance")
    project = _attribute(nova, "owner", "project")
    flavor = _flavor(nova)
    sizes = {"disk.root.size": flavor["disk"], "disk.ephemeral.size": flavor["ephemeral"]}
    return Instance(
        id=uuid,
        name=name,
        project_id=project,
        user_id=_attribute(nova, "owner", "user"),
        sizes=sizes if nova is not None else {},
        metadata=_metadata(domain, nova, flavor, _STATES.get(state, ("", "")), (project, host)),
        disks=tuple(_disks(domain)),
        nics=tuple(_nics(domain)),
    )


def _attribute(nova: Any, *path: str) -> str | None:
    found = None if nova is None else nova.find("/".join(_NOVA + part for part in path))
    return None if found is None else found.get("uuid")


def _flavor(nova: Any) -> dict[str, Any]:
    found = None if nova is None else nova.find(f"{_NOVA}flavor")

    def number(name: str) -> int:
        text = None if found is None else found.findtext(_NOVA + name)
        return int(text) if text and text.isdecimal() else 0

    name = None if found is None else found.get("name")
    return {
        "id": name if found is None else found.get("id", name),
        "name": name,
        "vcpus": number("vcpus"),
        "ram": number("memory"),
        "disk": number("disk"),
        "ephemeral": number("ephemeral"),
        "swap": number("swap"),
    }


def _metadata(
    domain: Any,
    nova: Any,
    flavor: dict[str, Any],
    state: tuple[str, str],
    place: tuple[str | None, str],
) -> dict[str, Any]:
    kind = domain.find("os/type")
    common = {
        "name": domain.findtext("name"),
        "instance_id": domain.findtext("uuid"),
        "instance_host": place[1],
        "status": state[0],
        "state": state[1],
        "os_type": None if kind is None else kind.text,
        "architecture": None if kind is None else kind.get("arch"),
    }
    if nova is None:
        return common
    root = nova.find(f"{_NOVA}root[@type='image']")
    image = None if root is None else root.get("uuid")
    return {
        **common,
        "display_name": nova.findtext(f"{_NOVA}name"),
        "instance_type": flavor["name"],
        "flavor": flavor,
        # Compute's own hostId of it.
        "host": hashlib.sha224("".join(map(str, place)).encode()).hexdigest(),
        "image": {"id": image} if image else None,
        "image_ref": image,
        "vcpus": flavor["vcpus"],
        "memory_mb": flavor["ram"],
        "disk_gb": flavor["disk"],
        "root_gb": flavor["disk"],
        "ephemeral_gb": flavor["ephemeral"],
    }


def _disks(domain: Any) -> Iterator[str]:
    for disk in domain.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("dev") and disk.find("source") is not None:
            yield target.get("dev")


def _nics(domain: Any) -> Iterator[Nic]:
    for nic in domain.iterfind("devices/interface"):
        target, mac, filter_ = nic.find("target"), nic.find("mac"), nic.find("filterref")
        if target is None or not target.get("dev"):
            continue
        port, bridge = nic.find("virtualport/parameters"), nic.find("source")
        given = {} if filter_ is None else {p.get("name").lower(): p.get("value") for p in filter_}
        yield Nic(
            target.get("dev"),
            None if mac is None else mac.get("address"),
            None if filter_ is None else filter_.get("filter"),
            {
                **given,
                "interfaceid": None if port is None else port.get("interfaceid"),
                "bridge": None if bridge is None else bridge.get("bridge"),
            },
        )


def memory_volumes(stats: Mapping[str, int]) -> dict[str, float]:
    """Return meters of a domain's memory statistics (KiB); those it lacks are left out."""
    named = {
        "memory": stats.get("actual"),
        "memory.available": stats.get("available"),
        "memory.usage": _used(stats),
        "memory.resident": stats.get("rss"),
        "memory.swap.in": stats.get("swap_in"),
        "memory.swap.out": stats.get("swap_out"),
    }
    return {name: value / _KIB for name, value in named.items() if value is not None}


def _used(stats: Mapping[str, int]) -> int | None:
    free = stats.get("usable", stats.get("unused"))
    return None if free is None or "available" not in stats else stats["available"] - free


def disk_volumes(counters: Mapping[str, int], info: tuple[int, ...]) -> dict[str, float]:
    """Return meters of a disk's counters (by libvirt's names), and its sizes.

    `info` is (capacity, allocation, physical) in bytes.
    """
    names = {
        "disk.device.read.requests": "rd_operations",
        "disk.device.read.bytes": "rd_bytes",
        "disk.device.write.requests": "wr_operations",
        "disk.device.write.bytes": "wr_bytes",
        "disk.device.read.latency": "rd_total_times",
        "disk.device.write.latency": "wr_total_times",
    }
    found: dict[str, float] = {
        meter: counters[name] for meter, name in names.items() if name in counters
    }
    if info:
        # A disk of fewer bytes than a block is padded where it lies.
        found["disk.device.capacity"] = max(info[0], info[2])
        found["disk.device.allocation"] = info[1]
        found["disk.device.usage"] = info[2]
    return found


def nic_volumes(counters: tuple[int, ...]) -> dict[str, float]:
    """Return meters of an interface's eight counters; one libvirt does not have (-1) is left out."""
    return {name: value for name, value in zip(NIC, counters, strict=True) if value >= 0}


def perf_volumes(stats: Mapping[str, Any]) -> dict[str, float]:
    """Return meters of a domain's performance events, where they are counted."""
    names = {
        "perf.cpu.cycles": "perf.cpu_cycles",
        "perf.instructions": "perf.instructions",
        "perf.cache.references": "perf.cache_references",
        "perf.cache.misses": "perf.cache_misses",
    }
    return {meter: stats[name] for meter, name in names.items() if name in stats}
