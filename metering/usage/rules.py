"""What usage is worked out by. Units: ms throughout, as timestamps are."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from metering.config import Usage

_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True, slots=True)
class UsageRules:
    """Periods, shortest first, each a multiple of the shortest; and what else docs/usage.md names.

    `segments` names a part of a segment and the metadata keys it is read from, the first there wins;
    `ends` are patterns of a sample's metadata event_type, by meter where it is among those.
    """

    periods: tuple[int, ...] = (3_600_000, 86_400_000)
    lateness: int = 7_200_000
    max_gap: int = 3_900_000
    max_gap_by_meter: Mapping[str, int] = dataclasses.field(default_factory=dict)
    segments: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    ends: Sequence[str] = ("*.delete.end",)
    ends_by_meter: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, usage: Usage, lateness: float) -> "UsageRules":
        """Return what a configuration asks for; lateness in s."""
        return cls(
            periods=tuple(period * 1000 for period in usage.periods),
            lateness=int(lateness * 1000),
            max_gap=int(usage.max_gap * 1000),
            max_gap_by_meter={
                name: int(gap * 1000) for name, gap in usage.max_gap_by_meter.items()
            },
            segments=usage.segments,
            ends=usage.ends,
            ends_by_meter=usage.ends_by_meter,
        )

    @property
    def shortest(self) -> int:
        """The shortest period."""
        return self.periods[0]

    @property
    def longest_gap(self) -> int:
        """The longest that a value of any meter counts beyond its sample."""
        return max(self.max_gap, *self.max_gap_by_meter.values(), 0)

    def gap_of(self, meter: str) -> int:
        """Return how long a value of this meter counts beyond its sample; the first pattern wins."""
        return _first(self.max_gap_by_meter, meter, self.max_gap)

    def ends_resource(self, meter: str, event_type: str) -> bool:
        """Return whether nothing is held beyond a sample of this meter and event type."""
        ends = _first(self.ends_by_meter, meter, self.ends)
        return any(fnmatch.fnmatchcase(event_type, pattern) for pattern in ends)

    def late(self, at: npt.NDArray[np.int64], until: int | None) -> npt.NDArray[np.bool_]:
        """Return which times (ms) lie in windows that are final."""
        if until is None:
            return np.zeros(len(at), np.bool_)
        is_late: npt.NDArray[np.bool_] = (at // self.shortest + 1) * self.shortest <= until
        return is_late

    def final_until(self, watermark: int | None) -> int | None:
        """Return up to when every window of the shortest period is final, None for none."""
        if watermark is None:
            return None
        return (watermark - self.lateness) // self.shortest * self.shortest


def _first(by_meter: Mapping[str, _Value], meter: str, otherwise: _Value) -> _Value:
    """Return what the first pattern says that a meter matches."""
    for pattern, value in by_meter.items():
        if fnmatch.fnmatchcase(meter, pattern):
            return value
    return otherwise
