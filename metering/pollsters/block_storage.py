"""Volumes, snapshots, backups, pools and services of Block Storage.

Source: Block Storage API v3; Ceilometer's meters of the same names.
"""

import math
from typing import Any, Final

from metering.pollsters.kinds import Kind, Listing, Meter, Part, at, fields, nobody, ranked

_TENANT: Final = "os-vol-tenant-attr:tenant_id"
_ALL: Final = "all_tenants=1"
_UNBOUNDED: Final = ("infinite", "unknown")  # what drivers say that cannot tell a capacity


def _listing(path: str, entries: str, microversion: str = "3.0", limit: bool = True) -> Listing:
    return Listing("block-storage", path, entries, microversion, limit=limit)


def _volume_metadata(entry: dict[str, Any]) -> dict[str, Any]:
    attachments = entry.get("attachments") or []
    return {
        **fields("name", "status", "volume_type", "availability_zone", "migration_status")(entry),
        **fields("attachments", "snapshot_id", "source_volid", "os-vol-host-attr:host")(entry),
        "image_id": (entry.get("volume_image_metadata") or {}).get("image_id"),
        "instance_id": attachments[0].get("server_id") if attachments else None,
    }


def _capacity(name: str) -> Any:
    read = at(f"capabilities.{name}")

    def volume(entry: Any) -> Any:
        value = read(entry)
        return None if value in _UNBOUNDED else value

    return volume


def virtual_free(entry: dict[str, Any]) -> float | None:
    """Return what may still be provisioned of a pool (GiB); None where it has no bounds."""
    found = entry.get("capabilities") or {}
    total, provisioned = found.get("total_capacity_gb"), found.get("provisioned_capacity_gb")
    if total in _UNBOUNDED or total is None or provisioned is None:
        return None
    reserved = math.floor(total * (found.get("reserved_percentage") or 0) / 100)
    thin = found.get("thin_provisioning_support")
    ratio = float(found.get("max_over_subscription_ratio") or 1) if thin else 1.0
    return float(ratio * (total - reserved) - provisioned)


VOLUMES: Final = Kind(
    "volumes",
    _listing(f"/volumes/detail?{_ALL}", "volumes"),
    (Part((Meter("volume.size", "GiB", at("size")),)),),
    project=at(_TENANT),
    metadata=_volume_metadata,
)
SNAPSHOTS: Final = Kind(
    "snapshots",
    _listing(f"/snapshots/detail?{_ALL}", "snapshots", "3.41"),
    (Part((Meter("volume.snapshot.size", "GiB", at("size")),)),),
    project=at("os-extended-snapshot-attributes:project_id"),
    metadata=fields(
        *("name", "volume_id", "status", "description", "metadata"),
        "os-extended-snapshot-attributes:progress",
    ),
)
BACKUPS: Final = Kind(
    "backups",
    _listing(f"/backups/detail?{_ALL}", "backups", "3.56"),
    (Part((Meter("volume.backup.size", "GiB", at("size")),)),),
    project=at("os-backup-project-attr:project_id"),
    metadata=fields(
        *("name", "is_incremental", "object_count", "container", "volume_id", "status"),
        "description",
    ),
)
POOLS: Final = Kind(
    "pools",
    _listing("/scheduler-stats/get_pools?detail=true", "pools", limit=False),
    (
        Part(
            (
                *(
                    Meter(f"volume.provider.pool.capacity.{name}", "GiB", _capacity(field))
                    for name, field in (
                        ("total", "total_capacity_gb"),
                        ("free", "free_capacity_gb"),
                        ("provisioned", "provisioned_capacity_gb"),
                        ("allocated", "allocated_capacity_gb"),
                    )
                ),
                Meter("volume.provider.pool.capacity.virtual_free", "GiB", virtual_free),
            )
        ),
    ),
    id=at("name"),
    project=nobody,
    user=nobody,
    metadata=lambda entry: {
        "pool_name": (entry.get("capabilities") or {}).get("pool_name"),
        "provider": entry["name"].partition("#")[0],
    },
    local=True,
)
SERVICES: Final = Kind(
    "volume services",
    _listing("/os-services", "services", limit=False),
    (Part((Meter("volume.service.health", "health", ranked("state", {"up": 1, "down": 0})),)),),
    id=lambda entry: f"{entry['binary']}@{entry['host']}",
    project=nobody,
    user=nobody,
    metadata=fields("binary", "host", "status", "zone"),
    local=True,
)
KINDS: Final = (VOLUMES, SNAPSHOTS, BACKUPS, POOLS, SERVICES)
