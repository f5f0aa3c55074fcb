"""`streamgauge alarm ...`: which alarms there are, and their states."""

import argparse
from typing import Any

import orjson

from cli.client import Client, segment
from cli.command import Action, Listing, Showing, fields_of, rows_of
from cli.errors import CommandError
from cli.query import add_limit, add_query, list_params

_COLUMNS = ("alarm_id", "name", "type", "state", "severity", "enabled")
STATES = ("ok", "alarm", "insufficient data")


class ListAlarms(Listing):
    """List alarms, the newest definition first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_query(parser)
        add_limit(parser)
        parser.add_argument(
            "--sort-by", metavar="FIELD[:asc|desc]", action="append", default=[], help="the order"
        )
        parser.add_argument("--marker", metavar="ID", help="those after this one")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = [*list_params(parsed_args), *(("sort", one) for one in parsed_args.sort_by)]
        if parsed_args.marker:
            params.append(("marker", parsed_args.marker))
        return _COLUMNS, rows_of(self.client().get("/v2/alarms", params), _COLUMNS)


class ShowAlarm(Showing):
    """Show one alarm with its rule."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return alarm_fields(find_alarm(self.client(), parsed_args.alarm))


class DeleteAlarms(Action):
    """Delete alarms; their history stays."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("alarm", metavar="ALARM", nargs="+", help="id or name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        client = self.client()
        for name in parsed_args.alarm:
            client.delete(f"/v2/alarms/{segment(find_alarm(client, name)['alarm_id'])}")


class GetState(Showing):
    """Show the state of an alarm."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        alarm = find_alarm(self.client(), parsed_args.alarm)
        told = ("state", "state_timestamp", "state_reason")
        return fields_of({name: alarm[name] for name in told})


class SetState(Showing):
    """Set the state of an alarm by hand; no action is called."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        parser.add_argument("state", choices=STATES, help="the new state")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client = self.client()
        path = f"/v2/alarms/{segment(find_alarm(client, parsed_args.alarm)['alarm_id'])}/state"
        return fields_of({"state": client.put(path, parsed_args.state)})


def add_alarm(parser: argparse.ArgumentParser) -> None:
    """Add the alarm that a command is about."""
    parser.add_argument("alarm", metavar="ALARM", help="id or name")


def find_alarm(client: Client, name: str) -> dict[str, Any]:
    """Return the one alarm of this id or name. Raises CommandError."""
    alarm = find_perhaps(client, name)
    if alarm is None:
        raise CommandError(f"{name}: no such alarm")
    return alarm


def find_perhaps(client: Client, name: str) -> dict[str, Any] | None:
    """Return the one alarm of this id or name; None where there is none. Raises CommandError."""
    either = {"or": [{"=": {"alarm_id": name}}, {"=": {"name": name}}]}
    found = client.post("/v2/query/alarms", {"filter": orjson.dumps(either).decode()})
    if len(found) > 1:
        raise CommandError(f"{name}: there are several alarms of this name, give an id")
    return found[0] if found else None


def alarm_id_of(client: Client, name: str) -> str:
    """Return the id of the alarm of this id or name; of a deleted one there is its id alone."""
    alarm = find_perhaps(client, name)
    return str(alarm["alarm_id"]) if alarm else name


def alarm_fields(alarm: dict[str, Any]) -> Any:
    """Return the names and values of an alarm, its rule as JSON where it is a tree."""
    if alarm["type"] == "composite":
        alarm = alarm | {"composite_rule": orjson.dumps(alarm["composite_rule"]).decode()}
    return fields_of(alarm)
