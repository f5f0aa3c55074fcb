"""Keystone's trusts: made with the token of an alarm's owner, used with our own login.

Source: Keystone's OS-TRUST API, version 3; Aodh: our user is the trustee, and impersonates.
Errors: TrustsError, which says why.
"""

import collections
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import keystoneauth1.exceptions
import openstack.config
import openstack.exceptions
import requests
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.loading import get_plugin_loader
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion

from metering.alarms.trusts import TrustsError

_TRUSTS: Final = "/OS-TRUST/trusts"
_REMEMBERED: Final = 1000  # logins by trust
# A login with a trust is scoped by it: what would scope it otherwise is left out.
_SCOPES: Final = (
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "tenant_id",
    "tenant_name",
    "domain_id",
    "domain_name",
    "system_scope",
)


class Keystone:
    """A cloud's Keystone (metering.alarms.trusts.Trusts). Used by several threads.

    State: a login each trust, the last ones used; its token is renewed before it expires.
    """

    def __init__(self, cloud: str, clouds_file: Path | None, timeout: float) -> None:
        self._region = _region(cloud, clouds_file)
        self._timeout = timeout  # s
        self._lock = threading.Lock()
        self._logins: collections.OrderedDict[str, BaseIdentityPlugin] = collections.OrderedDict()

    def create(self, user_id: str, project_id: str, roles: Sequence[str], token: str | None) -> str:
        """Return the id of a new trust of this user, who asked with this token. Raises TrustsError."""
        if not token:
            raise TrustsError("a trust is made with its owner's token (X-Auth-Token)")
        trust = {
            "trustor_user_id": user_id,
            "trustee_user_id": self._own_id(),
            "project_id": project_id,
            "impersonation": True,
            "roles": [{"name": role} for role in roles],
        }
        answer = self._ask("POST", _TRUSTS, token, json={"trust": trust})
        if answer.status_code != 201:
            raise TrustsError(f"Keystone made no trust: {_said(answer)}")
        made: str = answer.json()["trust"]["id"]
        return made

    def delete(self, trust_id: str, token: str | None) -> None:
        """Delete a trust, as its owner or else as ourselves; one that is gone is fine."""
        self.forget(trust_id)
        for asked_by in [token, None] if token else [None]:
            answer = self._ask("DELETE", f"{_TRUSTS}/{trust_id}", asked_by)
            if answer.status_code in (204, 404):
                return
        raise TrustsError(f"Keystone did not delete the trust: {_said(answer)}")

    def token(self, trust_id: str) -> str:
        """Return a token that acts for a trust's owner. Raises TrustsError."""
        try:
            found = self._login(trust_id).get_token(self.own_session())
        except keystoneauth1.exceptions.ClientException as error:
            raise TrustsError(f"no token from Keystone: {error}") from error
        return str(found)

    def forget(self, trust_id: str) -> None:
        """Log in anew the next time that a trust is used."""
        with self._lock:
            self._logins.pop(trust_id, None)

    def session(self, trust_id: str) -> Session:
        """Return a session that acts for a trust's owner."""
        session = self._region.get_session()
        return Session(
            auth=self._login(trust_id),
            verify=session.verify,
            cert=session.cert,
            timeout=self._timeout,
        )

    def endpoint(self, kind: str) -> dict[str, Any]:
        """Return where a service is looked for in the catalog, as sessions take it."""
        return {
            "service_type": kind,
            "interface": self._region.get_interface(kind),
            "region_name": self._region.get_region_name(kind),
        }

    def _own_id(self) -> str:
        try:
            return str(self.own_session().get_user_id())
        except keystoneauth1.exceptions.ClientException as error:
            raise TrustsError(f"no login to Keystone: {error}") from error

    def _ask(self, method: str, path: str, token: str | None, **body: Any) -> requests.Response:
        """Return Keystone's answer to a holder of this token, or to ourselves."""
        whose: dict[str, Any] = (
            {"headers": {"X-Auth-Token": token}, "authenticated": False} if token else {}
        )
        try:
            answer: requests.Response = self.own_session().request(
                path,
                method,
                endpoint_filter={**self.endpoint("identity"), "version": "3"},
                raise_exc=False,
                **whose,
                **body,
            )
        except keystoneauth1.exceptions.ClientException as error:
            raise TrustsError(f"Keystone does not answer: {error}") from error
        return answer

    def own_session(self) -> Session:
        """Return a session of our own login."""
        session: Session = self._region.get_session()
        session.timeout = self._timeout
        return session

    def _login(self, trust_id: str) -> BaseIdentityPlugin:
        with self._lock:
            if trust_id not in self._logins:
                self._logins[trust_id] = _login_by(self._region, trust_id)
            self._logins.move_to_end(trust_id)
            while len(self._logins) > _REMEMBERED:
                self._logins.popitem(last=False)
            return self._logins[trust_id]


def _region(cloud: str, clouds_file: Path | None) -> CloudRegion:
    files = [str(clouds_file)] if clouds_file else None
    try:
        return openstack.config.OpenStackConfig(config_files=files).get_one(cloud)
    except (
        openstack.exceptions.ConfigException,
        keystoneauth1.exceptions.ClientException,
    ) as error:
        raise TrustsError(
            f"no login for {cloud}: {error}; see alarms.actions.cloud and clouds_file"
        ) from error


def _login_by(region: CloudRegion, trust_id: str) -> BaseIdentityPlugin:
    auth = {name: value for name, value in region.config["auth"].items() if name not in _SCOPES}
    loader: Any = get_plugin_loader(region.config.get("auth_type") or "password")
    login: BaseIdentityPlugin = loader.load_from_options(**auth, trust_id=trust_id)
    return login


def _said(answer: requests.Response) -> str:
    return f"{answer.status_code} {' '.join(answer.text[:200].split())}"
