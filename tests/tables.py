"""Arrow tables for tests: name the columns that matter, the rest have plain values."""

from typing import Any

import pyarrow as pa

from metering.schema import SAMPLES, USAGE

_SAMPLE: dict[str, Any] = {
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


_USAGE: dict[str, Any] = {
    "meter": "cpu",
    "type": "gauge",
    "unit": "ns",
    "project_id": "p",
    "user_id": "u",
    "resource_id": "r",
    "segment": "",
    "period": 3600,
    "start": 1_795_003_200,
    "count": 1,
    "first": 1.0,
    "last": 1.0,
    "sum": 1.0,
    "min": 1.0,
    "max": 1.0,
    "usage": 1.0,
    "covered": 3600.0,
    "cadence": 0,
    "first_at": 1_795_003_200_000,
    "last_at": 1_795_003_200_000,
    "amount": 1.0,
    "interim": 0,
    "restated": 0,
    "is_deleted": 0,
    "version": 1,
}


def samples(**columns: list[Any]) -> pa.Table:
    """Return samples (metering.schema.SAMPLES) with these columns; all lists have one length."""
    return _table(SAMPLES, _SAMPLE, columns)


def usage_rows(*rows: dict[str, Any]) -> pa.Table:
    """Return usage rows (metering.schema.USAGE): of an hour with one sample, but for what is told."""
    return _table(USAGE, _USAGE, {n: [(_USAGE | row)[n] for row in rows] for n in _USAGE})


def _table(schema: pa.Schema, plain: dict[str, Any], columns: dict[str, list[Any]]) -> pa.Table:
    length = len(next(iter(columns.values()), [None]))
    values = {name: [value] * length for name, value in plain.items()} | columns
    arrays = []
    for field in schema:
        dictionary = pa.types.is_dictionary(field.type)
        array = pa.array(values[field.name], field.type.value_type if dictionary else field.type)
        arrays.append(array.cast(field.type))
    return pa.table(arrays, schema=schema)
