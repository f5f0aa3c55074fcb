"""`streamgauge resource ...`."""

import argparse
from typing import Any

from cli.client import segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.query import add_limit, add_query, list_params

_COLUMNS = (
    "resource_id",
    "project_id",
    "user_id",
    "source",
    "first_sample_timestamp",
    "last_sample_timestamp",
)


class ListResources(Listing):
    """List what was measured."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_query(parser)
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = [*list_params(parsed_args), ("meter_links", "0")]
        return _COLUMNS, rows_of(self.client().get("/v2/resources", params), _COLUMNS)


class ShowResource(Showing):
    """Show one resource: its owner, its metadata and the meters it has."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("id", metavar="ID", help="the resource's id")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.client().get(f"/v2/resources/{segment(parsed_args.id)}")
        links = found.pop("links", None) or []
        meters = sorted(link["rel"] for link in links if link.get("rel") != "self")
        return fields_of(found | {"meters": meters})
