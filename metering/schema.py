"""The Arrow schemas that travel through the job and into the store, one a kind of row.

Units: timestamps are UTC milliseconds, `recorded_at` UTC seconds.
"""

from typing import Final

import pyarrow as pa

SAMPLE_TYPES: Final = ("gauge", "delta", "cumulative")  # position + 1 is the code in the store

_MS: Final = pa.timestamp("ms", "UTC")
_S: Final = pa.timestamp("s", "UTC")
_LABEL: Final = pa.dictionary(pa.int32(), pa.string())

# One sample a row. `metadata` is the flattened resource metadata as canonical JSON text
# (dotted keys, sorted; metering.metadata), "{}" where there is none. project_id, user_id and
# source are "" where unknown. message_id is never empty: a sample without one gets its content's.
SAMPLES: Final = pa.schema(
    [
        pa.field("meter", _LABEL, nullable=False),
        pa.field("type", _LABEL, nullable=False),
        pa.field("unit", _LABEL, nullable=False),
        pa.field("volume", pa.float64(), nullable=False),
        pa.field("project_id", _LABEL, nullable=False),
        pa.field("user_id", _LABEL, nullable=False),
        pa.field("resource_id", _LABEL, nullable=False),
        pa.field("timestamp", _MS, nullable=False),
        pa.field("source", _LABEL, nullable=False),
        pa.field("metadata", _LABEL, nullable=False),
        pa.field("recorded_at", _S, nullable=False),
        pa.field("message_id", pa.string(), nullable=False),
    ]
)

# What a settled conflict writes: samples with the rest of their row in the store (see metering.conflicts).
REVISIONS: Final = (
    SAMPLES.append(pa.field("variant", pa.uint32(), nullable=False))
    .append(pa.field("version", pa.uint32(), nullable=False))
    .append(pa.field("is_deleted", pa.uint8(), nullable=False))
)

# One event a row; traits by type. project_id and user_id scope non-admins. raw is "" unless kept.
# content is the xxh64 of the notification's text: what tells two contents under one id apart.
EVENTS: Final = pa.schema(
    [
        pa.field("event_type", pa.string(), nullable=False),
        pa.field("generated", _MS, nullable=False),
        pa.field("message_id", pa.string(), nullable=False),
        pa.field("project_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("text_traits", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("integer_traits", pa.map_(pa.string(), pa.int64()), nullable=False),
        pa.field("float_traits", pa.map_(pa.string(), pa.float64()), nullable=False),
        pa.field("datetime_traits", pa.map_(pa.string(), _MS), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
        pa.field("content", pa.uint64(), nullable=False),
        pa.field("recorded_at", _S, nullable=False),
    ]
)

# One refused payload or sample a row. `reason` is one of metering.refusal.REASONS; `payload` is
# cut to the configured bound, `size` is what it was; `id` names it by content (32 hex digits).
INVALID: Final = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("feed", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("recorded_at", _S, nullable=False),
    ]
)
