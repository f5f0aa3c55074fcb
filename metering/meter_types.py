"""The types of meters by name, for samples that come without one (Gnocchi's measures).

Source: our own pollsters and definitions, and Ceilometer's gnocchi_resources.yaml for the others.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from metering.definitions.meter_file import Meter
from metering.pollsters.hypervisor import METERS
from metering.pollsters.shipped import KINDS
from metering.schema import SAMPLE_TYPES

_DELTAS: Final = (
    "network.incoming.bytes.delta",
    "network.outgoing.bytes.delta",
    "storage.objects.incoming.bytes",
    "storage.objects.outgoing.bytes",
)
_DELTA_PREFIXES: Final = ("identity.", "stack.", "volume.manage_existing")


def meter_types(definitions: Iterable[Meter]) -> dict[str, str]:
    """Return the type of each meter that has one name; definitions come first."""
    polled = {m.name: m.type for kind in KINDS for part in kind.parts for m in part.meters}
    read = {name: kind for name, (_, kind) in METERS.items()}
    defined = {m.name: m.type for m in definitions if m.type in SAMPLE_TYPES}
    return {**dict.fromkeys(_DELTAS, "delta"), **read, **polled, **defined}


def type_of(meter: str, types: Mapping[str, str], policy: str) -> str:
    """Return a meter's type; that of one not known is told by its archive policy alone.

    Ceilometer's policies that keep rates (`ceilometer-low-rate`) are those of counters.
    """
    known = types.get(meter)
    if known is None and meter.startswith(_DELTA_PREFIXES):
        known = "delta"
    return known or ("cumulative" if policy.endswith("-rate") else "gauge")
