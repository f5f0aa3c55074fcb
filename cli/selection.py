"""What the lists of /v1 take: which series, which time, how many rows; asked page by page."""

import argparse
from collections.abc import Iterable
from typing import Any

from cli.client import Client, Params
from cli.command import Listing
from cli.query import add_limit

_LABELS = ("meter", "project", "resource", "user")
_PAGE = 100  # rows where no number is asked for


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add --meter, --project, --resource, --user, --from, --to and --limit."""
    parser.add_argument("--meter", metavar="NAME", help="of this meter only")
    for name in _LABELS[1:]:
        parser.add_argument(f"--{name}", metavar="ID", help=f"of this {name} only")
    add_range(parser)
    add_limit(parser)


def add_range(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add --from and --to."""
    parser.add_argument(
        "--from",
        metavar="TIME",
        dest="start",
        required=required,
        help="ISO 8601, UTC; from then on",
    )
    parser.add_argument(
        "--to", metavar="TIME", dest="end", required=required, help="ISO 8601, UTC; before then"
    )


def selection_params(parsed: argparse.Namespace) -> Params:
    """Return the API's parameters for what was selected."""
    return given(vars(parsed), (*_LABELS, "start", "end"))


def given(values: dict[str, Any], names: Iterable[str]) -> Params:
    """Return those of these values that there are, as parameters."""
    return [(name, str(values[name])) for name in names if values.get(name) is not None]


class Selecting(Listing):
    """A command that lists rows of /v1, as many as were asked for, and says where there are more."""

    def rows(self, path: str, name: str, params: Params, limit: int | None) -> list[dict[str, Any]]:
        """Return the rows of as many pages as are needed. Raises CommandError."""
        wanted = limit or _PAGE
        found, marker = _page(self.client(), path, name, params, wanted)
        while marker is not None and len(found) < wanted:
            behind = [*params, ("marker", marker)]
            more, marker = _page(self.client(), path, name, behind, wanted - len(found))
            found += more
        if marker is not None:
            print(f"there are more than these {len(found)} rows: --limit", file=self.app.stderr)
        return found


def _page(
    client: Client, path: str, name: str, params: Params, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    answer = client.get(path, [*params, ("limit", str(limit))])
    return answer[name], answer["next"]
