"""Arrow tables for tests: name the columns that matter, the rest have plain values."""

from typing import Any

import pyarrow as pa

from metering.schema import SAMPLES

_PLAIN: dict[str, Any] = {
    "meter": "cpu",
    "type": "gauge",
    "unit": "ns",
    "volume": 1.0,
    "project_id": "p",
    "user_id": "u",
    "resource_id": "r",
    "timestamp": 1_795_000_000_000,
    "source": "openstack",
    "metadata": '{"a":1}',
    "recorded_at": 1_795_000_000,
    "message_id": "m",
}


def samples(**columns: list[Any]) -> pa.Table:
    """Return samples (metering.schema.SAMPLES) with these columns; all lists have one length."""
    length = len(next(iter(columns.values()), [None]))
    values = {name: [value] * length for name, value in _PLAIN.items()} | columns
    arrays = []
    for field in SAMPLES:
        dictionary = pa.types.is_dictionary(field.type)
        array = pa.array(values[field.name], field.type.value_type if dictionary else field.type)
        arrays.append(array.cast(field.type))
    return pa.table(arrays, schema=SAMPLES)
