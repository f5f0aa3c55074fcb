"""Time constraints: an alarm is only evaluated within one of its times, by cron and time zone."""

import dataclasses
import datetime as dt
import zoneinfo
from collections.abc import Sequence
from typing import Any, Final

from croniter import croniter

from metering.alarms.faults import DefinitionError, bad_value
from metering.alarms.reading import Reading

_FIELDS: Final = ("name", "description", "start", "duration", "timezone")
_LONGEST: Final = 10 * 365 * 24 * 3600  # s
_UTC: Final = dt.timezone.utc


@dataclasses.dataclass(frozen=True, slots=True)
class TimeConstraint:
    """From every start, by cron in the time zone, for `duration` seconds."""

    name: str
    start: str
    duration: int  # s
    timezone: str = ""  # "" is UTC
    description: str = ""

    def holds(self, at: int) -> bool:
        """Return whether a moment (ms) is within: from a start up to its duration later, both included."""
        zone = zoneinfo.ZoneInfo(self.timezone) if self.timezone else _UTC
        now = dt.datetime.fromtimestamp(at / 1000, _UTC)
        # A start at this very moment is the start before the next moment.
        after = (now + dt.timedelta(milliseconds=1)).astimezone(zone)
        latest: dt.datetime = croniter(self.start, after).get_prev(dt.datetime)
        return now <= latest.astimezone(_UTC) + dt.timedelta(seconds=self.duration)

    def to_json(self) -> dict[str, Any]:
        """Return the constraint as it is served."""
        described = (
            self.description
            or f"Time constraint at {self.start} lasting for {self.duration} seconds"
        )
        return {
            "name": self.name,
            "description": described,
            "start": self.start,
            "duration": self.duration,
            "timezone": self.timezone,
        }


def within(constraints: Sequence[TimeConstraint], at: int) -> bool:
    """Return whether any constraint holds at a moment (ms); without constraints it always does."""
    return not constraints or any(one.holds(at) for one in constraints)


def constraints_from(found: Sequence[Any]) -> tuple[TimeConstraint, ...]:
    """Return an alarm's time constraints. Raises DefinitionError."""
    constraints = tuple(_constraint(one) for one in found)
    names = [one.name for one in constraints]
    if len(names) > len(set(names)):
        raise DefinitionError("Time constraint names must be unique for a given alarm.")
    return constraints


def _constraint(found: Any) -> TimeConstraint:
    reading = Reading("time_constraints", found)
    reading.only(_FIELDS)
    constraint = TimeConstraint(
        reading.name_text("name"),
        reading.text("start"),
        reading.integer("duration", 0, _LONGEST),
        reading.text("timezone", ""),
        reading.text("description", ""),
    )
    _check_start(constraint.start)
    try:
        zoneinfo.ZoneInfo(constraint.timezone or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise DefinitionError(f"Timezone {constraint.timezone[:100]} is not valid") from None
    return constraint


def _check_start(start: str) -> None:
    try:
        croniter(start, dt.datetime(2024, 2, 29)).get_prev(dt.datetime)
    except (ValueError, KeyError, IndexError, AttributeError):  # what croniter has for bad text
        raise bad_value("start", start[:100], "It is no time in cron format.") from None
