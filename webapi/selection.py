"""What a request of /v1 selects: series by their labels, within what the caller may see, and a time range."""

from typing import Any, Final

from store.queries.predicate import AllOf, Compare, Predicate, milliseconds
from webapi.errors import invalid_input
from webapi.fields import Args, timestamp_of
from webapi.scope import current_scope

LABELS: Final = {
    "meter": "meter",
    "project": "project_id",
    "resource": "resource_id",
    "user": "user_id",
}
# What every list takes: which rows, and which page of them.
SELECTION: Final = frozenset({*LABELS, "start", "end", "limit", "marker"})


def labels_from(args: Args) -> Predicate:
    """Return the condition on labels. Raises RequestError (401) for another's project."""
    scope = current_scope()
    wanted = {LABELS[name]: args[name] for name in LABELS if name in args}
    if not scope.admin:
        scope.check_project(wanted.setdefault("project_id", scope.only_project or ""))
    return AllOf([Compare(column, "eq", value) for column, value in wanted.items()])


def range_from(args: Args) -> tuple[int | None, int | None]:
    """Return start and end in ms, None where there is none. Raises RequestError."""
    start, end = time_from(args, "start"), time_from(args, "end")
    if start is not None and end is not None and end <= start:
        raise invalid_input("end", args["end"], "it must be later than start")
    return start, end


def time_from(args: Args, name: str) -> int | None:
    """Return a time among the arguments in ms; None where it is absent. Raises RequestError."""
    return None if name not in args else milliseconds_of(name, args[name])


def milliseconds_of(name: str, value: Any) -> int:
    """Return an ISO 8601 time in ms since 1970, at the least. Raises RequestError."""
    try:
        if not isinstance(value, str):
            raise ValueError("a time is text")
        return max(milliseconds(timestamp_of(value)), 0)
    except ValueError:
        raise invalid_input(name, value, "invalid timestamp format") from None
