"""`streamgauge alarm history`, `explain` and `quota`: what became of alarms, and how many there may be."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from cliff.columns import FormattableColumn

from cli.alarms import add_alarm, alarm_id_of, find_alarm
from cli.client import segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.query import add_limit

_COLUMNS = ("timestamp", "type", "detail", "user_id", "event_id")


class _Rules(FormattableColumn[list[dict[str, Any]]]):
    """The periods of rules, a line each; as they are told for machines."""

    def human_readable(self) -> str:
        return "\n".join(line for rule in self._value for line in _rule_lines(rule))


class _Samples(FormattableColumn[list[dict[str, Any]]]):
    """Samples, a line each; as they are told for machines."""

    def human_readable(self) -> str:
        fields = ("timestamp", "resource_id", "volume")
        return "\n".join(" ".join(str(one[name]) for name in fields) for one in self._value)


_SHOWN = {"rules": _Rules, "samples": _Samples}


class ShowHistory(Listing):
    """List what became of an alarm, the newest first; of a deleted one by its id."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client = self.client()
        name = alarm_id_of(client, parsed_args.alarm)
        limit = [("limit", str(parsed_args.limit))] if parsed_args.limit else []
        found = client.get(f"/v2/alarms/{segment(name)}/history", limit)
        return _COLUMNS, rows_of(found, _COLUMNS)


class ExplainAlarm(Showing):
    """Show the buckets and samples behind the present state of an alarm."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_alarm(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client = self.client()
        name = find_alarm(client, parsed_args.alarm)["alarm_id"]
        told = client.get(f"/v1/alarms/{segment(name)}/explain")
        alarm = told.pop("alarm")
        shown = {name: of(told[name]) for name, of in _SHOWN.items()}
        state = ("alarm_id", "name", "state", "state_timestamp", "state_reason")
        return fields_of({one: alarm[one] for one in state} | told | shown)


class ShowQuota(Showing):
    """Show how many alarms a project may have."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("project", metavar="PROJECT", help="id of the project")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = [("project_id", parsed_args.project)]
        return _limits(self.client().get("/v2/quotas", params))


class SetQuota(Showing):
    """Set how many alarms a project may have."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("project", metavar="PROJECT", help="id of the project")
        parser.add_argument(
            "limit", metavar="NUMBER", help="-1 is any number, default as configured"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        client, project, limit = self.client(), parsed_args.project, parsed_args.limit
        if limit == "default":
            client.delete(f"/v2/quotas/{segment(project)}")
        else:
            quotas = [{"resource": "alarms", "limit": limit}]
            client.post("/v2/quotas", {"project_id": project, "quotas": quotas})
        return _limits(client.get("/v2/quotas", [("project_id", project)]))


def _limits(told: dict[str, Any]) -> Any:
    limits = {quota["resource"]: quota["limit"] for quota in told["quotas"]}
    return fields_of({"project_id": told["project_id"], **limits})


def _rule_lines(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a rule looks at: its periods, or when something came last."""
    if "last" in rule:
        yield f"{rule['rule']}: last {rule['last']}"
    for one in rule.get("periods", ()):
        said = [f"{one['samples']} samples"]
        if one["value"] is not None:
            said += [str(one["value"]), "breaches" if one["breaches"] else "does not breach"]
        said += ["counts"] * one["counts"] + ["may still grow"] * (not one["passed"])
        yield f"{rule['rule']}: {one['start']} to {one['end']}: {', '.join(said)}"
