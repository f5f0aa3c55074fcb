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
    .append(pa.field("late", pa.uint8(), nullable=False))
)

# Series whose stored past changed, and since when (the oldest moment that did).
TOUCHED: Final = pa.schema(
    [
        pa.field("meter", pa.string(), nullable=False),
        pa.field("resource_id", pa.string(), nullable=False),
        pa.field("timestamp", _MS, nullable=False),
    ]
)

# Message ids of samples, each with the hash of what came under it (metering.repeats.ids_of).
IDS: Final = pa.schema(
    [
        pa.field("message_id", pa.string(), nullable=False),
        pa.field("content", pa.uint64(), nullable=False),
    ]
)

# One usage row: of a series in [start, start + period), by owner and segment (docs/usage.md).
# period is in s, covered in s, usage of a gauge in unit x hours. first, last, min, max, first_at and
# last_at are null without samples of the window; covered is null for deltas. cadence is the
# shortest time between neighbouring samples in ms, 0 where there are none. amount is usage before it is
# divided (of a gauge in unit x ms). interim rows may still change with samples in order.
# version is the tick's time in ms.
USAGE: Final = pa.schema(
    [
        pa.field("meter", _LABEL, nullable=False),
        pa.field("type", _LABEL, nullable=False),
        pa.field("unit", _LABEL, nullable=False),
        pa.field("project_id", _LABEL, nullable=False),
        pa.field("user_id", _LABEL, nullable=False),
        pa.field("resource_id", _LABEL, nullable=False),
        pa.field("segment", _LABEL, nullable=False),
        pa.field("period", pa.uint32(), nullable=False),
        pa.field("start", _S, nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
        pa.field("first", pa.float64()),
        pa.field("last", pa.float64()),
        pa.field("sum", pa.float64(), nullable=False),
        pa.field("min", pa.float64()),
        pa.field("max", pa.float64()),
        pa.field("usage", pa.float64(), nullable=False),
        pa.field("covered", pa.float64()),
        pa.field("cadence", pa.uint32(), nullable=False),
        pa.field("first_at", _MS),
        pa.field("last_at", _MS),
        pa.field("amount", pa.float64(), nullable=False),
        pa.field("interim", pa.uint8(), nullable=False),
        pa.field("restated", pa.uint8(), nullable=False),
        pa.field("is_deleted", pa.uint8(), nullable=False),
        pa.field("version", pa.uint64(), nullable=False),
    ]
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

# What samples add to one part of an alarm: of one series in one period, a row each. part is the place of
# the rule among the alarm's; series names meter and resource (of this process, metering.hashes), bucket
# is the number of the period since the epoch; the first and last are told by time, then volume. counter is
# 1 for a cumulative meter. times (ms) and volumes are filled only where the statistic takes them.
PARTIALS: Final = pa.schema(
    [
        pa.field("alarm_id", _LABEL, nullable=False),
        pa.field("part", pa.uint16(), nullable=False),
        pa.field("series", pa.uint64(), nullable=False),
        pa.field("bucket", pa.int64(), nullable=False),
        pa.field("counter", pa.uint8(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("sum", pa.float64(), nullable=False),
        pa.field("min", pa.float64(), nullable=False),
        pa.field("max", pa.float64(), nullable=False),
        pa.field("first", pa.float64(), nullable=False),
        pa.field("last", pa.float64(), nullable=False),
        pa.field("first_at", pa.int64(), nullable=False),
        pa.field("last_at", pa.int64(), nullable=False),
        pa.field("times", pa.list_(pa.int64()), nullable=False),
        pa.field("volumes", pa.list_(pa.float64()), nullable=False),
    ]
)
# The same, of alarms whose rule has one part, by their numbers in the book.
HELD: Final = pa.schema([pa.field("alarm", pa.int32(), nullable=False), *list(PARTIALS)[2:]])
