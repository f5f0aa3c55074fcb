"""What usage is worked out by. Units: ms throughout, as timestamps are."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class UsageRules:
    """Periods, shortest first, each a multiple of the shortest; and what else docs/usage.md names.

    `segments` names a part of a segment and the metadata keys it is read from, the first there wins;
    `ends` are patterns of a sample's metadata event_type.
    """

    periods: tuple[int, ...] = (3_600_000, 86_400_000)
    lateness: int = 7_200_000
    max_gap: int = 3_900_000
    max_gap_by_meter: Mapping[str, int] = dataclasses.field(default_factory=dict)
    segments: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    ends: Sequence[str] = ("*.delete.end",)

    @property
    def shortest(self) -> int:
        """The shortest period."""
        return self.periods[0]

    def gap_of(self, meter: str) -> int:
        """Return how long a value of this meter counts beyond its sample; the first pattern wins."""
        for pattern, gap in self.max_gap_by_meter.items():
            if fnmatch.fnmatchcase(meter, pattern):
                return gap
        return self.max_gap

    def ends_resource(self, event_type: str) -> bool:
        """Return whether nothing is held beyond a sample of this event type."""
        return any(fnmatch.fnmatchcase(event_type, pattern) for pattern in self.ends)

    def final_until(self, watermark: int | None) -> int | None:
        """Return up to when every window of the shortest period is final, None for none."""
        if watermark is None:
            return None
        return (watermark - self.lateness) // self.shortest * self.shortest
