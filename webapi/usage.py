"""Usage windows, and what is missing from them: /v1/usage and /v1/usage/gaps."""

import time
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from store.queries.gaps import GapQuery
from store.queries.usage import GROUPS, GroupedUsageQuery, UsageQuery, UsageScope
from webapi.errors import invalid_input, unknown_argument
from webapi.fields import Args, boolean_from, check_arguments, integer_from, limit_from
from webapi.pages import page
from webapi.selection import SELECTION, labels_from, range_from, time_from
from webapi.services import services

bp: Final = Blueprint("usage", __name__, url_prefix="/v1/usage")

_ARGUMENTS: Final = SELECTION | {"period", "groupby", "as_of", "only_final"}
_DAY: Final = 86_400_000  # ms
_LAST_SECOND: Final = 2**32 - 1


@bp.get("")
def get_usage() -> ResponseReturnValue:
    """Usage rows, or their sums by group. 400: a bad period, time, group or marker."""
    check_arguments(request.args, _ARGUMENTS)
    scope, groupby = _scope_from(request.args), _groups_from(request.args)
    limit = limit_from(request.args) + 1
    if groupby:
        return page("usage", GroupedUsageQuery(scope, groupby, limit))
    return page("usage", UsageQuery(scope, limit))


@bp.get("/gaps")
def get_gaps() -> ResponseReturnValue:
    """What is missing in a range, by default the last day. 400: a bad time or marker."""
    check_arguments(request.args, SELECTION)
    start, end = _past_range(request.args)
    usage, limit = services().config.usage, limit_from(request.args) + 1
    max_gap = round(usage.max_gap * 1000)
    where, period = labels_from(request.args), min(usage.periods)
    ends = usage.ends, usage.ends_by_meter
    return page("gaps", GapQuery(where, period, start, end, max_gap, *ends, limit))


def _scope_from(args: Args) -> UsageScope:
    start, end = (None if ms is None else _second(ms) for ms in range_from(args))
    as_of, only_final = time_from(args, "as_of"), boolean_from(args, "only_final")
    return UsageScope(labels_from(args), _period_from(args), start, end, as_of, only_final)


def _second(ms: int) -> int:
    """Return the first whole second at or after a time: windows begin at whole seconds."""
    return min(-(-ms // 1000), _LAST_SECOND)


def _period_from(args: Args) -> int:
    periods = sorted(services().config.usage.periods)
    period = integer_from(args, "period")
    if period is None:
        return periods[0]
    if period not in periods:
        told = ", ".join(map(str, periods))
        raise invalid_input("period", period, f"usage.periods has these, in seconds: {told}")
    return period


def _groups_from(args: Args) -> list[str]:
    found = list(dict.fromkeys(args.getlist("groupby")))
    for field in found:
        if field not in GROUPS:
            raise unknown_argument(field, f"groupby takes {', '.join(GROUPS)}")
    return found


def _past_range(args: Args) -> tuple[int, int]:
    """Return start and end in ms: nothing is missing yet from what is to come."""
    start, end = range_from(args)
    now = time.time_ns() // 1_000_000
    until = now if end is None else min(end, now)
    since = until - _DAY if start is None else start
    return min(since, until), until
