"""Images, shares, and the accounts and containers of Object Storage.

Source: Image API v2, Shared File Systems API v2, Object Storage API v1; Ceilometer's meters of the
    same names.
"""

from collections.abc import Iterable
from typing import Any, Final

from metering.pollsters.kinds import (
    Detail,
    Kind,
    Listing,
    Meter,
    Part,
    Read,
    Reading,
    Thing,
    at,
    fields,
    nobody,
    ranked,
)

PAGE: Final = 10_000  # containers; the most that Object Storage lists at once
SHARE_STATES: Final = {
    "available": 1,
    "creating": 2,
    "deleting": 3,
    "error": 4,
    "error_deleting": 5,
    "migrating": 6,
    "extending": 7,
    "shrinking": 8,
    "reverting": 9,
    "inactive": 10,
    "manage_starting": 11,
    "manage_error": 12,
    "unmanage_starting": 13,
    "unmanage_error": 14,
    "unmanaged": 15,
    "extending_error": 16,
    "shrinking_error": 17,
    "reverting_error": 18,
    "awaiting_transfer": 19,
    "backup_creating": 20,
    "backup_restoring": 21,
    "backup_restoring_error": 22,
    "creating_from_snapshot": 23,
    "shrinking_possible_data_loss_error": 24,
    "migrating_to": 25,
    "replication_change": 26,
}
PROJECTS: Final = Listing("identity", "/projects", "projects", limit=False)


def _header(name: str) -> Read:
    """Return what reads a header's number; any other text stays as it is, to be refused."""

    def read(reading: Reading) -> Any:
        text = reading.headers.get(name)
        return int(text) if text and text.isdecimal() else text

    return read


def _itself(reading: Reading) -> Iterable[Any]:
    return [reading]


def _containers(reading: Reading) -> Iterable[Any]:
    return reading.answer or ()


def _in_account(thing: Thing, container: dict[str, Any]) -> str:
    return f"{thing.id}/{container['name']}"


IMAGES: Final = Kind(
    "images",
    Listing("image", "/images?visibility=all", "images", also="os_hidden=true"),
    (Part((Meter("image.size", "B", at("size")),)),),
    project=at("owner"),
    user=nobody,
    metadata=fields(
        *("status", "visibility", "name", "container_format", "created_at", "disk_format"),
        *("updated_at", "min_disk", "checksum", "min_ram", "tags", "virtual_size"),
        is_protected="protected",
    ),
)
SHARES: Final = Kind(
    "shares",
    Listing("shared-file-system", "/shares/detail?all_tenants=1", "shares", "2.16"),
    (
        Part(
            (
                Meter("manila.share.size", "GiB", at("size")),
                Meter("manila.share.status", "status", ranked("status", SHARE_STATES)),
            )
        ),
    ),
    metadata=fields(
        *("name", "availability_zone", "share_type", "share_network_id", "status", "host"),
        "is_public",
        protocol="share_proto",
    ),
)
ACCOUNTS: Final = Kind(
    "accounts",
    PROJECTS,
    (
        Part(
            (
                Meter("storage.objects", "object", _header("x-account-object-count")),
                Meter("storage.objects.size", "B", _header("x-account-bytes-used")),
                Meter(
                    "storage.objects.containers", "container", _header("x-account-container-count")
                ),
            ),
            _itself,
        ),
    ),
    project=at("id"),
    user=nobody,
    detail=Detail("object-store", "/{account}{id}", method="HEAD"),
    keep=("id",),
)
CONTAINERS: Final = Kind(
    "containers",
    PROJECTS,
    (
        Part(
            (
                Meter("storage.containers.objects", "object", at("count")),
                Meter("storage.containers.objects.size", "B", at("bytes")),
            ),
            _containers,
            _in_account,
            fields("storage_policy"),
        ),
    ),
    project=at("id"),
    user=nobody,
    detail=Detail("object-store", f"/{{account}}{{id}}?format=json&limit={PAGE}", marker="name"),
    keep=("id",),
)
KINDS: Final = (IMAGES, SHARES, ACCOUNTS, CONTAINERS)
