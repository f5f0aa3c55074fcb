"""What every command shares: its failures end in one line and an exit code."""

import argparse
import traceback
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from cli.client import Client
from cli.errors import CommandError


class _Failing(Command):
    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; a CommandError becomes one line, with --debug the traceback before it."""
        try:
            return super().run(parsed_args)
        except CommandError as error:
            if getattr(self.app_args, "debug", False):
                traceback.print_exc(file=self.app.stderr)
            print(error, file=self.app.stderr)
            return error.exit_code

    def client(self) -> Client:
        """Return the way to the API that the global options name."""
        options = self.app_args
        assert options is not None
        return Client(options.api_url, options.token)


class Action(_Failing):
    """A command that does something and prints for itself."""

    def tell(self, line: str) -> None:
        """Print a line at once: the command may go on for long."""
        print(line, file=self.app.stdout, flush=True)


class Listing(_Failing, Lister):
    """A command that prints rows, by default as a table."""


class Showing(_Failing, ShowOne):
    """A command that prints one thing's fields, by default as a table."""


def rows_of(found: list[dict[str, Any]], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return the values of these columns, a row for each thing that was found."""
    return [tuple(one.get(column) for column in columns) for one in found]


def fields_of(found: dict[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the names and values of one thing, mappings within it as dotted names."""
    flat = dict(_flat(found, ""))
    return tuple(flat), tuple(flat.values())


def _flat(found: dict[str, Any], at: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in found.items():
        nested = isinstance(value, dict) and value
        pairs += _flat(value, f"{at}{name}.") if nested else [(f"{at}{name}", value)]
    return pairs
