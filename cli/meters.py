"""`streamgauge meter ...`."""

import argparse
from typing import Any

from cli.command import Listing, rows_of
from cli.query import add_limit, add_query, list_params

_COLUMNS = ("name", "type", "unit", "resource_id", "project_id", "user_id", "source")


class ListMeters(Listing):
    """List the meters there are, one row a resource."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_query(parser)
        add_limit(parser)
        parser.add_argument("--unique", action="store_true", help="one row a meter's name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = list_params(parsed_args)
        if parsed_args.unique:
            params.append(("unique", "True"))
        columns = ("name", "type", "unit") if parsed_args.unique else _COLUMNS
        return columns, rows_of(self.client().get("/v2/meters", params), columns)
