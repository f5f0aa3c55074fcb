"""What alarms look back to: the stored samples of selections, and the events that some wait to be followed.

Guarantee: queries are bounded: samples come in slices of time, events up to a number.
Errors: StoreAwayError.
"""

import dataclasses
import fnmatch
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from metering.alarms.book_shelf import Recalled
from metering.alarms.matching_index import Watched
from metering.schema import EVENTS, SAMPLES
from store.client import Store
from store.lately import came
from store.rows import SAMPLE_COLUMNS, samples_of

_SLICE: Final = 300_000  # samples read at once, about
_NAMED: Final = 1000  # resources that a query names
_LOOKED_BACK: Final = 120  # s of arrival; of what came then transitions may not be written
_AT_MOST: Final = 3_600_000  # ms; as long before the newest of what came then may be
_AHEAD: Final = 60_000  # ms; what is newer than that is ahead of the clock
_LATELY: Final = 60_000  # ms; more than `latest` is behind `samples`
_EVENTS_READ: Final = 100_000
_FOREVER: Final = 10_000_000_000_000  # ms
_MS: Final = pa.timestamp("ms", "UTC")
_TRAITS: Final = ("text_traits", "integer_traits", "float_traits")
_EVENT_COLUMNS: Final = ", ".join(
    [
        *(f"{name}::String AS {name}" for name in ("event_type", "message_id")),
        *(f"{name}::String AS {name}" for name in ("project_id", "user_id")),
        "toUnixTimestamp64Milli(generated) AS generated",
        *(f"mapApply((k, v) -> (k::String, v), {name}) AS {name}" for name in _TRAITS),
        "mapApply((k, v) -> (k::String, toUnixTimestamp64Milli(v)), datetime_traits)"
        " AS datetime_traits",
    ]
)
# `latest` as samples: the newest of each series.
_LATEST: Final = {
    "meter": "meter::String AS meter",
    "type": "newest.type AS type",
    "unit": "newest.unit AS unit",
    "volume": "newest.volume AS volume",
    "project_id": "project_id::String AS project_id",
    "user_id": "user_id::String AS user_id",
    "timestamp": "newest.timestamp AS timestamp",
    "source": "source::String AS source",
    "metadata": "newest.metadata AS metadata",
    "recorded_at": "toDateTime(0, 'UTC') AS recorded_at",
    "message_id": "'' AS message_id",
}


@dataclasses.dataclass(frozen=True, slots=True)
class SamplesQuery:
    """The samples that count of meters, and of some resources, in [start, end) (ms)."""

    meters: tuple[str, ...]
    resources: tuple[str, ...] | None
    start: int
    end: int | None = None

    def to_sql(self, columns: str) -> str:
        """Return the query."""
        where = f"{self.whose()} AND late != 1"
        where += " AND timestamp >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
        if self.end is not None:
            where += " AND timestamp < fromUnixTimestamp64Milli({end:Int64}, 'UTC')"
        return f"SELECT {columns} FROM {{database}}.samples FINAL WHERE {where}"

    def whose(self) -> str:
        """Return the condition on meters and resources."""
        where = "meter IN {meters:Array(String)}"
        if self.resources is not None:
            where += " AND resource_id IN {resources:Array(String)}"
        return where

    def parameters(self) -> dict[str, Any]:
        """Return the query's parameters."""
        resources = list(self.resources or ())
        times = {"start": self.start, "end": self.end or 0}
        return {"meters": list(self.meters), "resources": resources, **times}


def samples_in(store: Store, query: SamplesQuery) -> pa.Table:
    """Return samples (SAMPLES)."""
    sql = query.to_sql(SAMPLE_COLUMNS).replace("{database}", store.name)
    return samples_of(store.query_arrow(sql, query.parameters()))


def count_in(store: Store, query: SamplesQuery) -> int:
    """Return how many samples there are."""
    sql = query.to_sql("count()").replace("{database}", store.name)
    return int(store.query(sql, query.parameters()).result_rows[0][0])


def sliced(store: Store, query: SamplesQuery, end: int) -> Iterator[pa.Table]:
    """Yield samples in slices of time, up to an end (ms) about as many in each; the last has the rest.

    The newest come first: of samples that are written meanwhile, each newer than all of its series
    before, none is left out that is older than one which is read.
    """
    parts = math.ceil(count_in(store, query) / _SLICE)
    width = max(math.ceil((end - query.start) / max(parts, 1)), 1)
    for nth in reversed(range(parts)):
        start = query.start + nth * width
        last = nth == parts - 1
        part = dataclasses.replace(query, start=start, end=None if last else start + width)
        yield samples_in(store, part)


def recalled(
    store: Store, watched: Sequence[Watched], now: int, lag: int = 0
) -> Iterator[Recalled]:
    """Yield what is stored of selections, read group by group; `lag` (ms) is the watermark's."""
    if not watched:
        return
    newest, unsure = _newest(store), _arrived_last(store)
    for (meters, _, latest), group in _groups(watched).items():
        top = min(max((newest.get(meter, 0) for meter in meters), default=0), now + _AHEAD)
        oldest = min((unsure.get(meter, top) for meter in meters), default=top)
        oldest = max(min(oldest, top), top - _AT_MOST)
        since = max(oldest - max(one.span for one in group) - lag, 0)
        query = SamplesQuery(meters, resources_of(group), since)
        if latest:
            query = dataclasses.replace(query, start=max(top - _LATELY, 0))
            yield Recalled(group, 0, oldest, _latest(store, query, top))
        else:
            yield Recalled(group, since, oldest, sliced(store, query, top))


def stored_events(
    store: Store, types: Sequence[str], since: int, stop: int = _FOREVER
) -> Iterator[pa.Table]:
    """Yield the newest events (EVENTS) of types (globs) in [since, stop) (ms), in order of time."""
    moment = (
        "events.generated >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
        " AND events.generated < fromUnixTimestamp64Milli({stop:Int64}, 'UTC')"
    )
    found = store.query(
        f"SELECT DISTINCT event_type::String FROM {store.name}.events WHERE {moment}",
        {"since": since, "stop": stop},
    ).result_rows
    named = [one for (one,) in found if any(fnmatch.fnmatchcase(one, glob) for glob in types)]
    if named:
        rows = store.query_arrow(
            f"SELECT * FROM (SELECT {_EVENT_COLUMNS} FROM {store.name}.events FINAL"
            f" WHERE {moment} AND event_type IN {{types:Array(String)}}"
            f" ORDER BY events.generated DESC LIMIT {_EVENTS_READ}) ORDER BY generated, message_id",
            {"since": since, "stop": stop, "types": named},
        )
        yield _events_of(rows)


def _latest(store: Store, query: SamplesQuery, end: int) -> Iterator[pa.Table]:
    """Yield the newest sample of every series, and what came lately."""
    columns = ", ".join(_LATEST.get(field.name, field.name) for field in SAMPLES)
    sql = f"SELECT {columns} FROM (SELECT * FROM {store.name}.latest FINAL) WHERE {query.whose()}"
    yield samples_of(store.query_arrow(sql, query.parameters()))
    yield from sliced(store, query, end)


_Group = tuple[tuple[str, ...], int, bool]  # meters, how far back, of the newest alone


def _groups(watched: Sequence[Watched]) -> dict[_Group, list[Watched]]:
    """Return selections by their meters and about how far they look back."""
    groups: dict[_Group, list[Watched]] = defaultdict(list)
    for one in watched:
        reach = one.span.bit_length() // 2  # a week is not read for what looks back an hour
        groups[one.selection.meters, reach, one.latest].append(one)
    return groups


def resources_of(group: Sequence[Watched]) -> tuple[str, ...] | None:
    """Return the resources that selections are about, where they name few."""
    named: set[str] = set()
    for one in group:
        if one.selection.resource_id is not None:
            named.add(one.selection.resource_id)
        elif one.selection.series is not None:
            named |= {resource for resource, _ in one.selection.series}
        else:
            return None
    return tuple(sorted(named)) if len(named) <= _NAMED else None


def _newest(store: Store) -> dict[str, int]:
    """Return when (ms) the newest sample of each meter is."""
    rows = store.query(
        "SELECT meter::String, toUnixTimestamp64Milli(max(newest.timestamp))"
        f" FROM {store.name}.latest GROUP BY meter"
    ).result_rows
    return {row[0]: row[1] for row in rows}


def _arrived_last(store: Store) -> dict[str, int]:
    """Return when (ms) the oldest is of the samples of each meter that arrived last."""
    rows = store.query(
        f"SELECT meter::String, toUnixTimestamp64Milli(min(timestamp)) FROM {store.name}.samples"
        f" WHERE {came(store, _LOOKED_BACK)} GROUP BY meter"
    ).result_rows
    return {row[0]: row[1] for row in rows}


def _events_of(rows: pa.Table) -> pa.Table:
    columns = []
    for field in EVENTS:
        if field.name in rows.column_names:
            columns.append(rows[field.name].combine_chunks().cast(field.type))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type).fill_null(_EMPTY[field.name]))
    return pa.table(columns, schema=EVENTS)


_EMPTY: Final[dict[str, Any]] = {
    "raw": "",
    "content": 0,
    "recorded_at": pa.scalar(0, EVENTS.field("recorded_at").type),
}
