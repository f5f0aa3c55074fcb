"""What a restatement is asked for, and what it found: usage worked out again from stored samples."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class RestateScope:
    """Which windows: those that overlap [start, end) (ms), of a meter and project or of all."""

    start: int
    end: int
    meter: str | None = None
    project_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SumChange:
    """What changes for a meter, project and period (s): rows, and their sum of usage."""

    meter: str
    project_id: str
    period: int
    rows: int
    before: float
    after: float


@dataclasses.dataclass(frozen=True, slots=True)
class Restatement:
    """The rows that differ from what stands, their sums, and whether they were written."""

    rows: int
    sums: list[SumChange]
    applied: bool


class RestateError(Exception):
    """A restatement can't be done as asked; says what to do."""


class NoJobError(Exception):
    """A restatement can't be written, as there is no job here to be told of it; says what to do."""
