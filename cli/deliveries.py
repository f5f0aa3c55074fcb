"""`streamgauge alarm deliveries`, `delivery show` and `resend`: what became of an alarm's actions."""

import argparse
from typing import Any

from cli.alarms import add_alarm, alarm_id_of
from cli.client import Client, segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.errors import UsageError
from cli.query import add_limit

_COLUMNS = (
    "delivery_id",
    "timestamp",
    "action",
    "state",
    "attempts",
    "last_status",
    "last_error",
)
_STATES = ("pending", "delivered", "dead")
_MOST = 1000  # that are sent again at once


class ListDeliveries(Listing):
    """List deliveries of an alarm's actions, the newest first; of a deleted one by its id."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        parser.add_argument("--state", choices=_STATES, help="only those")
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        asked = {"state": parsed_args.state, "limit": parsed_args.limit}
        params = [(name, str(value)) for name, value in asked.items() if value]
        client = self.client()
        found = client.get(_path(client, parsed_args.alarm), params)
        return _COLUMNS, rows_of(found, _COLUMNS)


class ShowDelivery(Showing):
    """Show one delivery of an alarm: what was sent, and each attempt at it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        parser.add_argument("id", metavar="ID", help="as `alarm deliveries` prints it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client = self.client()
        path = _path(client, parsed_args.alarm)
        return fields_of(client.get(f"{path}/{segment(parsed_args.id)}"))


class Resend(Showing):
    """Have deliveries of an alarm go out once more, whatever became of them."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        parser.add_argument("id", metavar="ID", nargs="*", help="as `alarm deliveries` prints it")
        parser.add_argument(
            "--dead", action="store_true", help="all that were given up, 1000 at the most"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        if bool(parsed_args.id) == parsed_args.dead:
            raise UsageError("alarm resend: give either ids or --dead")
        client = self.client()
        path = _path(client, parsed_args.alarm)
        ids = _dead(client, path) if parsed_args.dead else parsed_args.id
        for name in ids:
            client.post(f"{path}/{segment(name)}/resend")
        return fields_of({"resent": len(ids)})


def _dead(client: Client, path: str) -> list[str]:
    """Return the ids of deliveries that were given up, the first ones first."""
    params = [("state", "dead"), ("sort", "timestamp:asc"), ("limit", str(_MOST))]
    return [one["delivery_id"] for one in client.get(path, params)]


def _path(client: Client, alarm: str) -> str:
    return f"/v1/alarms/{segment(alarm_id_of(client, alarm))}/deliveries"
