"""The hot path: batches of samples as Ceilometer's polling agents send them, decoded into columns.

A message that is not exactly of the expected form is left to the slow path (metering.samples),
sample by sample; so is a row whose values need a closer look. What passes here is what the slow
path would give, value for value.
"""

from typing import Any, Final

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from metering.memory import Mask
from metering.metadata import flatten
from metering.refusal import RefusedError
from metering.samples import DEFAULT_SOURCE
from metering.schema import SAMPLE_TYPES, SAMPLES
from metering.timestamps import parse_ms

TELEMETRY: Final = frozenset({"telemetry.polling", "telemetry.api"})
_KNOWN_METADATA: Final = 100_000  # distinct texts kept flattened
_NO_METADATA: Final = (b"null", b"{}")


class Polled(msgspec.Struct, gc=False):
    """One sample of a batch, as sent; resource_metadata stays unparsed text."""

    counter_name: str
    counter_type: str
    counter_volume: float
    resource_id: str
    timestamp: str
    counter_unit: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    resource_metadata: msgspec.Raw = msgspec.Raw(b"null")
    message_id: str | None = None
    source: str | None = None


class _Payload(msgspec.Struct, gc=False):
    samples: list[Polled]


class _Batch(msgspec.Struct, gc=False):
    event_type: str
    payload: _Payload


_batches = msgspec.json.Decoder(_Batch)


def polled_samples(text: str) -> list[Polled] | None:
    """Return the samples of a telemetry notification; None where the slow path must look."""
    if "telemetry." not in text:
        return None
    try:
        batch = _batches.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return batch.payload.samples if batch.event_type in TELEMETRY else None


class MetadataTexts:
    """Flattened metadata by its text as sent: parsed once per distinct value, not per sample."""

    def __init__(self) -> None:
        self._known: dict[bytes, str | None] = {}

    def flat(self, raw: bytes) -> str | None:
        """Return canonical flattened text; None where the metadata is no object."""
        if raw in self._known:
            return self._known[raw]
        if len(self._known) >= _KNOWN_METADATA:
            self._known.clear()
        flattened = self._known[raw] = _flat(raw)
        return flattened


def _flat(raw: bytes) -> str | None:
    if raw in _NO_METADATA:
        return "{}"
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    try:
        return flatten(value) if isinstance(value, dict) else None
    except RefusedError:
        return None


def polled_table(
    polled: list[Polled], texts: MetadataTexts, recorded_at: int, newest: int
) -> tuple[pa.Table, list[Polled]]:
    """Return the samples as a table (SAMPLES), and those that need a closer look.

    recorded_at is in s; a timestamp beyond `newest` (ms) needs a closer look.
    """
    timestamps = _milliseconds([s.timestamp for s in polled])
    columns: dict[str, Any] = {
        "meter": _labels([s.counter_name for s in polled]),
        "type": _labels([s.counter_type for s in polled]),
        "unit": _labels([s.counter_unit for s in polled]),
        "volume": pa.array([s.counter_volume for s in polled], pa.float64()),
        "project_id": _labels([s.project_id for s in polled]),
        "user_id": _labels([s.user_id for s in polled]),
        "resource_id": _labels([s.resource_id for s in polled]),
        "timestamp": timestamps,
        "source": _labels([s.source for s in polled], DEFAULT_SOURCE),
        "metadata": _metadata([bytes(s.resource_metadata) for s in polled], texts),
        "recorded_at": _repeated(recorded_at, len(polled)),
        "message_id": pa.array([s.message_id for s in polled], pa.string()),
    }
    plain = _plain_rows(columns, newest)
    table = pa.table(columns)
    if plain.all():
        return table.cast(SAMPLES), []
    odd = [polled[i] for i in np.flatnonzero(~plain)]
    return table.filter(pa.array(plain)).cast(SAMPLES), odd


def _plain_rows(columns: dict[str, Any], newest: int) -> Mask:
    """Return which rows are good as they are."""
    plain: Mask = np.isfinite(columns["volume"].to_numpy())
    stamps = columns["timestamp"].fill_null(newest + 1).cast(pa.int64()).to_numpy()
    plain &= stamps <= newest
    plain &= _dictionary_mask(columns["type"], lambda value: value in SAMPLE_TYPES)
    plain &= _dictionary_mask(columns["meter"], bool)
    plain &= _dictionary_mask(columns["resource_id"], bool)
    plain &= columns["metadata"].is_valid().to_numpy(zero_copy_only=False)
    ids = pc.fill_null(pc.greater(pc.binary_length(columns["message_id"]), 0), False)
    plain &= ids.to_numpy(zero_copy_only=False)
    return plain


def _dictionary_mask(column: Any, good: Any) -> Mask:
    per_value = np.array([good(value) for value in column.dictionary.to_pylist()], bool)
    mask: Mask = per_value[column.indices.to_numpy()]
    return mask


def _labels(values: list[str | None], missing: str = "") -> Any:
    encoded = pa.array(values, pa.string()).dictionary_encode()
    if encoded.null_count == 0 and (not missing or "" not in encoded.dictionary.to_pylist()):
        return encoded
    return pa.array([value or missing for value in values], pa.string()).dictionary_encode()


def _metadata(raw: list[bytes], texts: MetadataTexts) -> Any:
    encoded = pa.array(raw, pa.binary()).dictionary_encode()
    flat = [texts.flat(value) for value in encoded.dictionary.to_pylist()]
    if None not in flat and len(set(flat)) == len(flat):
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(flat, pa.string()))
    return pa.array(flat, pa.string()).take(encoded.indices).dictionary_encode()


def _milliseconds(texts: list[str]) -> Any:
    """Return UTC ms; null where a text is no time."""
    column = pa.array(texts, pa.string())
    try:
        return _cast(column)
    except pa.ArrowInvalid:  # in a form Arrow does not read
        encoded = column.dictionary_encode()
        parsed = [_ms_or_none(text) for text in encoded.dictionary.to_pylist()]
        return pa.array(parsed, pa.timestamp("ms", "UTC")).take(encoded.indices)


def _cast(column: Any) -> Any:
    """Return ms of texts that all have an offset from UTC, or all none. Raises pa.ArrowInvalid."""
    try:
        moments = column.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        moments = column.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))  # naive is UTC
    return moments.cast(pa.timestamp("ms", "UTC"), safe=False)


def _ms_or_none(text: str) -> int | None:
    try:
        return parse_ms(text)
    except RefusedError:
        return None


def _repeated(second: int, count: int) -> Any:
    return pa.array(np.full(count, second, np.int64)).cast(pa.timestamp("s", "UTC"))
