"""A sample on its way into a batch: checked, its values in the store's forms."""

import msgspec


class Draft(msgspec.Struct, frozen=True, gc=False, eq=True):
    """One sample. Fields as metering.schema.SAMPLES; `metadata` is canonical flattened JSON text."""

    meter: str
    type: str
    unit: str
    volume: float
    project_id: str
    user_id: str
    resource_id: str
    timestamp: int  # ms
    metadata: str
    source: str
    message_id: str
