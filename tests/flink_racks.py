"""Racks: meters whose definition files change while the job is stopped, and what there must be then.

Before the change their notifications tell energy in Wh; after it in kWh, temperature besides, and its rate.
"""

import random
from pathlib import Path
from typing import Any, Final

import yaml

from metering.definitions.meters import SHIPPED as SHIPPED_METERS
from metering.derived.pipeline_file import SHIPPED as SHIPPED_PIPELINE
from tests.soak.notifications import Message, message, new_id, stamp
from tests.soak.oracle import Row

RATES: Final = {"rack.temperature": "C"}  # what is derived besides, once it is defined
_RACK: Final[dict[str, Any]] = {
    "event_type": "rack.measured",
    "type": "gauge",
    "resource_id": "$.payload.rack",
    "project_id": "$.payload.project",
    "metadata": {"room": "$.payload.room"},
}
_BEFORE: Final = [_RACK | {"name": "rack.energy", "unit": "Wh", "volume": "$.payload.wh"}]
_AFTER: Final = [
    _RACK | {"name": "rack.energy", "unit": "kWh", "volume": "$.payload.kwh"},
    _RACK | {"name": "rack.temperature", "unit": "C", "volume": "$.payload.degrees"},
]
_RATE: Final[dict[str, Any]] = {
    "name": "rate_of_change",
    "parameters": {"target": {"name": "rack.temperature.rate", "unit": "C", "type": "gauge"}},
}


def write_definitions(folder: Path, changed: bool) -> dict[str, Any]:
    """Write both files, as they were or changed; return what the configuration says of them."""
    meters = yaml.safe_load(SHIPPED_METERS.read_text())
    meters["metric"] += _AFTER if changed else _BEFORE
    pipeline = yaml.safe_load(SHIPPED_PIPELINE.read_text())
    if changed:
        pipeline["sources"].append({"name": "rack", "meters": [*RATES], "sinks": ["rack"]})
        pipeline["sinks"].append({"name": "rack", "transformers": [_RATE]})
    files = {"meters": meters, "pipeline": pipeline}
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return {name: str(folder / f"{name}.yaml") for name in files}


def racks(seed: int, start: int, changed: bool) -> tuple[list[Message], list[Row]]:
    """Return notifications of racks from `start` (ms) on, and the samples that they are to make."""
    rng = random.Random(seed)
    told = [(start + n * 1000, _measured(rng, n % 3)) for n in range(12)]
    messages = [message(rng, "nova", _body(rng, *each)) for each in told]
    return messages, [row for each in told for row in _rows(*each, changed)]


def _measured(rng: random.Random, number: int) -> dict[str, Any]:
    wh = rng.randrange(1, 10**6)
    return {
        "rack": f"rack-{number}",
        "project": "project-of-racks",
        "room": "cellar",
        "wh": wh,
        "kwh": wh / 1000,
        "degrees": rng.randrange(15, 40),
    }


def _body(rng: random.Random, at: int, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "message_id": new_id(rng),
        "publisher_id": "racks.host-1",
        "event_type": "rack.measured",
        "priority": "INFO",
        "timestamp": stamp(at),
        "payload": measured,
    }


def _rows(at: int, measured: dict[str, Any], changed: bool) -> list[Row]:
    said = (
        [("rack.energy", "kWh", measured["kwh"]), ("rack.temperature", "C", measured["degrees"])]
        if changed
        else [("rack.energy", "Wh", measured["wh"])]
    )
    owner = measured["rack"], measured["project"], ""
    return [
        Row(meter, "gauge", unit, float(volume), *owner, at, "openstack", (("room", "cellar"),), "")
        for meter, unit, volume in said
    ]
