"""From the job's Arrow schemas to the tables' rows and into them, and back.

Guarantee: every row has a natural key (see the migrations); writing rows again changes nothing.
"""

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from metering.schema import SAMPLES
from store.client import Store
from store.latest import mend_latest
from store.newest import latest_rows

# What to select from `samples` for `samples_of`.
SAMPLE_COLUMNS: Final = ", ".join(
    f"{field.name}::String AS {field.name}" if pa.types.is_dictionary(field.type) else field.name
    for field in SAMPLES
)
_TIME: Final = SAMPLES.field("recorded_at").type


def insert_samples(store: Store, samples: pa.Table, late: int = 0) -> None:
    """Write samples that count and that nothing in the store stands against; `late` marks them.

    Shape: metering.schema.SAMPLES. For conflicts see store.incumbents.
    """
    if samples.num_rows:
        store.insert("samples", sample_rows(samples, late))


def sample_rows(samples: pa.Table, late: int = 0) -> pa.Table:
    """Return the rows of the table `samples`: variant by type, version 0, in time, nothing deleted."""
    n = samples.num_rows
    variant = np.zeros(n, np.uint32)
    deltas = pc.equal(samples["type"].cast(pa.string()), "delta").to_numpy()
    if deltas.any():
        ids = samples["message_id"].filter(pa.array(deltas)).to_pylist()
        variant[deltas] = [xxhash.xxh32_intdigest(i.encode()) for i in ids]
    return (
        samples.append_column("variant", pa.array(variant))
        .append_column("version", pa.array(np.zeros(n, np.uint32)))
        .append_column("is_deleted", pa.array(np.zeros(n, np.uint8)))
        .append_column("late", pa.array(np.full(n, late, np.uint8)))
    )


def samples_of(rows: pa.Table) -> pa.Table:
    """Return selected rows (SAMPLE_COLUMNS) as SAMPLES."""
    arrays = []
    for field in SAMPLES:
        column = rows[field.name].combine_chunks()
        if pa.types.is_dictionary(field.type):
            column = column.cast(pa.string()).dictionary_encode()
        elif field.name == "recorded_at":
            column = column.cast(pa.int64())
        arrays.append(column.cast(field.type))
    return pa.table(arrays, schema=SAMPLES)


def insert_revisions(store: Store, revisions: pa.Table) -> None:
    """Write rows of settled conflicts (metering.schema.REVISIONS), and `latest` as it is then."""
    if revisions.num_rows:
        now = pa.array([int(time.time())] * revisions.num_rows, pa.int64()).cast(_TIME)
        store.insert("samples", revisions.append_column("revised_at", now))
        overruled = pc.and_(
            pc.equal(revisions["is_deleted"], 1), pc.greater(revisions["version"], 0)
        )
        hidden = revisions.filter(overruled).select(["resource_id", "meter"])
        mend_latest(
            store, sorted({(row["resource_id"], row["meter"]) for row in hidden.to_pylist()})
        )
        counting = revisions.filter(pc.equal(revisions["is_deleted"], 0))
        insert_latest(store, counting.select(SAMPLES.names))


def insert_latest(store: Store, samples: pa.Table) -> None:
    """Bring `latest` up to date with these samples (metering.schema.SAMPLES)."""
    if samples.num_rows:
        store.insert("latest", latest_rows(samples))


def insert_usage(store: Store, usage: pa.Table) -> None:
    """Write usage rows (metering.schema.USAGE): every version, then the newest of each.

    Natural key: meter, period, project_id, resource_id, start, user_id, segment, type and unit; of a
    version the version too. Writing rows again changes nothing; who is killed in between must.
    """
    if usage.num_rows:
        store.insert("usage_versions", usage)
        store.insert("usage", usage)


def insert_final(store: Store, shards: Sequence[int], of: int, until_ms: int, at_ms: int) -> None:
    """Write up to when the windows of some shards, `of` so many, are final, and since when (ms).

    Natural key: their number, shard and until. What is known already stays as it is, with its time:
    after a restart the same is said again, later. Errors: StoreAwayError.
    """
    store.query(
        f"INSERT INTO {store.name}.usage_final"
        " SELECT {of:UInt32}, arrayJoin({shards:Array(UInt32)}) AS shard_,"
        " fromUnixTimestamp64Milli({until:Int64}, 'UTC'),"
        " fromUnixTimestamp64Milli({at:Int64}, 'UTC')"
        f" WHERE shard_ NOT IN (SELECT shard FROM {store.name}.usage_final"
        " WHERE shards = {of:UInt32} AND until >= fromUnixTimestamp64Milli({until:Int64}, 'UTC'))",
        {"of": of, "shards": list(shards), "until": until_ms, "at": at_ms},
    )


def insert_events(store: Store, events: pa.Table) -> None:
    """Write events (metering.schema.EVENTS). Of two contents under one key the smaller hash stays."""
    if events.num_rows:
        version = pc.bit_wise_not(events["content"])  # the larger version stays
        store.insert("events", events.drop(["content"]).append_column("version", version))


def insert_invalid(store: Store, invalid: pa.Table) -> None:
    """Write refused payloads (metering.schema.INVALID)."""
    if invalid.num_rows:
        store.insert("invalid", invalid)
