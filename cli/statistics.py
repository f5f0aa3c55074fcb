"""`streamgauge statistics`."""

import argparse
from typing import Any

from cli.client import Params, segment
from cli.command import Listing
from cli.query import add_query, query_params

_PERIOD = ("period", "period_start", "period_end")
_FIGURES = ("count", "min", "max", "sum", "avg", "unit", "duration_start", "duration_end")


class Statistics(Listing):
    """Count, least, greatest, sum and average of a meter's samples."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("meter", metavar="METER", help="what is measured, such as cpu")
        add_query(parser)
        parser.add_argument("--period", type=int, metavar="SECONDS", help="one row each so many")
        parser.add_argument(
            "--groupby",
            metavar="FIELD",
            action="append",
            default=[],
            help="project_id, user_id, resource_id, source or resource_metadata.*; repeat it",
        )
        parser.add_argument(
            "--aggregate",
            metavar="FUNC[:PARAM]",
            action="append",
            default=[],
            help="avg, count, max, min, sum, stddev or cardinality:FIELD instead; repeat it",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        path = f"/v2/meters/{segment(parsed_args.meter)}/statistics"
        found = self.client().get(path, _params(parsed_args))
        groups = tuple(parsed_args.groupby)
        figures = tuple(parsed_args.aggregate) or _FIGURES
        columns = (_PERIOD if parsed_args.period else ()) + groups + figures
        return columns, [tuple(_value(row, column) for column in columns) for row in found]


def _params(parsed: argparse.Namespace) -> Params:
    params = query_params(parsed.query)
    if parsed.period:
        params.append(("period", str(parsed.period)))
    params += [("groupby", field) for field in parsed.groupby]
    for text in parsed.aggregate:
        func, _, param = text.partition(":")
        # An empty one is sent too: the two align by position.
        params += [("aggregate.func", func), ("aggregate.param", param)]
    return params


def _value(row: dict[str, Any], column: str) -> Any:
    """Return a figure; groups and chosen aggregates stand in mappings of their own."""
    for part in ("groupby", "aggregate"):
        inner = row.get(part) or {}
        if column.replace(":", "/") in inner:
            return inner[column.replace(":", "/")]
    return row.get(column)
