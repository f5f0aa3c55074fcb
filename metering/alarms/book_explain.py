"""Why an alarm is in its state: the periods that its rule looks at, and the samples in them.

Shape: an alarm, stored samples, a moment -> JSON-ready.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from metering.alarms.buckets import Buckets
from metering.alarms.buckets_partials import rows_of
from metering.alarms.buckets_verdicts import BEFORE_ALL, Moment
from metering.alarms.definition import Alarm
from metering.alarms.evaluation import Part, States
from metering.alarms.evaluation_types import evaluator_of, watched_by
from metering.alarms.matching import Matcher
from metering.alarms.states import UNKNOWN, AlarmState
from metering.timestamps import iso

_SHOWN: Final = 1000  # samples, the newest
_FIELDS: Final = ("timestamp", "meter", "resource_id", "project_id", "volume")


def explained(
    alarm: Alarm, state: AlarmState, samples: pa.Table, moment: Moment, states: States
) -> dict[str, Any]:
    """Return what an alarm's rule says of stored samples (SAMPLES), and by what.

    `states` are those of other alarms. An alarm on events has nothing but the reason of its state.
    """
    told: dict[str, Any] = {
        "state": state.state,
        "reason": state.reason,
        "reason_data": state.reason_data,
        "now": iso(moment.now),
        "watermark": None if moment.watermark is None else iso(moment.watermark),
        "alarms": {one: states.get(one, UNKNOWN) for one in alarm.alarm_ids()},
    }
    evaluator = evaluator_of(alarm)
    if evaluator is None:
        return told | {"evaluated": None, "rules": [], "samples": []}
    matcher = Matcher()
    matcher.index.watch(watched_by(alarm))
    for row in rows_of(matcher.partials(samples)):
        evaluator.parts[row.part].add(row.series, row.bucket, row.added, moment.now)
    found = evaluator.present(moment, states)
    after = found.after(state.state)
    reason, _ = found.reason(state.state, after)
    rules = {str(nth + 1): _part_json(part, moment) for nth, part in evaluator.parts.items()}
    begin = min((one["begin"] for one in rules.values()), default=0)
    return told | {
        "evaluated": {"state": after, "reason": reason, "waits": found.waits},
        "rules": [{"rule": f"rule{nth}"} | one["told"] for nth, one in rules.items()],
        "samples": _samples_json(_matched(matcher, samples), begin),
    }


def _part_json(part: Part, moment: Moment) -> Mapping[str, Any]:
    if not isinstance(part, Buckets):
        last = None if part.newest == BEFORE_ALL else iso(part.newest)
        return {"begin": part.newest, "told": {"last": last}}
    periods = part.looked_at(moment)
    told = [
        {
            **dataclasses.asdict(one),
            "start": iso(one.start),
            "end": iso(one.end),
            "breaches": None if one.value is None else part.rule.outside(one.value),
        }
        for one in periods
    ]
    begin = min((one.start for one in periods), default=0)
    return {"begin": begin, "told": {"periods": told}}


def _matched(matcher: Matcher, samples: pa.Table) -> pa.Table:
    return samples.filter(pa.array(matcher.takes(samples)))


def _samples_json(samples: pa.Table, begin: int) -> list[dict[str, Any]]:
    times = samples["timestamp"].cast(pa.int64())
    some = samples.filter(pc.greater_equal(times, begin)).select(_FIELDS)
    newest = some.sort_by([("timestamp", "descending")]).slice(0, _SHOWN)
    at = newest["timestamp"].cast(pa.int64())
    rows = newest.set_column(0, "timestamp", at).to_pylist()
    return [row | {"timestamp": iso(row["timestamp"])} for row in reversed(rows)]
