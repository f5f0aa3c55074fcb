"""From a simple query to the predicate on samples, meters or resources, and what its times bound.

Source: Ceilometer's v2 API: everything but timestamps is compared by `eq` alone; `search_offset`
    widens the time range by minutes at both ends.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Final

from store.queries.predicate import AllOf, Compare, CompareMetadata, Predicate
from store.queries.statistics import metadata_key
from webapi.errors import invalid_input, unknown_argument
from webapi.fields import Condition, timestamp_of
from webapi.sample_id import id_predicate
from webapi.scope import Scope

SAMPLE_FIELDS: Final = ("meter", "message_id", "project", "resource", "source", "user")
METER_FIELDS: Final = ("meter", "project", "resource", "source", "user")
RESOURCE_FIELDS: Final = ("project", "resource", "source", "user")
_COLUMNS: Final = {"project": "project_id", "resource": "resource_id", "user": "user_id"}
_SHORT: Final = {column: name for name, column in _COLUMNS.items()}
_STARTS: Final = ("ge", "gt")
_TIME_OPS: Final = (*_STARTS, "le", "lt")
_MOST_OFFSET: Final = 100 * 365 * 24 * 60  # minutes


@dataclasses.dataclass(frozen=True, slots=True)
class SimpleQuery:
    """A simple query that has been checked."""

    where: AllOf
    start: dt.datetime | None  # as asked, without search_offset
    end: dt.datetime | None
    offset: dt.timedelta

    @property
    def first(self) -> dt.datetime | None:
        """The first time that is looked at."""
        return None if self.start is None else _moved(self.start, -self.offset)

    @property
    def timed(self) -> bool:
        """Whether times are bounded."""
        return self.start is not None or self.end is not None


def simple_query(
    conditions: Sequence[Condition], known: Sequence[str], scope: Scope, times: bool = True
) -> SimpleQuery:
    """Return the query of these conditions on these fields, within what the caller may see.

    Raises RequestError: an unknown field, an operator it does not have, a value that is no time,
    another project.
    """
    offset = _offset([one for one in conditions if one.field == "search_offset"], times)
    timestamps = [one for one in conditions if one.field == "timestamp"]
    if timestamps and not times:
        raise unknown_argument("timestamp", "not valid for this resource")
    if offset is not None and not timestamps:
        raise invalid_input(
            "field", "search_offset", "search_offset cannot be used without timestamp"
        )
    widened = offset or dt.timedelta()
    parts = [_scoped(scope)] if not scope.admin else []
    parts += [_time(one, widened) for one in timestamps]
    others = [one for one in conditions if one.field not in ("timestamp", "search_offset")]
    parts += [_equal(one, known, scope) for one in others]
    start, end = (_bound(timestamps, ops) for ops in (_STARTS, ("le", "lt")))
    return SimpleQuery(AllOf(parts), start, end, widened)


def _scoped(scope: Scope) -> Predicate:
    return Compare("project_id", "eq", scope.only_project or "")


def _equal(one: Condition, known: Sequence[str], scope: Scope) -> Predicate:
    name = _SHORT.get(one.field, one.field)
    key = metadata_key(one.field)
    if key is None and name not in known:
        valid = sorted({*known, *(_COLUMNS[n] for n in known if n in _COLUMNS)})
        raise unknown_argument(one.field, f"unrecognized field in query, valid keys: {valid}")
    if one.op != "eq":
        raise invalid_input("op", one.op, f"unimplemented operator for {one.field}")
    if key is not None:
        return CompareMetadata(key, "eq", one.typed())
    if name == "project":
        scope.check_project(one.value)
    if name == "message_id":
        return id_predicate(one.value)
    return Compare(_COLUMNS.get(name, name), "eq", one.value)


def _time(one: Condition, offset: dt.timedelta) -> Predicate:
    if one.op not in _TIME_OPS:
        raise invalid_input("op", one.op, "unimplemented operator for timestamp")
    time = _timestamp(one)
    return Compare("timestamp", one.op, _moved(time, -offset if one.op in _STARTS else offset))


def _timestamp(one: Condition) -> dt.datetime:
    try:
        return timestamp_of(one.value)
    except ValueError:
        raise invalid_input("timestamp", one.value, "invalid timestamp format") from None


def _bound(timestamps: Sequence[Condition], ops: Sequence[str]) -> dt.datetime | None:
    times = [_timestamp(one) for one in timestamps if one.op in ops]
    return times[-1] if times else None


def _offset(found: Sequence[Condition], times: bool) -> dt.timedelta | None:
    if not found:
        return None
    one = found[-1]
    if not times:
        raise unknown_argument("search_offset", "not valid for this resource")
    if one.op != "eq":
        raise invalid_input("op", one.op, "unimplemented operator for search_offset")
    try:
        minutes = int(one.value[:20])
    except ValueError:
        raise invalid_input("search_offset", one.value, "unable to convert to int") from None
    if not 0 <= minutes <= _MOST_OFFSET:
        raise invalid_input("search_offset", one.value, "it is minutes, from 0 to a hundred years")
    return dt.timedelta(minutes=minutes)


def _moved(time: dt.datetime, by: dt.timedelta) -> dt.datetime:
    try:
        return time + by
    except OverflowError:
        return dt.datetime.min if by < dt.timedelta() else dt.datetime.max
