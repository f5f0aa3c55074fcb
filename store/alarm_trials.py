"""What a dry run and an explanation read: stored samples, events, and the states that other alarms had.

Errors: StoreAwayError; DefinitionError for more than can be looked at.
"""

from typing import Final

import orjson
import pyarrow as pa

from metering.alarms.definition import Alarm
from metering.alarms.evaluation_types import watched_by
from metering.alarms.faults import DefinitionError
from metering.alarms.matching import Matcher
from metering.alarms.matching_index import Watched
from metering.alarms.rules import AbsenceRule, EventRule
from metering.alarms.states import State
from metering.batches import together
from metering.schema import EVENTS, SAMPLES
from store.alarm_samples import (
    SamplesQuery,
    count_in,
    recalled,
    resources_of,
    samples_in,
    stored_events,
)
from store.client import Store

_MOST: Final = 200_000  # samples


def samples_between(store: Store, alarm: Alarm, start: int, stop: int) -> pa.Table:
    """Return the stored samples (SAMPLES) that an alarm would look at from a time to another (ms)."""
    tables = [SAMPLES.empty_table()]
    left = _MOST
    queries = {_query(one, start, stop) for one in watched_by(alarm)}
    for query in sorted(queries, key=str):
        left -= count_in(store, query)
        if left < 0:
            raise DefinitionError(
                f"That looks at more than {_MOST:,} samples: ask for less time, or for fewer resources."
            )
        tables.append(samples_in(store, query))
    return together(tables)


def samples_now(store: Store, alarm: Alarm, now: int) -> pa.Table:
    """Return the stored samples (SAMPLES) that an alarm looks at now (ms)."""
    matcher = Matcher()
    matcher.index.watch(watched_by(alarm))
    tables, left = [SAMPLES.empty_table()], _MOST
    for one in recalled(store, watched_by(alarm), now):
        for table in one.tables:
            some = table.filter(pa.array(matcher.takes(table)))
            left -= some.num_rows
            if left < 0:
                raise DefinitionError(f"The alarm looks at more than {_MOST:,} samples.")
            tables.append(some)
    return together(tables)


def events_between(store: Store, alarm: Alarm, start: int, stop: int) -> pa.Table:
    """Return the stored events (EVENTS) that an alarm would look at, in order of time."""
    rule, types, since = alarm.rule, list[str](), start
    if isinstance(rule, EventRule):
        types = [rule.event_type]
    elif isinstance(rule, AbsenceRule) and rule.event_type is not None:
        types = [rule.event_type, rule.followed_by.event_type if rule.followed_by else "*"]
        since = start - 2 * rule.within * 1000
    tables = stored_events(store, types, max(since, 0), stop) if types else iter(())
    return pa.concat_tables([EVENTS.empty_table(), *tables])


def states_between(store: Store, alarm: Alarm, stop: int) -> list[tuple[int, str, State]]:
    """Return the states that the alarms went to that an alarm looks at: (ms, alarm, state), in order."""
    if not alarm.alarm_ids():
        return []
    rows = store.query(
        "SELECT toUnixTimestamp64Milli(timestamp), alarm_id, detail"
        f" FROM {store.name}.alarm_history FINAL WHERE alarm_id IN {{ids:Array(String)}}"
        " AND type = 'state transition'"
        " AND timestamp < fromUnixTimestamp64Milli({stop:Int64}, 'UTC')"
        f" ORDER BY timestamp, version LIMIT {_MOST}",
        {"ids": list(alarm.alarm_ids()), "stop": stop},
    ).result_rows
    return [(at, alarm_id, orjson.loads(detail)["state"]) for at, alarm_id, detail in rows]


def _query(one: Watched, start: int, stop: int) -> SamplesQuery:
    begin = max(start - one.span, 0)
    return SamplesQuery(one.selection.meters, resources_of([one]), begin, stop)
