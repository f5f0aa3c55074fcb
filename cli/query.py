"""Conditions as people write them: `project_id=abc`, `timestamp>=2026-11-01`, `metadata.cpus=integer::2`.

Shape: text -> the q.field, q.op, q.value and q.type of the API, aligned by position.
"""

import argparse
import re
from collections.abc import Sequence

from cli.client import Params
from cli.errors import UsageError

_OPS = {"<=": "le", ">=": "ge", "!=": "ne", "==": "eq", "=": "eq", "<": "lt", ">": "gt"}
_CONDITION = re.compile(
    r"\s*(?P<field>[^<>=!\s]+)\s*(?P<op><=|>=|!=|==?|<|>)\s*"
    r"(?:(?P<type>integer|float|string|boolean|datetime)::)?(?P<value>.*?)\s*",
    re.DOTALL,
)


def add_query(parser: argparse.ArgumentParser) -> None:
    """Add --query, as often as there are conditions."""
    parser.add_argument(
        "--query",
        metavar="CONDITION",
        action="append",
        default=[],
        help="a condition FIELD OP VALUE, such as resource_id=abc or timestamp>=2026-11-01 "
        "(ops = != < <= > >=; a type before the value: integer::5); repeat it, or separate by ;",
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add --limit."""
    parser.add_argument("--limit", type=_positive, metavar="ROWS", help="rows at the most")


def query_params(conditions: Sequence[str]) -> Params:
    """Return the API's parameters for these conditions. Raises UsageError."""
    params: Params = []
    for text in conditions:
        for part in filter(str.strip, text.split(";")):
            params += _params(part)
    return params


def list_params(parsed: argparse.Namespace) -> Params:
    """Return the parameters of --query and --limit. Raises UsageError."""
    limit: Params = [("limit", str(parsed.limit))] if parsed.limit else []
    return query_params(parsed.query) + limit


def _params(text: str) -> Params:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--query {text.strip()!r}: must be FIELD OP VALUE, such as resource_id=abc"
        )
    return [
        ("q.field", match["field"]),
        ("q.op", _OPS[match["op"]]),
        ("q.value", match["value"]),
        ("q.type", match["type"] or ""),  # empty is sent too: the four align by position
    ]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
