"""`streamgauge status`."""

import argparse
from typing import Any

from cli.command import Showing, fields_of


class Status(Showing):
    """Show how the running service is: its rates, its lag, each feed and the last error."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return fields_of(self.client().get("/v1/status"))
