"""Statistics over a meter's samples: /v2/meters/{name}/statistics.

Without aggregates the standard ones are answered (min, max, avg, sum, count); with them those alone,
the standard ones also by their own name.
"""

import datetime as dt
import time
from typing import Any, Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.predicate import AllOf, Compare
from store.queries.statistics import (
    AGGREGATES,
    COUNTABLE,
    GROUPS,
    STANDARD,
    Aggregate,
    StatisticsQuery,
    metadata_key,
)
from store.queries.windowed import over_windows, reach_query
from webapi.errors import RequestError, invalid_input, unknown_argument
from webapi.fields import QUERY, Args, check_arguments, conditions_from, integer_from
from webapi.scope import current_scope
from webapi.services import fetch, fetch_recent, services
from webapi.simple_query import SAMPLE_FIELDS, SimpleQuery, simple_query

bp: Final = Blueprint("statistics", __name__, url_prefix="/v2/meters")

_ARGUMENTS: Final = QUERY | {"groupby", "period", "aggregate.func", "aggregate.param"}
_LONGEST: Final = 100 * 366 * 86400  # s, of a period
_LONG: Final = 86_400_000  # ms; of less time the samples tell as soon as the windows
_MOST: Final = 20  # groups, and aggregates
_EPOCH: Final = dt.datetime(1970, 1, 1)


@bp.get("/<meter>/statistics")
def get_statistics(meter: str) -> ResponseReturnValue:
    """Statistics a period and group. 400: a bad field, operator, group, aggregate or period."""
    check_arguments(request.args, _ARGUMENTS)
    asked = simple_query(conditions_from(request.args), SAMPLE_FIELDS, current_scope())
    where = AllOf([Compare("meter", "eq", meter), asked.where])
    selected = aggregates_from(request.args)
    aggregates = selected or [Aggregate(name) for name in STANDARD]
    groupby, period = groups_from(request.args), period_from(request.args)
    most = services().config.api.max_limit
    rows = _rows(StatisticsQuery(where, aggregates, groupby, period, asked.first, most + 1))
    if len(rows) > most:
        raise RequestError(f"More than {most} statistics (api.max_limit); ask for a longer period")
    names = [one.name for one in aggregates]
    # Without a group there is a row even over no samples at all.
    return [_statistics(row, groupby, names, bool(selected), period, asked) for row in rows]


def groups_from(args: Args) -> list[str]:
    """Return the fields to group by, each once. Raises RequestError."""
    found = list(dict.fromkeys(args.getlist("groupby")))
    for field in found:
        if field not in GROUPS and metadata_key(field) is None:
            raise unknown_argument(field, "Invalid groupby fields")
    if len(found) > _MOST:
        raise RequestError(f"At most {_MOST} groupby fields can be asked for")
    return found


def aggregates_from(args: Args) -> list[Aggregate]:
    """Return the aggregates asked for, each once; parameters go with functions by position. Raises RequestError."""
    funcs, params = args.getlist("aggregate.func"), args.getlist("aggregate.param")
    if len(params) > len(funcs):
        raise RequestError("Every aggregate.param needs its aggregate.func")
    params += [""] * (len(funcs) - len(params))
    found = list(dict.fromkeys(map(_aggregate, funcs, params)))
    if len(found) > _MOST:
        raise RequestError(f"At most {_MOST} aggregates can be asked for")
    return found


def period_from(args: Args) -> int:
    """Return the period in seconds; 0 where there is none. Raises RequestError."""
    period = integer_from(args, "period") or 0
    if period < 0:
        raise RequestError("Period must be positive.")
    if period > _LONGEST:
        raise RequestError(f"Invalid period {period}: it is longer than a hundred years")
    return period


def _rows(query: StatisticsQuery) -> list[dict[str, Any]]:
    """Return the statistics, from usage windows where they answer the same sooner.

    What windows there are may be a second old: what was final stays so, and of the rest samples tell.
    """
    reach = reach_query(query)
    if reach is None or min(reach.high, time.time_ns() // 1_000_000) - reach.low < _LONG:
        return fetch(query)
    return fetch(over_windows(query, reach, fetch_recent(reach)[0]))


def _aggregate(func: str, param: str) -> Aggregate:
    if func == "cardinality":
        if param not in COUNTABLE:
            raise invalid_input(
                "aggregate.param", param, f"cardinality takes one of: {', '.join(COUNTABLE)}"
            )
        return Aggregate(func, param)
    if func not in AGGREGATES:
        known = ", ".join((*AGGREGATES, "cardinality"))
        raise invalid_input("aggregate.func", func, f"Value should be one of: {known}")
    return Aggregate(func)


def _statistics(
    row: dict[str, Any],
    groupby: list[str],
    names: list[str],
    selected: bool,
    period: int,
    asked: SimpleQuery,
) -> dict[str, Any]:
    values = {name: row[f"aggregate{i}"] for i, name in enumerate(names)}
    answer = {name: value for name, value in values.items() if name in STANDARD}
    if selected:
        answer["aggregate"] = {name: float(value) for name, value in values.items()}
    groups = {field: row[f"group{i}"] for i, field in enumerate(groupby)}
    groups |= {field: None for field in GROUPS if groups.get(field) == ""}  # an unknown owner
    start, end = row["first"], row["last"]
    if period:
        start = _EPOCH + dt.timedelta(milliseconds=row["origin_"], seconds=row["bucket"] * period)
        end = start + dt.timedelta(seconds=period)
    return {
        "unit": row["unit_"],
        **answer,
        "groupby": groups or None,
        "period": period,
        "period_start": start,
        "period_end": end,
        **_duration(row["first"], row["last"], asked),
    }


def _duration(
    first: dt.datetime, last: dt.datetime, asked: SimpleQuery
) -> dict[str, dt.datetime | float | None]:
    """Return the time between the first and last sample, within the range asked for."""
    start = max(first, asked.start) if asked.start else first
    end = min(last, asked.end) if asked.end else last
    if start > end:  # all samples lie in the offset around the range
        return dict.fromkeys(("duration", "duration_start", "duration_end"))
    seconds = (end - start).total_seconds()
    return {"duration": seconds, "duration_start": start, "duration_end": end}
