"""The `streamgauge` command: which commands there are, and what they share."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import EntryPoint, version
from typing import Any, Final

from cliff.app import App
from cliff.commandmanager import CommandManager

DEFAULT_URL: Final = "http://127.0.0.1:8777"
# Loaded when they are called: listing meters must not wait for the job's imports.
COMMANDS: Final = {
    "run": "cli.run:Run",
    "api": "cli.api:Api",
    "replay": "cli.replay:Replay",
    "bridge": "cli.bridge:Bridge",
    "submit": "cli.submit:Submit",
    "worker": "cli.submit:Worker",
    "job list": "cli.flink_jobs:ListJobs",
    "job status": "cli.flink_jobs:ShowJob",
    "job metrics": "cli.flink_jobs:JobMetrics",
    "job stop": "cli.flink_jobs:StopJob",
    "job resume": "cli.submit:Resume",
    "meter list": "cli.meters:ListMeters",
    "sample list": "cli.samples:ListSamples",
    "sample show": "cli.samples:ShowSample",
    "sample create": "cli.samples:CreateSample",
    "statistics": "cli.statistics:Statistics",
    "resource list": "cli.resources:ListResources",
    "resource show": "cli.resources:ShowResource",
    "event list": "cli.events:ListEvents",
    "event show": "cli.events:ShowEvent",
    "alarm list": "cli.alarms:ListAlarms",
    "alarm show": "cli.alarms:ShowAlarm",
    "alarm create": "cli.alarm_definitions:CreateAlarm",
    "alarm update": "cli.alarm_definitions:UpdateAlarm",
    "alarm delete": "cli.alarms:DeleteAlarms",
    "alarm dry run": "cli.alarm_definitions:DryRun",
    "alarm explain": "cli.alarm_records:ExplainAlarm",
    "alarm history": "cli.alarm_records:ShowHistory",
    "alarm deliveries": "cli.deliveries:ListDeliveries",
    "alarm delivery show": "cli.deliveries:ShowDelivery",
    "alarm resend": "cli.deliveries:Resend",
    "alarm state get": "cli.alarms:GetState",
    "alarm state set": "cli.alarms:SetState",
    "alarm quota show": "cli.alarm_records:ShowQuota",
    "alarm quota set": "cli.alarm_records:SetQuota",
    "invalid list": "cli.invalid:ListInvalid",
    "invalid show": "cli.invalid:ShowInvalid",
    "invalid redrive": "cli.invalid:RedriveInvalid",
    "late list": "cli.late:ListLate",
    "usage list": "cli.usage:ListUsage",
    "usage gaps": "cli.usage:ListGaps",
    "usage restate": "cli.usage:RestateUsage",
    "restate": "cli.usage:RestateUsage",
    "status": "cli.status:Status",
    "config check": "cli.configuration:CheckConfig",
    "config defaults": "cli.configuration:PrintDefaults",
    "config tables": "cli.configuration:PrintTables",
}
_LEVELS: Final = {0: logging.ERROR, 1: logging.WARNING, 2: logging.INFO}  # by -q, nothing, -v


def _matters(record: logging.LogRecord) -> bool:
    """Return whether an operator can do something about this.

    Beam warns of the cloud libraries that it was not installed with; its failures raise.
    """
    beam = record.name.startswith("apache_beam") or record.getMessage().startswith("apitools ")
    return record.levelno >= logging.ERROR or not beam


class _Commands(CommandManager):
    """The commands of the table above, each imported when it is called."""

    def _load_commands(self) -> None:
        for name, value in COMMANDS.items():
            self.commands[name] = EntryPoint(name, value, "streamgauge.commands")


class Streamgauge(App):
    """The application: global options, logging, and no interactive mode."""

    NAME = "streamgauge"
    LOG = logging.getLogger("streamgauge")

    def __init__(self) -> None:
        super().__init__("Metering for clouds.", version("streamgauge"), _Commands())

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Return the parser of the options that stand before the command."""
        # Abbreviated, `--to` of a command would be taken for `--token`.
        exact = {"allow_abbrev": False} | (argparse_kwargs or {})
        parser = super().build_option_parser(description, version, exact)
        parser.add_argument(
            "--api-url",
            metavar="URL",
            default=os.environ.get("STREAMGAUGE_URL") or DEFAULT_URL,
            help=f"the API's address (STREAMGAUGE_URL; default {DEFAULT_URL})",
        )
        parser.add_argument(
            "--token",
            default=os.environ.get("OS_TOKEN"),
            help="sent as X-Auth-Token (OS_TOKEN)",
        )
        return parser

    def configure_logging(self) -> None:
        """Log to stderr, and to a file where asked; what nobody reads is not even made."""
        level = _LEVELS.get(self.options.verbose_level, logging.DEBUG)
        console = logging.StreamHandler(self.stderr)
        console.setFormatter(logging.Formatter(self.CONSOLE_MESSAGE_FORMAT))
        handlers: list[logging.Handler] = [console]
        if self.options.log_file:
            file = logging.FileHandler(self.options.log_file)
            file.setFormatter(logging.Formatter(self.LOG_FILE_MESSAGE_FORMAT))
            handlers.append(file)
        logging.basicConfig(level=level, handlers=handlers)
        if level == logging.WARNING:
            console.addFilter(_matters)
            # Google's libraries on Python 3.10: they work, and want a newer one.
            warnings.filterwarnings("ignore", "You are using a non-supported", FutureWarning)

    def interact(self) -> None:
        """Say what there is to call, where no command was given."""
        self.run_subcommand(["help"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return Streamgauge().run(arguments or ["help"])


if __name__ == "__main__":
    sys.exit(main())
