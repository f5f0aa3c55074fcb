"""trust+heat: has Orchestration replace the members of a load balancer that are unhealthy.

It marks the resources behind them and updates the stack, which replaces what is marked. Which stack,
group and members are meant says the alarm's reason_data (of loadbalancer_member_health), or else the
action's query. Scaling policies are called by their signal URL: that is trust+http (sinks.webhook).
Guarantee: at least once; what is marked already is marked again.
Errors: the Outcome tells.
Source: Orchestration's API, version 1; Aodh's notifier of the same name.
"""

from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import keystoneauth1.exceptions
import orjson
import requests
from keystoneauth1.session import Session

from metering.alarms.actions import trust_id
from metering.alarms.attempts import Outcome
from metering.alarms.transitions import Delivery
from sinks.trusts import Keystone

_DEPTH: Final = 3  # of nested stacks that are searched
_REASON: Final = "unhealthy load balancer member"


class _RefusedError(Exception):
    """Orchestration did not do what it was asked; its status."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.request.method} of Orchestration: {answer.status_code}")
        self.status = answer.status_code


class Orchestration:
    """Heals stacks, acting for the alarm's owner."""

    def __init__(self, keystone: Keystone) -> None:
        self._keystone = keystone

    def send(self, delivery: Delivery) -> Outcome:
        """Mark and update, once."""
        told = _told(delivery)
        members = [member["id"] for member in told.get("unhealthy_members", [])]
        stack, group = told.get("stack_id"), told.get("asg_id")
        if not (stack and group):
            return Outcome(
                "neither the alarm nor the action names stack_id and asg_id", hopeless=True
            )
        session = self._keystone.session(trust_id(delivery.action) or "")
        try:
            return self._heal(
                _Heat(session, self._keystone.endpoint("orchestration")), stack, group, members
            )
        except _RefusedError as error:
            return Outcome(str(error), error.status)
        except keystoneauth1.exceptions.ClientException as error:
            return Outcome(f"Orchestration or Keystone does not answer: {error}")

    def close(self) -> None:
        """Nothing is open."""

    def _heal(self, heat: "_Heat", stack: str, group: str, members: list[str]) -> Outcome:
        stack_path = heat.path_of(stack)
        behind = [one for member in members for one in heat.parents_of(stack_path, member)]
        if not behind:
            return Outcome("no resource of the stack is an unhealthy member", hopeless=True)
        group_path = heat.path_of(group)
        for resource in behind:
            heat.mark(group_path, resource)
        heat.update(stack_path)
        return Outcome()


class _Heat:
    """The calls of its API. Raises _RefusedError, keystoneauth1's ClientException."""

    def __init__(self, session: Session, place: dict[str, Any]) -> None:
        self._session = session
        self._place = place

    def path_of(self, stack: str) -> str:
        """Return a stack's path, with its name and id."""
        found = self._ask("GET", f"/stacks/{quote(stack, safe='')}").json()["stack"]
        return f"/stacks/{quote(found['stack_name'], safe='')}/{found['id']}"

    def parents_of(self, stack_path: str, member: str) -> list[str]:
        """Return the resources that a member of a load balancer is part of: one, or none."""
        wanted = {"nested_depth": _DEPTH, "physical_resource_id": member}
        found = self._ask("GET", f"{stack_path}/resources", params=wanted).json()["resources"]
        return [one["parent_resource"] for one in found[:1]]

    def mark(self, group_path: str, resource: str) -> None:
        """Mark a resource of a group as unhealthy."""
        body = {"mark_unhealthy": True, "resource_status_reason": _REASON}
        self._ask("PATCH", f"{group_path}/resources/{quote(resource, safe='')}", json=body)

    def update(self, stack_path: str) -> None:
        """Update a stack with its own template."""
        self._ask("PATCH", stack_path, json={})

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer: requests.Response = self._session.request(
            path, method, endpoint_filter=self._place, raise_exc=False, **options
        )
        if answer.status_code >= 300:
            raise _RefusedError(answer)
        return answer


def _told(delivery: Delivery) -> dict[str, Any]:
    query = parse_qs(urlsplit(delivery.action).query)
    said: dict[str, Any] = orjson.loads(delivery.body)["reason_data"]
    return {name: values[-1] for name, values in query.items()} | said
