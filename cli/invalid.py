"""`streamgauge invalid ...`: what was refused, why, and feeding it again."""

import argparse
from typing import Any

from cli.client import Params, segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.errors import UsageError
from cli.query import add_limit

_COLUMNS = ("id", "recorded_at", "feed", "reason", "detail", "size", "redriven_at")
_MOST = 1000  # that the API feeds again at once


class ListInvalid(Listing):
    """List refused payloads and samples, the newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_reason(parser)
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return _COLUMNS, rows_of(self.client().get("/v1/invalid", _params(parsed_args)), _COLUMNS)


class ShowInvalid(Showing):
    """Show one refused payload, as much of it as was kept."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("id", metavar="ID", help="as `invalid list` prints it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return fields_of(self.client().get(f"/v1/invalid/{segment(parsed_args.id)}"))


class RedriveInvalid(Showing):
    """Feed refused payloads again, once what was wrong has been mended."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("id", metavar="ID", nargs="*", help="as `invalid list` prints it")
        parser.add_argument(
            "--all", action="store_true", help="all that were not fed again yet, 1000 at the most"
        )
        _add_reason(parser)
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        if bool(parsed_args.id) == parsed_args.all:
            raise UsageError("invalid redrive: give either ids or --all")
        if parsed_args.all:
            wanted = {"reason": parsed_args.reason, "limit": parsed_args.limit or _MOST}
            body = {name: value for name, value in wanted.items() if value}
            return fields_of(self.client().post("/v1/invalid/redrive", body))
        for name in parsed_args.id:
            self.client().post(f"/v1/invalid/{segment(name)}/redrive")
        return fields_of({"redriven": len(parsed_args.id)})


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="WORD", help="refused for this reason only")


def _params(parsed: argparse.Namespace) -> Params:
    params = {"reason": parsed.reason, "limit": parsed.limit}
    return [(name, str(value)) for name, value in params.items() if value]
