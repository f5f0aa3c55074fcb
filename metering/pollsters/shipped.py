"""Every kind of resource that is polled through OpenStack's APIs."""

from typing import Final

from metering.pollsters import block_storage, compute, gateway, network, storage, zones
from metering.pollsters.kinds import Kind

KINDS: Final[tuple[Kind, ...]] = (
    *compute.KINDS,
    *block_storage.KINDS,
    *network.KINDS,
    *storage.KINDS,
    *gateway.KINDS,
    *zones.KINDS,
)
METERS: Final = frozenset(name for kind in KINDS for name in kind.meters)
