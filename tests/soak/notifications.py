"""Notifications and polling batches as services publish them, and messages that are neither.

Source: recorded notifications (etc/demo); only the fields that definitions read are kept.
"""

import dataclasses
import datetime as dt
import json
import random
from typing import Any

MAX_PAYLOAD = 1024**2  # bytes; what the service under test is told to take
Body = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One message and where it is published."""

    exchange: str
    key: str
    body: bytes


def stamp(milliseconds: int) -> str:
    """Return a time as services write it: naive UTC with microseconds, of which 321 are cut."""
    time = dt.datetime.fromtimestamp(milliseconds // 1000, dt.timezone.utc).replace(tzinfo=None)
    return time.replace(microsecond=milliseconds % 1000 * 1000 + 321).isoformat()


def new_id(rng: random.Random) -> str:
    """Return a message id."""
    return f"{rng.getrandbits(128):032x}"


def message(rng: random.Random, exchange: str, body: Body) -> Message:
    """Return a message: mostly in an oslo.messaging 2.0 envelope, sometimes bare."""
    text = json.dumps(body)
    bare = rng.random() < 0.1
    envelope = text if bare else json.dumps({"oslo.version": "2.0", "oslo.message": text})
    key = "notifications.sample" if exchange == "ceilometer" else "notifications.info"
    return Message(exchange, key, envelope.encode())


def polling(rng: random.Random, samples: list[Body]) -> tuple[str, Body]:
    """Return exchange and body of a batch, as Ceilometer's polling agent publishes it."""
    time = str(samples[0]["timestamp"]).replace("T", " ")
    return "ceilometer", _body(rng, "telemetry.polling", "ceilometer.polling", time) | {
        "priority": "SAMPLE",
        "payload": {"samples": samples},
    }


def measured(rng: random.Random, meter: str, volume: int, time: int) -> Message:
    """Return a batch with one measurement, of resource `oven` in project `p`, at a time (ms)."""
    sample = {
        "source": "openstack",
        "counter_name": meter,
        "counter_type": "gauge",
        "counter_unit": "J",
        "counter_volume": volume,
        "user_id": "user",
        "project_id": "p",
        "resource_id": "oven",
        "timestamp": stamp(time),
        "resource_metadata": {},
        "message_id": new_id(rng),
    }
    return message(rng, *polling(rng, [sample]))


def notification(rng: random.Random, time: int) -> tuple[str, Body]:
    """Return exchange and body of a notification of some service."""
    exchange, event_type, payload = rng.choice(
        (_volume, _volume, _image, _download, _instance, _instance, _port, _login)
    )(rng, time)
    body = _body(rng, event_type, f"{exchange}.host-1", stamp(time).replace("T", " "))
    return exchange, body | {"payload": payload}


def malformed(rng: random.Random, n: int) -> Message:
    """Return a message that is refused whole; no two of different `n` are the same."""
    if n == 0:
        return Message("nova", "notifications.info", b'"' + b"x" * MAX_PAYLOAD + b'"')
    text = rng.choice((b"{half a message %d", b'{"oslo.message": "\xff\xfe%d"}', b'"text %d"'))
    return Message("nova", "notifications.info", text % n)


def _body(rng: random.Random, event_type: str, publisher: str, time: str) -> Body:
    return {
        "message_id": new_id(rng),
        "publisher_id": publisher,
        "event_type": event_type,
        "priority": "INFO",
        "timestamp": time,
        "_unique_id": new_id(rng),
    }


def _volume(rng: random.Random, time: int) -> tuple[str, str, Body]:
    number = rng.randrange(100)
    event_type = rng.choice(("volume.create.end", "volume.exists"))
    return "cinder", event_type, {
        "tenant_id": f"project-{number % 7}",
        "user_id": f"user-{number % 13}",
        "volume_id": f"volume-{number}",
        "host": "labhost@fake#fake",
        "status": "in-use",
        "display_name": f"vol{number}",
        "volume_type": "fast",
        "availability_zone": "nova",
        "snapshot_id": f"snapshot-{number}",
        "glance_metadata": [{"key": "image_id", "value": "image-1"}],
        "volume_attachment": [{"instance_uuid": f"instance-{number}"}],
        "created_at": stamp(time - 60_000) + "+00:00",
        "size": rng.randint(2, 500),
    }  # fmt: skip


def _image(rng: random.Random, time: int) -> tuple[str, str, Body]:
    owner = f"project-{rng.randrange(7)}"
    size = rng.randrange(10**10)
    return "glance", "image.upload", {"id": f"image-{size % 50}", "owner": owner, "size": size}


def _download(rng: random.Random, time: int) -> tuple[str, str, Body]:
    number = rng.randrange(50)
    return "glance", "image.send", {
        "bytes_sent": rng.randrange(10**9),
        "image_id": f"image-{number}",
        "owner_id": f"project-{number % 7}",
        "receiver_tenant_id": f"project-{rng.randrange(7)}",
        "receiver_user_id": f"user-{rng.randrange(13)}",
    }  # fmt: skip


def _instance(rng: random.Random, time: int) -> tuple[str, str, Body]:
    number = rng.randrange(400)
    return "nova", "compute.instance.exists", {
        "tenant_id": f"project-{number % 7}",
        "user_id": f"user-{number % 13}",
        "instance_id": f"instance-{number}",
        "vcpus": number % 8 + 1,
        "memory_mb": 512 * (number % 8 + 1),
        "root_gb": rng.randrange(1, 100),
        "ephemeral_gb": 0,
        "metadata": {},
        "host": "compute-1",
        "node": "node-1",
        "state": "active",
        "display_name": f"vm {number}",
        "instance_flavor_id": str(number % 8),
        "instance_type": "m1.small",
        "image_meta": {"base_image_ref": "image-1"},
        "availability_zone": "nova",
        "architecture": "x86_64",
        "os_type": "linux",
        "created_at": stamp(time - 3_600_000),
        "launched_at": stamp(time - 3_590_000),
    }  # fmt: skip


def _port(rng: random.Random, time: int) -> tuple[str, str, Body]:
    port = {"id": new_id(rng), "tenant_id": f"project-{rng.randrange(7)}", "status": "DOWN"}
    return "neutron", "port.create.end", {"port": port}


def _login(rng: random.Random, time: int) -> tuple[str, str, Body]:
    initiator = {"id": f"user-{rng.randrange(13)}", "project_id": f"project-{rng.randrange(7)}"}
    outcome = rng.choice(("success", "failure"))
    return "keystone", "identity.authenticate", {"outcome": outcome, "initiator": initiator}
