"""What an evaluation leads to: a transition, and a delivery for each action that it calls.

Guarantee: a transition's id and its deliveries' come from (alarm, version, state): written again, they
    are the same.
"""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson

from metering.alarms.actions import receiver_of
from metering.alarms.states import AlarmState, State

_NAMES: Final = uuid.UUID("5f6d0a52-6f0e-5a3c-9d3a-3c6f3c1b7f7e")

DeliveryState = Literal["pending", "delivered", "dead"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An alarm's way into a state, or (previous = current) its staying there with actions repeated.

    `recorded` is whether it is in the history: every change of state is; of what is repeated only an
    event alarm's. `version` is larger than those of the state before and of the definition. `seen` is
    up to when samples were looked at. Units: `at`, `seen` in ms, `version` in µs.
    """

    alarm_id: str
    alarm_name: str
    project_id: str
    severity: str
    previous: State
    current: State
    reason: str
    reason_data: Mapping[str, Any]
    at: int
    version: int
    actions: tuple[str, ...] = ()
    recorded: bool = True
    seen: int = 0

    @property
    def id(self) -> str:
        """The transition's id, which is its entry's in the history."""
        return str(uuid.uuid5(_NAMES, f"{self.alarm_id}/{self.version}/{self.current}"))

    def state(self) -> AlarmState:
        """Return the state that the alarm is in then."""
        data = dict(self.reason_data)
        return AlarmState(
            self.alarm_id,
            self.current,
            self.at,
            self.reason,
            data,
            version=self.version,
            seen=self.seen,
        )

    def deliveries(self) -> "list[Delivery]":
        """Return what is to be delivered, one for each action."""
        body = self._body()
        return [
            Delivery(
                id=str(uuid.uuid5(_NAMES, f"{self.id}/{action}")),
                transition_id=self.id,
                alarm_id=self.alarm_id,
                project_id=self.project_id,
                sequence=self.version,
                created_at=self.at,
                action=action,
                receiver=receiver_of(action),
                body=body,
                next_attempt_at=self.at,
            )
            for action in self.actions
        ]

    def _body(self) -> str:
        body = {
            "alarm_name": self.alarm_name,
            "alarm_id": self.alarm_id,
            "severity": self.severity,
            "previous": self.previous,
            "current": self.current,
            "reason": self.reason,
            "reason_data": dict(self.reason_data),
        }
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS).decode()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One call of one action for one transition, until it has arrived or is given up.

    An alarm's deliveries to a receiver go out by `sequence`. The later `version` counts.
    Units: times in ms, `sequence` and `version` in µs.
    """

    id: str  # the idempotency key too
    transition_id: str
    alarm_id: str
    project_id: str
    sequence: int  # its transition's version
    created_at: int
    action: str  # with its trust's id, never to be served
    receiver: str  # who is called by it
    body: str  # JSON text, empty where the action has none
    state: DeliveryState = "pending"
    attempts: int = 0
    next_attempt_at: int = 0
    last_status: int = 0  # of HTTP; 0 where there was no answer
    last_error: str = ""
    version: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a delivery. Units: `at` in ms, `seconds` in s."""

    delivery_id: str
    number: int
    at: int
    status: int = 0  # of HTTP; 0 where there was no answer
    error: str = ""
    seconds: float = 0.0
