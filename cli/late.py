"""`streamgauge late ...`."""

import argparse
from typing import Any

from cli.command import rows_of
from cli.selection import Selecting, add_selection, selection_params

_COLUMNS = (
    *("timestamp", "recorded_at", "meter", "volume", "unit", "resource_id", "project_id"),
    *("window_start", "window_end", "state"),
)


class ListLate(Selecting):
    """List samples that came when their window was final, the oldest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_selection(parser)
        parser.add_argument(
            "--state",
            choices=("late", "restated"),
            help="only those that are not in usage, or are since",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        params = selection_params(parsed_args)
        if parsed_args.state:
            params.append(("restated", str(parsed_args.state == "restated").lower()))
        found = self.rows("/v1/late", "late", params, parsed_args.limit)
        return _COLUMNS, rows_of(found, _COLUMNS)
