"""Rows gathered one by one, made into the tables of metering.schema."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from metering.conflicts import Stored
from metering.definitions.events import Event
from metering.draft import Draft
from metering.identity import content_id
from metering.refusal import RefusedError
from metering.schema import EVENTS, INVALID, REVISIONS, SAMPLES, TOUCHED


def sample_table(drafts: list[Draft], recorded_at: int) -> pa.Table:
    """Return drafts as a table (SAMPLES); recorded_at is in s."""
    drafted = dict(zip(Draft._fields, zip(*drafts, strict=True), strict=True)) if drafts else {}
    columns = []
    for field in SAMPLES:
        if field.name == "recorded_at":
            columns.append(pa.array(np.full(len(drafts), recorded_at, np.int64)).cast(field.type))
            continue
        values = drafted.get(field.name, ())
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            columns.append(pa.array(values, field.type))
    return pa.table(columns, schema=SAMPLES)


def together(tables: list[pa.Table]) -> pa.Table:
    """Return tables of one schema as one, with one dictionary a column."""
    filled = [table for table in tables if table.num_rows] or tables[:1]
    if len(filled) == 1:
        return filled[0]
    return pa.concat_tables(filled).unify_dictionaries().combine_chunks()


def compacted(table: pa.Table) -> pa.Table:
    """Return a table whose dictionaries have no text that no row has."""
    columns = [_compacted(column) for column in table.columns]
    return pa.table(columns, schema=table.schema)


def _compacted(column: pa.ChunkedArray) -> Any:
    if not pa.types.is_dictionary(column.type):
        return column
    array = column.combine_chunks()
    used, indices = np.unique(array.indices.to_numpy(), return_inverse=True)
    if len(used) == len(array.dictionary):
        return column
    texts = array.dictionary.take(pa.array(used))
    return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), texts)


def newest(samples: pa.Table, events: pa.Table) -> int | None:
    """Return the newest event time in ms, None where there is none."""
    times = [pc.max(samples["timestamp"]), pc.max(events["generated"])]
    found = [time.value for time in times if time.is_valid]
    return max(found) if found else None


def drafts_of(samples: pa.Table) -> list[tuple[Draft, int]]:
    """Return the samples one by one, each with its recorded_at (s). For few rows."""
    names = Draft._fields
    stamps = samples["timestamp"].cast(pa.int64())
    plain = samples.set_column(samples.schema.get_field_index("timestamp"), "timestamp", stamps)
    columns = [plain[name].to_pylist() for name in names]
    arrived = samples["recorded_at"].cast(pa.int64()).to_pylist()
    return [(Draft(*row[:-1]), row[-1]) for row in zip(*columns, arrived, strict=True)]


def touched_by(drafts: list[Draft]) -> pa.Table:
    """Return the series (TOUCHED) of these samples, each with its oldest."""
    oldest: dict[tuple[str, str], int] = {}
    for draft in drafts:
        series = (draft.meter, draft.resource_id)
        oldest[series] = min(draft.timestamp, oldest.get(series, draft.timestamp))
    columns = [*zip(*oldest, strict=True)] or [(), ()]
    moments = pa.array(oldest.values(), pa.int64()).cast(TOUCHED.field("timestamp").type)
    return pa.table([*map(pa.array, columns), moments], names=TOUCHED.names).cast(TOUCHED)


def revision_table(rows: list[Stored]) -> pa.Table:
    """Return what a settled conflict writes as a table (REVISIONS)."""
    table = sample_table([row.draft for row in rows], 0)
    arrived = pa.array([row.recorded_at for row in rows], pa.int64())
    at = REVISIONS.get_field_index("recorded_at")
    table = table.set_column(at, REVISIONS.field(at), arrived.cast(REVISIONS.field(at).type))
    extra = {
        "variant": [row.variant for row in rows],
        "version": [row.version for row in rows],
        "is_deleted": [int(not row.counts) for row in rows],
        "late": [row.late for row in rows],
    }
    for name, values in extra.items():
        field = REVISIONS.field(name)
        table = table.append_column(field, pa.array(values, field.type))
    return table


def conflict_table(
    conflicts: list[tuple[Draft, Draft]], arrived: list[tuple[Draft, int]]
) -> pa.Table:
    """Return the losers of conflicts as a table (INVALID); the time is that of who arrived."""
    rows = InvalidRows("", max(at for _, at in arrived), 1 << 20)
    for loser, winner in conflicts:
        detail = f"message id {winner.message_id} came with volume {winner.volume:g}, which counts"
        rows.add(RefusedError("conflict", detail), sample_json(loser), about="")
    return rows.table()


def sample_json(draft: Draft) -> bytes:
    """Return a sample as Ceilometer would send it, its metadata flat."""
    sample = {
        "counter_name": draft.meter,
        "counter_type": draft.type,
        "counter_unit": draft.unit,
        "counter_volume": draft.volume,
        "project_id": draft.project_id,
        "user_id": draft.user_id,
        "resource_id": draft.resource_id,
        "timestamp": dt.datetime.fromtimestamp(draft.timestamp / 1000, dt.timezone.utc),
        "source": draft.source,
        "message_id": draft.message_id,
        "resource_metadata": msgspec.Raw(draft.metadata.encode()),
    }
    return msgspec.json.encode(sample)


class EventRows:
    """Events on their way into a table."""

    def __init__(self, recorded_at: int) -> None:
        self._recorded_at = recorded_at  # s
        self._rows: list[tuple[Event, int, str]] = []

    def add(self, event: Event, content: int, raw: str) -> None:
        """Take an event, the hash of its notification's text, and the text where it is kept."""
        self._rows.append((event, content, raw))

    def table(self) -> pa.Table:
        """Return the events as a table (EVENTS)."""
        events = [event for event, _, _ in self._rows]
        columns: dict[str, Any] = {
            name: pa.array([getattr(event, name) for event in events], EVENTS.field(name).type)
            for name in ("event_type", "generated", "message_id", "project_id", "user_id")
        }
        for kind in ("text", "integer", "float", "datetime"):
            field = EVENTS.field(f"{kind}_traits")
            columns[field.name] = _maps([getattr(event, kind) for event in events], field.type)
        columns["raw"] = pa.array([raw for _, _, raw in self._rows], pa.string())
        columns["content"] = pa.array([content for _, content, _ in self._rows], pa.uint64())
        at = np.full(len(events), self._recorded_at, np.int64)
        columns["recorded_at"] = pa.array(at).cast(EVENTS.field("recorded_at").type)
        return pa.table(columns, schema=EVENTS)


def _maps(rows: list[Mapping[str, Any]], kind: Any) -> Any:
    """Return mappings as one Arrow map array; flat lists, as nested ones take four times as long."""
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    keys = [key for row in rows for key in row]
    items = [value for row in rows for value in row.values()]
    return pa.MapArray.from_arrays(
        pa.array(offsets), pa.array(keys, kind.key_type), pa.array(items, kind.item_type), type=kind
    )


class InvalidRows:
    """Refusals on their way into a table."""

    def __init__(self, feed: str, recorded_at: int, payload_bytes: int) -> None:
        self._feed = feed
        self._recorded_at = recorded_at  # s
        self._payload_bytes = payload_bytes
        self._rows: list[tuple[str, str, str, bytes, int]] = []

    def add(self, error: RefusedError, payload: bytes, about: str | None = None) -> None:
        """Take a refusal and what was refused; `about` tells refusals of one payload apart.

        It is the detail, unless that says more than what was refused (who won a conflict).
        """
        apart = error.detail if about is None else about
        name = content_id([error.reason, apart, xxhash.xxh128_hexdigest(payload)])
        kept = payload[: self._payload_bytes]
        self._rows.append((name, error.reason, error.detail, kept, len(payload)))

    def table(self) -> pa.Table:
        """Return the refusals as a table (INVALID)."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 5
        at = np.full(len(self._rows), self._recorded_at, np.int64)
        feed = [self._feed] * len(self._rows)
        names, reasons, details, payloads, sizes = columns
        ordered = [names, feed, reasons, details, payloads, sizes]
        arrays = [pa.array(v, f.type) for v, f in zip(ordered, INVALID, strict=False)]
        arrays.append(pa.array(at).cast(INVALID.field("recorded_at").type))
        return pa.table(arrays, schema=INVALID)
