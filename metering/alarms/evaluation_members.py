"""loadbalancer_member_health: whether members of a load balancer's pool are unhealthy.

What they are like is told from outside (`AlarmBook.take_members`): it is no stream.
Source: Aodh's evaluator of the same name: a member in error counts two minutes after it was created.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from metering.alarms.buckets_verdicts import BEFORE_ALL, NEVER, Moment, Reason
from metering.alarms.evaluation import Part, States
from metering.alarms.rules import MemberHealthRule
from metering.alarms.states import ALARM, OK, UNKNOWN, State
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

_BEGINNING: Final = 120_000  # ms in which a new member may still be starting


class PoolsError(Exception):
    """What a pool's members are like cannot be told now; says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member of a pool, as the Load-balancer API has it. Units: `created_at` in ms."""

    id: str
    name: str
    address: str
    project_id: str
    operating_status: str
    created_at: int

    def is_unhealthy(self, now: int) -> bool:
        """Return whether it is in error, and no longer beginning."""
        return self.operating_status == "ERROR" and now - self.created_at >= _BEGINNING


def member_from(said: Mapping[str, Any]) -> Member:
    """Return a member from the API's answer; one that does not say when it began is an old one."""
    try:
        created_at = parse_ms(_text(said, "created_at"))
    except RefusedError:
        created_at = 0
    return Member(
        id=_text(said, "id"),
        name=_text(said, "name"),
        address=_text(said, "address"),
        project_id=_text(said, "project_id"),
        operating_status=_text(said, "operating_status"),
        created_at=created_at,
    )


def _text(said: Mapping[str, Any], field: str) -> str:
    return str(said.get(field) or "")


class Health:
    """What the members of a pool come to; `unhealthy` is None where there is no such pool."""

    fresh: Final = True
    seen: Final = BEFORE_ALL  # no samples

    def __init__(
        self, rule: MemberHealthRule, known: bool, unhealthy: Sequence[Member] | None
    ) -> None:
        self._rule, self._unhealthy = rule, unhealthy
        self.waits = not known

    def after(self, before: State) -> State:
        """Return the state that follows; the same until members were looked at."""
        if self.waits:
            return before
        if self._unhealthy is None:
            return UNKNOWN
        return ALARM if self._unhealthy else OK

    def repeats(self, state: State) -> bool:
        """Return whether actions are repeated."""
        return state != UNKNOWN

    def reason(self, before: State, after: State) -> Reason:
        """Return why, with what trust+heat needs to have them replaced."""
        found = [
            {"id": one.id, "name": one.name, "address": one.address}
            for one in self._unhealthy or ()
        ]
        way = "Remaining as" if before == after else "Transition to"
        due = f"{len(found)} unhealthy members of pool {self._rule.pool_id}"
        if self.waits:
            due = f"pool {self._rule.pool_id}, which was not looked at yet"
        elif self._unhealthy is None:
            due = f"pool {self._rule.pool_id} not being there"
        return f"{way} {after} due to {due}", {
            "type": self._rule.type,
            "stack_id": self._rule.stack_id,
            "asg_id": self._rule.autoscaling_group_id,
            "unhealthy_members": found,
        }


class MemberEvaluator:
    """Evaluates by what was told last. An alarm of a project sees that project's members alone."""

    def __init__(self, rule: MemberHealthRule, scope: str | None) -> None:
        self.rule, self._scope = rule, scope
        self.parts: Mapping[int, Part] = {}
        self._known = False
        self._members: Sequence[Member] | None = None

    def take(self, members: Sequence[Member] | None) -> None:
        """Take what members are like now; None where there is no such pool."""
        self._known, self._members = True, members

    def findings(self, moment: Moment, states: States) -> Iterator[Health]:
        if self._known:
            yield self.present(moment, states)

    def present(self, moment: Moment, states: States) -> Health:
        unhealthy = None
        if self._members is not None:
            unhealthy = [
                one
                for one in self._members
                if one.is_unhealthy(moment.now) and self._scope in (None, one.project_id)
            ]
        return Health(self.rule, self._known, unhealthy)

    def due(self, state: State, moment: Moment) -> int:
        return NEVER
