"""From readings to samples, in the form Ceilometer's agents send them."""

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import orjson

from metering.identity import content_id
from metering.pollsters.kinds import Kind, Part, Reading, Thing
from metering.samples import DEFAULT_SOURCE

# What reading an answer of another shape than its API's ends in.
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)


@dataclasses.dataclass(frozen=True, slots=True)
class Poll:
    """One poll of one kind: when, and what of it is wanted.

    `place` is added to every sample's metadata; `prefix` to the ids that other regions may have too.
    """

    timestamp: str
    meters: frozenset[str]
    place: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    prefix: str = ""

    @classmethod
    def of(cls, moment: float, meters: frozenset[str], **more: Any) -> "Poll":
        """Return a poll at a moment (s since the epoch)."""
        time = datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None)
        return cls(time.isoformat("T", "milliseconds"), meters, **more)


def thing_of(kind: Kind, entry: Mapping[str, Any], poll: Poll) -> Thing:
    """Return the resource that an entry of a listing is. Raises MISSHAPEN."""
    name = kind.id(entry)
    if not isinstance(name, str) or not name:
        raise ValueError(f"no id: {name!r}")
    return Thing(
        id=poll.prefix + name if kind.local else name,
        project_id=kind.project(entry),
        user_id=kind.user(entry),
        entry={key: entry.get(key) for key in kind.keep} if kind.keep else entry,
        metadata=orjson.dumps({**kind.metadata(entry), **poll.place}),
    )


def samples_of(kind: Kind, reading: Reading, poll: Poll) -> list[dict[str, Any]]:
    """Return the wanted samples of a reading. Raises MISSHAPEN."""
    return [
        sample
        for part in kind.parts
        for item in part.items(reading)
        for sample in _samples(part, item, reading.thing, poll)
    ]


def _samples(part: Part, item: Any, thing: Thing, poll: Poll) -> Iterator[dict[str, Any]]:
    resource_id = part.resource(thing, item) if part.resource else thing.id
    metadata = orjson.Fragment(_joined(thing.metadata, part.extra(item) if part.extra else {}))
    for meter in part.meters:
        if meter.name in poll.meters and (volume := meter.volume(item)) is not None:
            yield sample_of(
                (meter.name, meter.type, meter.unit, volume),
                (resource_id, thing.project_id, thing.user_id),
                metadata,
                poll.timestamp,
            )


def sample_of(
    measured: tuple[str, str, str, Any],
    owned: tuple[Any, Any, Any],
    metadata: Any,
    timestamp: str,
) -> dict[str, Any]:
    """Return one sample: (name, type, unit, volume) of (resource, project, user).

    Its message id follows from what it says, so that the same reading sent twice is a repeat.
    """
    name, kind, unit, volume = measured
    resource_id, project_id, user_id = owned
    return {
        "source": DEFAULT_SOURCE,
        "counter_name": name,
        "counter_type": kind,
        "counter_unit": unit,
        "counter_volume": volume,
        "user_id": user_id,
        "project_id": project_id,
        "resource_id": resource_id,
        "timestamp": timestamp,
        "resource_metadata": metadata,
        "message_id": content_id((name, resource_id, timestamp, volume)),
    }


def _joined(encoded: bytes, more: dict[str, Any]) -> bytes:
    """Return a JSON object with more fields, without parsing it."""
    if not more:
        return encoded
    return encoded[:-1] + (b"," if len(encoded) > 2 else b"") + orjson.dumps(more)[1:]
