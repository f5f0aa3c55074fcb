"""A benchmark's figures: how they are told, kept and taken from what was seen."""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One number, its unit and what it was measured under."""

    name: str
    value: float
    unit: str
    conditions: str

    def line(self) -> str:
        """Return the figure on one line."""
        return f"{self.name}: {self.value:,.10g} {self.unit}  ({self.conditions})"


def keep(figure: Figure, path: Path) -> None:
    """Merge a figure into a results file: {name: {"value", "unit", "conditions"}}."""
    results = json.loads(path.read_text()) if path.exists() else {}
    kept = dataclasses.asdict(figure)
    results[kept.pop("name")] = kept
    path.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")


def machine() -> str:
    """Return what the machine is, and how busy it was with other things."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, load before {load:.1f}"


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def plateau(seen: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Return two rates: over the middle 80 % of what came, and from the first of it to the last.

    Shape: [(time in s, total so far)], both rising.
    """
    seen = [seen[i] for i in range(len(seen)) if i == 0 or seen[i][1] > seen[i - 1][1]]
    rising = [point for point in seen if point[1]]
    (start, first), (end, last) = rising[0], rising[-1]
    low, high = last / 10, last * 9 / 10
    middle = (high - low) / max(_moment(seen, high) - _moment(seen, low), 1e-9)
    return middle, (last - first) / max(end - start, 1e-9)


def _moment(seen: Sequence[tuple[float, int]], total: float) -> float:
    """Return when a total was reached, on a straight line between what was seen."""
    after = next(i for i, (_, so_far) in enumerate(seen) if so_far >= total)
    if after == 0:
        return seen[0][0]
    (t0, n0), (t1, n1) = seen[after - 1], seen[after]
    return t0 + (t1 - t0) * (total - n0) / (n1 - n0)
