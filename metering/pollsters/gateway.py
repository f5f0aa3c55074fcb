"""What projects keep in Ceph's object gateway, and how often they call it.

Source: Ceph's admin operations Get Bucket Info and Get Usage; Ceilometer's meters of the same names.
Units: the gateway's KiB become B.
"""

from collections.abc import Iterable
from typing import Any, Final

from metering.pollsters.kinds import Detail, Kind, Meter, Part, Reading, Thing, at, nobody
from metering.pollsters.storage import PROJECTS

GATEWAY: Final = "object gateway"  # no type of the catalog, where it may have any
_KIB: Final = 1024


def gateway_user(project: str, implicit_tenants: bool) -> str:
    """Return the user that a project is there: itself, within a tenant of its own where implicit."""
    return f"{project}${project}" if implicit_tenants else project


def _buckets(reading: Reading) -> list[dict[str, Any]]:
    return [
        {
            "name": bucket["bucket"],
            "objects": _held(bucket, "num_objects"),
            "bytes": _held(bucket, "size_kb") * _KIB,
        }
        for bucket in reading.answer or ()
    ]


def _held(bucket: dict[str, Any], what: str) -> int:
    """Return the sum over a bucket's categories: its objects, parts of uploads under way, ..."""
    return sum(int(category[what]) for category in bucket["usage"].values())


def _totals(reading: Reading) -> Iterable[Any]:
    buckets = _buckets(reading)
    totals = {what: sum(each[what] for each in buckets) for what in ("objects", "bytes")}
    return [{**totals, "containers": len(buckets)}]


def _calls(reading: Reading) -> Iterable[Any]:
    return [{"calls": sum(int(user["total"]["ops"]) for user in reading.answer["summary"])}]


def _in_project(thing: Thing, bucket: dict[str, Any]) -> str:
    return f"{thing.id}/{bucket['name']}"


BUCKETS: Final = Kind(
    "buckets",
    PROJECTS,
    (
        Part(
            (
                Meter("radosgw.objects", "object", at("objects")),
                Meter("radosgw.objects.size", "B", at("bytes")),
                Meter("radosgw.objects.containers", "container", at("containers")),
            ),
            _totals,
        ),
        Part(
            (
                Meter("radosgw.containers.objects", "object", at("objects")),
                Meter("radosgw.containers.objects.size", "B", at("bytes")),
            ),
            _buckets,
            _in_project,
        ),
    ),
    project=at("id"),
    user=nobody,
    detail=Detail(GATEWAY, "/admin/bucket?uid={user}&stats=true"),
    keep=("id",),
)
CALLS: Final = Kind(
    "calls of the object gateway",
    PROJECTS,
    (Part((Meter("radosgw.api.request", "request", at("calls")),), _calls),),
    project=at("id"),
    user=nobody,
    detail=Detail(GATEWAY, "/admin/usage?uid={user}"),
    keep=("id",),
)
KINDS: Final = (BUCKETS, CALLS)
