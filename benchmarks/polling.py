"""The load: telemetry.polling messages as Ceilometer's agents send them, 50 samples each, and made fast.

What never changes of a sample is made once; a message is that text with new ids, times and volumes.
"""

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from sources.fleet import METERS, Meter
from sources.fleet_instances import Instance, build_instances, resource

BATCH = 50  # samples a message
_METADATA = (  # the twelve keys that are kept, flattened
    *("display_name", "name", "instance_type", "host", "instance_host", "status", "state"),
    *("image_ref", "architecture", "vcpus", "memory_mb", "disk_gb"),
)
_Pieces = tuple[str, str, str, str, int]
_VOLUME, _MOMENT, _ID = "@volume@", "@moment@", "@id@"


class Polls:
    """So many instances with so many meters each."""

    def __init__(self, instances: int, meters: int) -> None:
        self._batches = [
            [_pieces(meter, each) for each in fleet]
            for fleet in _chunks(build_instances(instances, seed=1))
            for meter in METERS[:meters]
        ]
        self._round = 0
        self.samples = instances * meters  # a round

    def messages(self, moment: datetime) -> Iterator[bytes]:
        """Yield the messages of one poll of everything at a moment; each sample in a millisecond of its own."""
        self._round += 1
        for number, batch in enumerate(self._batches):
            yield self._message(number, batch, moment, number)

    def live(self) -> Iterator[bytes]:
        """Yield the messages of one poll of everything, each with the time at which it is made."""
        self._round += 1
        for number, batch in enumerate(self._batches):
            yield self._message(number, batch, utc_now(), -len(batch))

    def _message(self, number: int, batch: list[_Pieces], moment: datetime, offset: int) -> bytes:
        ids = os.urandom(16 * len(batch)).hex()
        samples = [
            f"{head}{number + i * 31 + self._round * step}{middle}"
            f"{_time(moment, offset + i)}{later}{_uuid(ids, i * 32)}{tail}"
            for i, (head, middle, later, tail, step) in enumerate(batch)
        ]
        return _envelope(",".join(samples), moment).encode()


def single(meter: Meter, each: Instance, volume: float, moment: datetime) -> bytes:
    """Return the message of one sample."""
    head, middle, later, tail, _ = _pieces(meter, each)
    ids = os.urandom(16).hex()
    sample = f"{head}{volume}{middle}{_time(moment, 0)}{later}{_uuid(ids, 0)}{tail}"
    return _envelope(sample, moment).encode()


def rounds(polls: Polls, count: int, interval: float, end: datetime) -> Iterator[bytes]:
    """Yield so many polls, `interval` s apart, the last one at `end`."""
    for number in range(count):
        yield from polls.messages(end - timedelta(seconds=interval * (count - 1 - number)))


def utc_now() -> datetime:
    """Return the time as agents write it: without an offset."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _chunks(fleet: tuple[Instance, ...]) -> list[tuple[Instance, ...]]:
    return [fleet[i : i + BATCH] for i in range(0, len(fleet), BATCH)]


def _pieces(meter: Meter, each: Instance) -> _Pieces:
    """Return a sample's text around its volume, time and id, as text in JSON, and its growth."""
    text = json.dumps(json.dumps(_sample(meter, each)))[1:-1]
    head, rest = text.split(f'\\"{_VOLUME}\\"')
    middle, rest = rest.split(_MOMENT)
    later, tail = rest.split(_ID)
    return head, middle, later, tail, 1_234_567 if meter.type == "cumulative" else 0


def _sample(meter: Meter, each: Instance) -> dict[str, Any]:
    resource_id, metadata = resource(each, meter.resource)
    return {
        "source": "openstack",
        "counter_name": meter.name,
        "counter_type": meter.type,
        "counter_unit": meter.unit,
        "counter_volume": _VOLUME,
        "user_id": each.user,
        "project_id": each.project,
        "resource_id": resource_id,
        "timestamp": _MOMENT,
        "resource_metadata": {name: metadata[name] for name in _METADATA},
        "message_id": _ID,
        "monotonic_time": None,
        "message_signature": "",
    }


def _time(moment: datetime, offset: int) -> str:
    return (moment + timedelta(microseconds=offset * 1009)).isoformat("T", "microseconds")


def _uuid(digits: str, at: int) -> str:
    return (
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-4{digits[at + 13 : at + 16]}"
        f"-a{digits[at + 17 : at + 20]}-{digits[at + 20 : at + 32]}"
    )


def _envelope(samples: str, moment: datetime) -> str:
    ids = os.urandom(32).hex()
    return (
        '{"oslo.version": "2.0", "oslo.message": "{'
        f'\\"message_id\\": \\"{_uuid(ids, 0)}\\", \\"publisher_id\\": \\"ceilometer.polling\\", '
        '\\"event_type\\": \\"telemetry.polling\\", \\"priority\\": \\"SAMPLE\\", '
        f'\\"payload\\": {{\\"samples\\": [{samples}]}}, '
        f'\\"timestamp\\": \\"{moment.isoformat(" ", "microseconds")}\\", '
        f'\\"_unique_id\\": \\"{ids[32:]}\\"}}"}}'
    )
