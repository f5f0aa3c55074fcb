"""`streamgauge alarm create`, `update` and `dry-run`: definitions from options."""

import argparse
from typing import Any

import orjson

from cli.alarms import STATES, add_alarm, alarm_fields, find_alarm
from cli.client import segment
from cli.command import Listing, Showing, rows_of
from cli.errors import UsageError

_TYPES = (
    "threshold",
    "gnocchi_resources_threshold",
    "gnocchi_aggregation_by_resources_threshold",
    "gnocchi_aggregation_by_metrics_threshold",
    "event",
    "composite",
    "combination",
    "loadbalancer_member_health",
    "absence",
)
_TRANSITION = ("at", "previous", "current", "reason")
_PLAIN = ("description", "severity", "state", "enabled", "repeat_actions")
_ACTIONS = ("ok_actions", "alarm_actions", "insufficient_data_actions")


class CreateAlarm(Showing):
    """Create an alarm."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_definition(parser, needed=True)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return alarm_fields(self.client().post("/v2/alarms", _definition(parsed_args)))


class UpdateAlarm(Showing):
    """Change an alarm: what is given replaces what there is."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        _add_definition(parser, needed=False)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client = self.client()
        alarm = find_alarm(client, parsed_args.alarm)
        kind = parsed_args.type or alarm["type"]
        changes = _definition(parsed_args, kind)
        if kind != alarm["type"]:
            del alarm[f"{alarm['type']}_rule"]
        path = f"/v2/alarms/{segment(alarm['alarm_id'])}"
        return alarm_fields(client.put(path, alarm | changes))


class DryRun(Listing):
    """List the transitions that a definition would have made of stored samples."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_definition(parser, needed=True)
        parser.add_argument("--start", metavar="TIME", required=True, help="ISO 8601, UTC")
        parser.add_argument("--end", metavar="TIME", required=True, help="ISO 8601, UTC")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        body = {"alarm": _definition(parsed_args)}
        times = {"start": parsed_args.start, "end": parsed_args.end}
        found = self.client().post("/v1/alarms/dry-run", body | times)["transitions"]
        return _TRANSITION, rows_of(found, _TRANSITION)


def _add_definition(parser: argparse.ArgumentParser, needed: bool) -> None:
    parser.add_argument("--name", metavar="NAME", required=needed, help="unique in its project")
    parser.add_argument("--type", choices=_TYPES, required=needed, help="what the rule looks at")
    parser.add_argument(
        "--rule",
        metavar="JSON",
        required=needed,
        help='the rule, such as {"meter_name": "cpu_util", "threshold": 80}',
    )
    parser.add_argument("--description", metavar="TEXT", help="any text")
    parser.add_argument(
        "--severity", choices=("low", "moderate", "critical"), help="told to actions"
    )
    parser.add_argument("--state", choices=STATES, help="the state it is in")
    parser.add_argument("--enabled", choices=("true", "false"), help="whether it is evaluated")
    parser.add_argument(
        "--repeat-actions", choices=("true", "false"), help="whether actions are called again"
    )
    for field in _ACTIONS:
        option = f"--{field.removesuffix('s').replace('_', '-')}"
        parser.add_argument(
            option, dest=field, metavar="URL", action="append", help="called then; repeat it"
        )
    parser.add_argument(
        "--time-constraint",
        metavar="JSON",
        action="append",
        help='when it is evaluated, such as {"name": "n", "start": "0 23 * * *", "duration": 3600}; repeat it',
    )


def _definition(parsed: argparse.Namespace, kind: str | None = None) -> dict[str, Any]:
    """Return what the options say of an alarm. Raises UsageError."""
    fields = ("name", "type", *_PLAIN, *_ACTIONS)
    said = {field: getattr(parsed, field) for field in fields}
    if parsed.rule is not None:
        said[f"{kind or parsed.type}_rule"] = _json("--rule", parsed.rule)
    if parsed.time_constraint:
        constraints = [_json("--time-constraint", text) for text in parsed.time_constraint]
        said["time_constraints"] = constraints
    return {field: value for field, value in said.items() if value is not None}


def _json(option: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{option} {text}: it is no JSON: {error}") from error
