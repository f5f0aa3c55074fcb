"""`streamgauge sample ...`."""

import argparse
from typing import Any

from cli.client import segment
from cli.command import Listing, Showing, fields_of, rows_of
from cli.query import add_limit, add_query, list_params

_COLUMNS = ("id", "timestamp", "meter", "type", "volume", "unit", "resource_id", "project_id")


class ListSamples(Listing):
    """List samples, the newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--meter", metavar="NAME", help="of this meter only")
        add_query(parser)
        add_limit(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        if parsed_args.meter:
            parsed_args.query.append(f"meter=string::{parsed_args.meter}")
        found = self.client().get("/v2/samples", list_params(parsed_args))
        return _COLUMNS, rows_of(found, _COLUMNS)


class ShowSample(Showing):
    """Show one sample with its metadata."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("id", metavar="ID", help="as `sample list` prints it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return fields_of(self.client().get(f"/v2/samples/{segment(parsed_args.id)}"))


class CreateSample(Showing):
    """Push one sample; it is on disk when this returns."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--meter", metavar="NAME", required=True, help="what is measured")
        parser.add_argument("--type", choices=("gauge", "delta", "cumulative"), required=True)
        parser.add_argument("--unit", required=True, help="unit of the volume, such as GiB")
        parser.add_argument("--volume", type=float, required=True, help="the value")
        parser.add_argument("--resource", metavar="ID", required=True, help="what it is about")
        parser.add_argument("--project", metavar="ID", help="its project; the caller's by default")
        parser.add_argument("--user", metavar="ID", help="its user; the caller's by default")
        parser.add_argument("--timestamp", metavar="TIME", help="ISO 8601, UTC; now by default")
        parser.add_argument(
            "--metadata",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            type=_pair,
            help="metadata of the resource; repeat it",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        path = f"/v2/meters/{segment(parsed_args.meter)}"
        return fields_of(self.client().post(path, [_old_sample(parsed_args)])[0])


def _old_sample(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the sample with the field names that POST /v2/meters/{name} takes."""
    sample = {
        "counter_name": parsed.meter,
        "counter_type": parsed.type,
        "counter_unit": parsed.unit,
        "counter_volume": parsed.volume,
        "resource_id": parsed.resource,
        "project_id": parsed.project,
        "user_id": parsed.user,
        "timestamp": parsed.timestamp,
        "resource_metadata": dict(parsed.metadata),
    }
    return {name: value for name, value in sample.items() if value is not None}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} must be KEY=VALUE")
    return key, value
