"""`streamgauge config ...`, and the --config option of every command that starts something."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Action
from cli.errors import UsageError

if TYPE_CHECKING:
    from jobs.settings import Config


class CheckConfig(Action):
    """Check a configuration with the environment's overrides; every fault on a line of its own."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_config(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        config = loaded(parsed_args)
        feeds = ", ".join(str(feed.get("name") or feed["type"]) for feed in config.feeds)
        name = parsed_args.config or "the default configuration"
        print(f"{name} is good; feeds: {feeds or 'none but the spool'}", file=self.app.stdout)
        return 0


class PrintDefaults(Action):
    """Print a full configuration: every setting, its default, and what it means."""

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        from jobs.defaults import defaults_yaml

        self.app.stdout.write(defaults_yaml())
        return 0


class PrintTables(Action):
    """Print the statements that make the tables on a cluster of ClickHouse servers.

    On one server the tables make themselves.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        add_config(parser)
        parser.add_argument(
            "--cluster", metavar="NAME", required=True, help="as the servers' remote_servers has it"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        from jobs.tables import tables_on

        config = loaded(parsed_args)
        self.app.stdout.write(tables_on(parsed_args.cluster, config.database.name))
        return 0


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=os.environ.get("STREAMGAUGE_CONFIG") or None,
        help="the configuration (STREAMGAUGE_CONFIG; the defaults where there is none)",
    )


def loaded(parsed: argparse.Namespace) -> "Config":
    """Return the configuration of --config and the environment. Raises UsageError with every fault."""
    from jobs.faults import ConfigError
    from jobs.settings import load

    try:
        return load(parsed.config, os.environ)
    except ConfigError as error:
        raise UsageError("\n".join(error.faults)) from error
