"""What an attempt makes of a delivery. Pure: the time, and how long to wait, are arguments."""

import dataclasses
from typing import Final

from metering.alarms.transitions import Attempt, Delivery

_KEPT: Final = 300  # characters of an error
# Answers that refuse this call, where the one who answers is there. After the others, or none, all that
# goes to the same receiver would fail as well.
_REFUSALS: Final = frozenset(range(400, 500)) - {408, 421, 425, 429}


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: it arrived where there is no `error`."""

    error: str = ""
    status: int = 0  # of HTTP; 0 where there was no answer
    hopeless: bool = False  # another try would end alike


def attempted(
    delivery: Delivery, outcome: Outcome, at: int, seconds: float, pause: float, age: float
) -> tuple[Delivery, Attempt]:
    """Return a delivery after an attempt, and the attempt.

    `at` (ms) is when it ended and `seconds` how long it took; the next one is `pause` s later, the last
    when the delivery is `age` s old.
    """
    attempt = Attempt(
        delivery_id=delivery.id,
        number=delivery.attempts + 1,
        at=at,
        status=outcome.status,
        error=outcome.error[:_KEPT],
        seconds=seconds,
    )
    last = delivery.created_at + int(age * 1000)
    after = dataclasses.replace(
        delivery,
        attempts=attempt.number,
        last_status=attempt.status,
        last_error=attempt.error,
        version=_version_after(delivery, at),
    )
    if not outcome.error:
        return dataclasses.replace(after, state="delivered"), attempt
    if outcome.hopeless or at >= last:
        return dataclasses.replace(after, state="dead"), attempt
    return dataclasses.replace(after, next_attempt_at=min(at + int(pause * 1000), last)), attempt


def resent(delivery: Delivery, at: int) -> Delivery:
    """Return a delivery that is to go out once more, now (ms), whatever became of it before."""
    return dataclasses.replace(
        delivery, state="pending", next_attempt_at=at, version=_version_after(delivery, at)
    )


def was_refused(delivery: Delivery) -> bool:
    """Return whether its receiver was there and refused it: others may pass it then."""
    return delivery.last_status in _REFUSALS


def _version_after(delivery: Delivery, at: int) -> int:
    return max(at * 1000, delivery.version + 1)
