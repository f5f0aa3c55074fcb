"""The states of an alarm."""

import dataclasses
from typing import Any, Final, Literal

State = Literal["ok", "alarm", "insufficient data"]

OK: Final = "ok"
ALARM: Final = "alarm"
UNKNOWN: Final = "insufficient data"
STATES: Final[tuple[State, ...]] = (OK, ALARM, UNKNOWN)

NOT_EVALUATED: Final = "Not evaluated yet"
MANUAL: Final = "Manually set via API"


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmState:
    """In what state an alarm is, since when and why.

    `version` grows with every state an alarm takes, by evaluation or by hand: the later one counts.
    `seen` is up to when samples were looked at. Units: `at`, `seen` in ms since the epoch, `version` in µs.
    """

    alarm_id: str
    state: State
    at: int
    reason: str = NOT_EVALUATED
    reason_data: dict[str, Any] = dataclasses.field(default_factory=dict)
    manual: bool = False  # set by the API
    version: int = 0
    seen: int = 0
