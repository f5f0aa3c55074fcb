"""`streamgauge usage ...`: usage windows, what is missing from them, and working them out again."""

import argparse
from typing import Any

from cli.command import Listing, rows_of
from cli.selection import Selecting, add_range, add_selection, given, selection_params

_NAMED = ("meter", "resource_id", "project_id", "segment", "start")
_SHORT = ("usage", "unit", "average", "complete", "state")
_LONG = (
    *("meter", "type", "unit", "resource_id", "project_id", "user_id", "segment", "period"),
    *("start", "end", "count", "first", "last", "sum", "min", "max", "average", "usage"),
    *("covered", "expected", "complete", "state", "version"),
)
_SUMS = ("rows", "usage", "unit", "average", "covered", "state")
_LONG_SUMS = (
    *("type", "unit", "period", "start", "end", "rows", "count", "sum", "min", "max"),
    *("average", "usage", "covered", "state", "version"),
)
_GAPS = ("meter", "resource_id", "project_id", "from", "to", "why", "missing")
_CHANGES = ("meter", "project_id", "period", "rows", "before", "after")


class ListUsage(Selecting):
    """List what series used in each window, or the sums by group."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_selection(parser)
        parser.add_argument(
            "--period", type=int, metavar="SECONDS", help="of the windows; the shortest by default"
        )
        parser.add_argument(
            "--groupby",
            metavar="FIELD",
            action="append",
            default=[],
            help="add up: meter, project_id, user_id, resource_id, segment or start; repeat it",
        )
        parser.add_argument("--as-of", metavar="TIME", help="as known then; ISO 8601, UTC")
        parser.add_argument("--only-final", action="store_true", help="final windows alone")
        parser.add_argument("--long", action="store_true", help="every column")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = selection_params(parsed_args) + given(vars(parsed_args), ("period", "as_of"))
        params += [("groupby", field) for field in parsed_args.groupby]
        if parsed_args.only_final:
            params.append(("only_final", "true"))
        found = self.rows("/v1/usage", "usage", params, parsed_args.limit)
        columns = _columns(parsed_args.groupby, parsed_args.long)
        return columns, rows_of(found, columns)


class ListGaps(Selecting):
    """List what is missing, in the last day by default: from when, to when, and why."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_selection(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = selection_params(parsed_args)
        return _GAPS, rows_of(self.rows("/v1/usage/gaps", "gaps", params, parsed_args.limit), _GAPS)


class RestateUsage(Listing):
    """Work usage out again from stored samples and show what differs; --apply writes it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_range(parser, required=True)
        parser.add_argument("--meter", metavar="NAME", help="of this meter only")
        parser.add_argument("--project", metavar="ID", help="of this project only")
        parser.add_argument("--apply", action="store_true", help="write what differs")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        asked = {name: getattr(parsed_args, name) for name in ("start", "end", "meter", "project")}
        found = self.client().post("/v1/usage/restate", asked | {"apply": parsed_args.apply})
        told = "written as new versions" if found["applied"] else "not written: --apply does that"
        print(f"{found['rows']} rows differ; {told}", file=self.app.stderr)
        return _CHANGES, rows_of(found["sums"], _CHANGES)


def _columns(groupby: list[str], everything: bool) -> tuple[str, ...]:
    if not groupby:
        return _LONG if everything else (*_NAMED, *_SHORT)
    return tuple(dict.fromkeys([*groupby, "meter", *(_LONG_SUMS if everything else _SUMS)]))
