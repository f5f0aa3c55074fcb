"""Servers of Compute, and what their hypervisors count of them, asked through the API alone.

Source: Compute API, servers and server diagnostics of microversion 2.48; Ceilometer's meters of the
    same names.
"""

from collections.abc import Iterable
from typing import Any, Final

from metering.pollsters.kinds import Detail, Kind, Listing, Meter, Part, Reading, Thing, at, fields

_VERSION: Final = "2.48"
_RESERVED: Final = "metering."  # a server's own metadata under this prefix is kept
_LONGEST: Final = 256  # letters of such a value
# Numbers of a power state, as the Compute API has them.
POWER_STATES: Final = {
    "pending": 0,
    "running": 1,
    "paused": 3,
    "shutdown": 4,
    "crashed": 6,
    "suspended": 7,
}
_NAMED: Final = fields(
    "hostId",
    **{
        "name": "OS-EXT-SRV-ATTR:instance_name",
        "display_name": "name",
        "instance_id": "id",
        "instance_type": "flavor.original_name",
        "host": "hostId",
        "instance_host": "OS-EXT-SRV-ATTR:host",
        "state": "OS-EXT-STS:vm_state",
        "task_state": "OS-EXT-STS:task_state",
        "reservation_id": "OS-EXT-SRV-ATTR:reservation_id",
        "kernel_id": "OS-EXT-SRV-ATTR:kernel_id",
        "ramdisk_id": "OS-EXT-SRV-ATTR:ramdisk_id",
        "OS-EXT-AZ:availability_zone": "OS-EXT-AZ:availability_zone",
        "vcpus": "flavor.vcpus",
        "memory_mb": "flavor.ram",
        "disk_gb": "flavor.disk",
        "root_gb": "flavor.disk",
        "ephemeral_gb": "flavor.ephemeral",
    },
)


def server_metadata(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a server's metadata under the names Ceilometer's agents give it."""
    found = _NAMED(entry)
    del found["hostId"]
    image = entry.get("image") or None  # "" where it was booted from a volume
    links = (image or {}).get("links") or [{}]
    flavor = entry.get("flavor") or {}
    found |= {
        "flavor": {**flavor, "name": flavor.get("original_name")},
        "status": str(entry.get("status") or "").lower(),
        "image": image,
        "image_ref": image and image.get("id"),
        "image_ref_url": image and links[0].get("href"),
    }
    own = user_metadata(entry.get("metadata") or {})
    return {**found, "user_metadata": own} if own else found


def user_metadata(given: dict[str, Any]) -> dict[str, Any]:
    """Return what users put under the reserved prefix, without it and without dots in its name."""
    return {
        name.removeprefix(_RESERVED).replace(".", "_"): str(value)[:_LONGEST]
        for name, value in given.items()
        if name.startswith(_RESERVED)
    }


def _itself(reading: Reading) -> Iterable[Any]:
    return [reading]


def _answer(reading: Reading) -> Iterable[Any]:
    return [] if reading.answer is None else [reading.answer]


def _power_state(reading: Reading) -> Any:
    """Return the number of the state; of one without diagnostics as it was listed."""
    if reading.answer is None:
        return reading.thing.entry.get("OS-EXT-STS:power_state")
    return POWER_STATES.get(str(reading.answer.get("state")))


def _cpu(answer: dict[str, Any]) -> Any:
    times = [each.get("time") for each in answer.get("cpu_details") or ()]
    return None if not times or None in times else sum(times)


def _disks(reading: Reading) -> Iterable[Any]:
    """Diagnostics give disks no names, only an order."""
    found = (reading.answer or {}).get("disk_details") or ()
    return [{**disk, "disk_name": f"disk{number}"} for number, disk in enumerate(found)]


def _nics(reading: Reading) -> Iterable[Any]:
    return (reading.answer or {}).get("nic_details") or ()


def _nic_id(thing: Thing, nic: dict[str, Any]) -> str:
    name = thing.entry.get("OS-EXT-SRV-ATTR:instance_name")
    return f"{name}-{thing.id}-{nic['mac_address']}"


def _counters(unit: str, **of: str) -> tuple[Meter, ...]:
    return tuple(
        Meter(name.replace("_", "."), unit, at(field), "cumulative") for name, field in of.items()
    )


_LISTING: Final = Listing("compute", "/servers/detail?all_tenants=1", "servers", _VERSION)
SERVERS: Final = Kind(
    "servers",
    _LISTING,
    (
        Part(
            (
                Meter("disk.root.size", "GiB", at("flavor.disk")),
                Meter("disk.ephemeral.size", "GiB", at("flavor.ephemeral")),
            )
        ),
    ),
    project=at("tenant_id"),
    metadata=server_metadata,
)
DIAGNOSTICS: Final = Kind(
    "server diagnostics",
    _LISTING,
    (
        Part((Meter("power.state", "", _power_state),), _itself),
        Part(
            (
                Meter("cpu", "ns", _cpu, "cumulative"),
                Meter("vcpus", "vcpu", at("num_cpus")),
                Meter("memory", "MiB", at("memory_details.maximum")),
                Meter("memory.usage", "MiB", at("memory_details.used")),
            ),
            _answer,
            extra=fields(cpu_number="num_cpus"),
        ),
        Part(
            (
                *_counters("B", disk_device_read_bytes="read_bytes"),
                *_counters("B", disk_device_write_bytes="write_bytes"),
                *_counters("request", disk_device_read_requests="read_requests"),
                *_counters("request", disk_device_write_requests="write_requests"),
            ),
            _disks,
            lambda thing, disk: f"{thing.id}-{disk['disk_name']}",
            fields("disk_name"),
        ),
        Part(
            (
                *_counters("B", network_incoming_bytes="rx_octets"),
                *_counters("B", network_outgoing_bytes="tx_octets"),
                *_counters("packet", network_incoming_packets="rx_packets"),
                *_counters("packet", network_outgoing_packets="tx_packets"),
                *_counters("packet", network_incoming_packets_drop="rx_drop"),
                *_counters("packet", network_outgoing_packets_drop="tx_drop"),
                *_counters("packet", network_incoming_packets_error="rx_errors"),
                *_counters("packet", network_outgoing_packets_error="tx_errors"),
            ),
            _nics,
            _nic_id,
            fields(mac="mac_address", vnic_name="mac_address"),
        ),
    ),
    project=at("tenant_id"),
    metadata=server_metadata,
    # A server that does not run answers 409: only its power state is metered.
    detail=Detail(
        "compute", "/servers/{id}/diagnostics", microversion=_VERSION, silent=frozenset({409})
    ),
    keep=("OS-EXT-SRV-ATTR:instance_name", "OS-EXT-STS:power_state"),
)
KINDS: Final = (SERVERS, DIAGNOSTICS)
