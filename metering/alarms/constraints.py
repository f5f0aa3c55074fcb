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
        return at <= self._latest(at) + self.duration * 1000

    def turn(self, at: int) -> int:
        """Return the first moment (ms) after this one at which it may hold otherwise."""
        if self.holds(at):
            return self._latest(at) + self.duration * 1000 + 1
        following: dt.datetime = croniter(self.start, self._local(at)).get_next(dt.datetime)
        return _ms(following)

    def _latest(self, at: int) -> int:
        # A start at this very moment is the start before the next moment.
        latest: dt.datetime = croniter(self.start, self._local(at + 1)).get_prev(dt.datetime)
        return _ms(latest)

    def _local(self, at: int) -> dt.datetime:
        zone = zoneinfo.ZoneInfo(self.timezone) if self.timezone else _UTC
        return dt.datetime.fromtimestamp(at / 1000, _UTC).astimezone(zone)

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


def turn(constraints: Sequence[TimeConstraint], at: int) -> int | None:
    """Return until when (ms) what `within` says of a moment holds at least; None for ever."""
    return min((one.turn(at) for one in constraints), default=None)


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


def _ms(time: dt.datetime) -> int:
    return round(time.timestamp() * 1000)


def _check_start(start: str) -> None:
    try:
        croniter(start, dt.datetime(2024, 2, 29)).get_prev(dt.datetime)
    except (ValueError, KeyError, IndexError, AttributeError):  # what croniter has for bad text
        raise bad_value("start", start[:100], "It is no time in cron format.") from None
