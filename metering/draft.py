"""A sample on its way into a batch: checked, its values in the store's forms."""

from typing import NamedTuple


class Draft(NamedTuple):
    """One sample. Fields as metering.schema.SAMPLES; the last is its name."""

    meter: str
    type: str
    unit: str
    volume: float
    project_id: str
    user_id: str
    resource_id: str
    timestamp: int  # ms since the epoch, UTC
    metadata: str  # canonical and flat (metering.metadata)
    source: str
    message_id: str  # the same whenever its message comes again
