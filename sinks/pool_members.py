"""The members of a load balancer's pool, by the Load-balancer API (Octavia), version 2.

Errors: PoolsError where it does not answer, or refuses.
Source: https://docs.openstack.org/api-ref/load-balancer/v2/ (List Members).
"""

from typing import Any, Final
from urllib.parse import quote

import keystoneauth1.exceptions

from metering.alarms.evaluation_members import Member, PoolsError, member_from
from sinks.trusts import Keystone

_VERSION: Final = "/v2.0"  # what its address ends in, or should


class PoolMembers:
    """Lists members with the service's own login."""

    def __init__(self, keystone: Keystone) -> None:
        self._keystone = keystone

    def __call__(self, pool_id: str) -> list[Member] | None:
        """Return a pool's members; None where there is no such pool. Raises PoolsError."""
        try:
            return self._listed(pool_id)
        except keystoneauth1.exceptions.ClientException as error:
            raise PoolsError(f"the load balancers do not answer: {error}") from error

    def _listed(self, pool_id: str) -> list[Member] | None:
        session = self._keystone.own_session()
        place = session.get_endpoint(**self._keystone.endpoint("load-balancer"))
        if not place:
            raise PoolsError("there is no load-balancer service in the catalog")
        base = str(place).rstrip("/")
        base += "" if base.endswith(("/v2", _VERSION)) else _VERSION
        url: str | None = f"{base}/lbaas/pools/{quote(pool_id, safe='')}/members"
        found: list[Member] = []
        while url:
            answer = session.request(url, "GET", raise_exc=False)
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise PoolsError(f"the load balancers answered {answer.status_code}")
            told: dict[str, Any] = answer.json()
            found += map(member_from, told["members"])
            links = told.get("members_links", [])
            url = next((link["href"] for link in links if link.get("rel") == "next"), None)
        return found
