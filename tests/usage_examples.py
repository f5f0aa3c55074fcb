"""The worked examples of docs/usage.md: read from the page, to be run against whatever counts usage.

Shape: a line `**Example.** A `TYPE` in `UNIT`; watermark `TIME`` (and `; `max_gap` SECONDS`), a table of
    samples (time, volume, and project or keys of the metadata) and a table of the rows they make. Each
    row names its start; a table with a column `period` has the rows of all periods, else of hours.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.usage.oracle import Row, Sample, Settings

PAGE = Path(__file__).parent.parent / "docs" / "usage.md"
MIDNIGHT = 1_795_305_600_000  # ms; 2026-11-22
_HEAD = re.compile(
    r"^\*\*Example\.\*\* A `(?P<type>\w+)` in `(?P<unit>[^`]+)`; watermark `(?P<watermark>[\d:]+)`"
    r"(?:; `max_gap` (?P<max_gap>\d+))?$"
)
_TEXTS = ("segment", "project_id", "user_id", "state")

UsageOf = Callable[[Sequence[Sample], int, Settings], list[Row]]  # samples, watermark in ms


class Example(NamedTuple):
    """An example: what comes, and the columns and values of the rows that it makes."""

    line: int
    samples: list[Sample]
    watermark: int  # ms
    settings: Settings
    columns: list[str]
    rows: list[list[Any]]


def examples() -> list[Example]:
    """Return the page's examples."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [_example(lines, number) for number, line in enumerate(lines) if "Example.**" in line]


def rows_of(example: Example, usage_of: UsageOf) -> list[list[Any]]:
    """Return the rows that the example's samples make, as far as it shows them, in its order."""
    found = usage_of(example.samples, example.watermark, example.settings)
    shown = [row for row in found if "period" in example.columns or row.period == 3600]
    shown.sort(key=lambda row: (row.period, row.start, row.project_id, row.segment))
    return [[_shown(row, column) for column in example.columns] for row in shown]


def at(time: str) -> int:
    """Return a time of the day in ms."""
    hours, minutes, *seconds = time.split(":")
    moment = (int(hours) * 60 + int(minutes)) * 60 + float(seconds[0] if seconds else 0)
    return MIDNIGHT + round(moment * 1000)


def _example(lines: list[str], number: int) -> Example:
    head = _HEAD.match(lines[number])
    assert head is not None, f"docs/usage.md:{number + 1} is no example: {lines[number]}"
    (columns, *samples), (names, *rows) = _tables(lines, number)
    told = {"meter": "m", "type": head["type"], "unit": head["unit"]}
    settings = Settings(
        max_gap=int(head["max_gap"] or 3900),
        segments={"flavor": ("flavor.name",)},
        ends=("*.delete.end",),
    )
    return Example(
        number + 1,
        [_sample(dict(zip(columns, sample, strict=True)), told) for sample in samples],
        at(head["watermark"]),
        settings,
        names,
        [[_value(*cell) for cell in zip(names, row, strict=True)] for row in rows],
    )


def _tables(lines: list[str], number: int) -> list[list[list[str]]]:
    """Return the two tables below a line: rows of cells, the header first."""
    text = "\n".join(lines[number + 1 :]).strip()
    tables = re.match(r"((?:\|.*\n)+)\n((?:\|.*(?:\n|$))+)", text)
    assert tables is not None, f"docs/usage.md:{number + 1} lacks two tables"
    return [
        [_cells(line) for line in table.split("\n") if line[:2] == "| "]
        for table in tables.groups()
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _sample(cells: dict[str, str], told: dict[str, str]) -> Sample:
    time, volume = cells.pop("time"), float(cells.pop("volume"))
    owner = {"project_id": cells.pop("project", "p"), "user_id": "u", "resource_id": "r"}
    return Sample(volume=volume, timestamp_ms=at(time), metadata=cells, **told, **owner)


def _value(column: str, text: str) -> Any:
    if column == "start":
        return at(text) // 1000
    if column in _TEXTS:
        return text
    return float(text) if text else None


def _shown(row: Row, column: str) -> Any:
    if column == "state":
        return "final" if row.final else "open"
    return getattr(row, column)
