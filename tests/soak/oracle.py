"""What the tables must hold after some messages, whatever their order: plain dicts, no engine.

Source: docs on repeats and conflicts, not the job's code. Of one id the variant with the smallest
    volume counts, the others are refused; then of gauge and cumulative samples in one place (series
    and timestamp) the largest volume. Where the words leave a tie open, every answer is allowed.
"""

import dataclasses
import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

DAY = 86_400_000  # ms
TYPES = ("gauge", "delta", "cumulative")


class Row(NamedTuple):
    """A row of v_samples without recorded_at. Ids that we did not send are ""."""

    meter: str
    type: str
    unit: str
    volume: float
    resource_id: str
    project_id: str
    user_id: str
    timestamp: int  # ms
    source: str
    metadata: tuple[tuple[str, str], ...]
    message_id: str

    def place(self) -> tuple[str, str, int, str]:
        """Return what no two rows share."""
        own = self.message_id if self.type == "delta" else ""
        return self.meter, self.resource_id, self.timestamp, own


@dataclasses.dataclass
class Expected:
    """What there must be: the allowed rows of each place, events, and distinct refusals."""

    samples: dict[tuple[str, str, int, str], set[Row]]
    events: set[tuple[str, int, str]]  # event_type, generated in ms, message_id
    invalid: set[tuple[str, Any]]  # reason, what was refused
    ids: set[str]  # ids that samples were sent with


class RefusedError(Exception):
    """Carries the reason."""


def expected(bodies: Iterable[bytes], now: int, max_payload: int) -> Expected:
    """Return what `bodies` come to; `now` in ms."""
    variants: dict[str, set[Row]] = defaultdict(set)  # by id
    events, invalid = set(), set()
    for body in set(bodies):
        try:
            event, rows = _read(body, now, max_payload)
        except RefusedError as error:
            invalid.add((str(error), body))
            continue
        events |= event
        for key, row in rows:
            if isinstance(row, Row):
                variants[key].add(row)
            else:
                invalid.add((row, key))
    counting = defaultdict(set)
    for key, rows_of_id in variants.items():
        least = min(row.volume for row in rows_of_id)
        smallest = {row for row in rows_of_id if row.volume == least}
        invalid |= {("conflict", (key, i)) for i in range(len(rows_of_id) - 1)}
        for row in smallest:
            counting[row.place()].add(row)
    samples = {place: _largest(rows) for place, rows in counting.items()}
    sent = {row for rows_of_id in variants.values() for row in rows_of_id}
    ids = {row.message_id for row in sent} - {""}
    return Expected(samples, events, invalid, ids)


def _largest(rows: set[Row]) -> set[Row]:
    most = max(row.volume for row in rows)
    return {row for row in rows if row.volume == most}


def _read(body: bytes, now: int, max_payload: int) -> tuple[set[Any], list[tuple[str, Any]]]:
    """Return the event, if any, and (id, row or reason) of each sample of a message."""
    if len(body) > max_payload:
        raise RefusedError("too_large")
    try:
        message = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RefusedError("not_utf8") from error
    except json.JSONDecodeError as error:
        raise RefusedError("bad_json") from error
    if not isinstance(message, dict):
        raise RefusedError("bad_envelope")
    if "oslo.message" in message:
        message = json.loads(message["oslo.message"])
    if message["event_type"] == "telemetry.polling":
        return set(), [_polled(each, now) for each in message["payload"]["samples"]]
    generated = _ms(message["timestamp"])
    event = {(message["event_type"], generated, message["message_id"])}
    rows = [Row(*each, message_id="") for each in _metered(message, generated)]
    return event, [(f"{message['message_id']} {row.meter}", row) for row in rows]


def _polled(sample: dict[str, Any], now: int) -> tuple[str, Row | str]:
    try:
        row = _row(sample, now)
    except RefusedError as error:
        return json.dumps(sample, sort_keys=True), str(error)
    return row.message_id or repr(row), row


def _row(sample: dict[str, Any], now: int) -> Row:
    try:
        volume = float(sample["counter_volume"])
    except ValueError as error:
        raise RefusedError("bad_volume") from error
    if not math.isfinite(volume):
        raise RefusedError("bad_volume")
    if sample["counter_type"] not in TYPES:
        raise RefusedError("bad_type")
    if not sample["resource_id"]:
        raise RefusedError("missing_field")
    timestamp = _ms(sample["timestamp"])
    if timestamp > now + DAY:
        raise RefusedError("future_timestamp")
    return Row(
        meter=sample["counter_name"],
        type=sample["counter_type"],
        unit=sample["counter_unit"],
        volume=volume,
        resource_id=sample["resource_id"],
        project_id=sample["project_id"],
        user_id=sample["user_id"],
        timestamp=timestamp,
        source=sample["source"],
        metadata=_flat(sample["resource_metadata"]),
        message_id=sample.get("message_id", ""),
    )


def _ms(text: str) -> int:
    try:
        time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise RefusedError("bad_timestamp") from error
    time = time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)
    return (time - dt.datetime.fromtimestamp(0, dt.timezone.utc)) // dt.timedelta(milliseconds=1)


def _flat(metadata: dict[str, Any], prefix: str = "") -> tuple[tuple[str, str], ...]:
    flat: list[tuple[str, str]] = []
    for key, value in metadata.items():
        nested = isinstance(value, dict)
        flat += _flat(value, f"{prefix}{key}.") if nested else [(prefix + key, str(value))]
    return tuple(sorted(flat))


def _metered(message: dict[str, Any], time: int) -> list[tuple[Any, ...]]:
    """Return the samples that the shipped definitions make of a notification, without their ids."""
    p, kind = message["payload"], message["event_type"]
    # Without a definition's own metadata it is the payload, as Ceilometer has it.
    all_of_it = p | {"event_type": kind, "host": message["publisher_id"]}
    if kind.startswith("volume."):
        told = _volume_metadata(p, kind)
        owner = (p["tenant_id"], p["user_id"])
        return [_made("volume.size", "gauge", "GiB", p["size"], p["volume_id"], owner, time, told)]
    if kind == "image.upload":
        owner, size = (p["owner"], ""), p["size"]
        return [_made("image.size", "gauge", "B", size, p["id"], owner, time, all_of_it)]
    if kind == "image.send":
        reader = (p["receiver_tenant_id"], p["receiver_user_id"])
        image, sent = p["image_id"], p["bytes_sent"]
        return [
            _made("image.download", "delta", "B", sent, image, reader, time, all_of_it),
            _made("image.serve", "delta", "B", sent, image, (p["owner_id"], ""), time, all_of_it),
        ]
    if kind == "identity.authenticate":
        who = p["initiator"]
        owner, meter = (who["project_id"], who["id"]), f"identity.authenticate.{p['outcome']}"
        return [_made(meter, "delta", "user", 1, who["id"], owner, time, all_of_it)]
    return _instance(p, kind, time) if kind.startswith("compute.instance.") else []


def _volume_metadata(p: dict[str, Any], kind: str) -> dict[str, Any]:
    told = (
        "host", "status", "display_name", "volume_type", "availability_zone", "snapshot_id",
        "created_at",
    )  # fmt: skip
    return {key: p[key] for key in told} | {
        "event_type": kind,
        "image_id": p["glance_metadata"][0]["value"],
        "instance_id": p["volume_attachment"][0]["instance_uuid"],
    }


def _instance(p: dict[str, Any], kind: str, time: int) -> list[tuple[Any, ...]]:
    told = (
        "host", "node", "state", "display_name", "availability_zone", "architecture", "os_type",
        "created_at", "launched_at",
    )  # fmt: skip
    metadata = {key: p[key] for key in told} | {
        "event_type": kind,
        "flavor_id": p["instance_flavor_id"],
        "flavor_name": p["instance_type"],
        "image_ref": p["image_meta"]["base_image_ref"],
    }
    meters = (
        ("vcpus", "vcpu", p["vcpus"]),
        ("memory", "MiB", p["memory_mb"]),
        ("disk.root.size", "GiB", p["root_gb"]),
        ("disk.ephemeral.size", "GiB", p["ephemeral_gb"]),
    )
    owner = (p["tenant_id"], p["user_id"])
    return [
        _made(meter, "gauge", unit, volume, p["instance_id"], owner, time, metadata)
        for meter, unit, volume in meters
    ]


def _made(
    meter: str,
    kind: str,
    unit: str,
    volume: float,
    resource: str,
    owner: tuple[str, str],
    time: int,
    metadata: dict[str, Any],
) -> tuple[Any, ...]:
    flat = _flat(metadata)
    return meter, kind, unit, float(volume), resource, *owner, time, "openstack", flat
