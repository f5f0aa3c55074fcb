"""`streamgauge event ...`."""

import argparse
from typing import Any

from cli.client import segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.query import add_limit, add_query, list_params

_COLUMNS = ("message_id", "event_type", "generated")


class ListEvents(Listing):
    """List events; a condition on any other field is one on a trait."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_query(parser)
        add_limit(parser)
        parser.add_argument("--traits", action="store_true", help="a column with the traits")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.client().get("/v2/events", list_params(parsed_args))
        if not parsed_args.traits:
            return _COLUMNS, rows_of(found, _COLUMNS)
        rows = [event | {"traits": _traits(event)} for event in found]
        return (*_COLUMNS, "traits"), rows_of(rows, (*_COLUMNS, "traits"))


class ShowEvent(Showing):
    """Show one event with its traits."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("message_id", metavar="ID", help="as `event list` prints it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.client().get(f"/v2/events/{segment(parsed_args.message_id)}")
        return fields_of(found | {"traits": _traits(found)})


def _traits(event: dict[str, Any]) -> dict[str, Any]:
    return {trait["name"]: trait["value"] for trait in event.get("traits") or []}
