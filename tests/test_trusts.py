"""Trusts of a real Keystone: made with an alarm, used by its actions, deleted with it."""

import dataclasses
import http.server
import itertools
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import requests
import yaml
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from metering.alarms.actions import trust_id
from metering.alarms.attempts import Outcome
from metering.alarms.transitions import Delivery
from metering.alarms.trusts import TrustsError
from sinks.orchestration import Orchestration
from sinks.trusts import Keystone
from store.alarms import changed_alarms
from store.client import Store
from tests.alarm_api import api, definition
from tests.delivering import delivering, transition
from tests.servers.openstack import REGION, OpenStack
from tests.servers.receiver import receiving
from webapi.alarming import Alarming

pytestmark = pytest.mark.server

_numbers = itertools.count(1)
SECRET = "only-in-tests"


@dataclasses.dataclass
class Owner:
    """Who owns alarms: a member of a project of their own."""

    user_id: str
    project_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-User-Id": self.user_id,
            "X-Project-Id": self.project_id,
            "X-Roles": "member",
            "X-Auth-Token": self.token,
        }


class Identity:
    """The cloud's Keystone, as its administrator has it."""

    def __init__(self, cloud: OpenStack) -> None:
        self.cloud = cloud
        self.url = f"http://127.0.0.1:{cloud.ports['keystone']}/v3"

    def user(self, role: str, project: str | None = None) -> Owner:
        """Make a user with a role in a project, and log in."""
        name = f"someone-{next(_numbers)}"
        with self.cloud.connection() as admin:
            home = project or admin.identity.create_project(name=name, domain_id="default").id
            user = admin.identity.create_user(
                name=name, password=SECRET, domain_id="default", default_project_id=home
            )
            found = admin.identity.find_role(role, ignore_missing=False)
            admin.identity.assign_project_role_to_user(home, user.id, found.id)
        login = v3.Password(self.url, user_id=user.id, password=SECRET, project_id=home)
        return Owner(user.id, home, login.get_token(Session()))

    def clouds(self, folder: Path, service: Owner) -> Path:
        """Write a clouds.yaml with the login of our service."""
        auth = {
            "auth_url": self.url,
            "user_id": service.user_id,
            "password": SECRET,
            "project_id": service.project_id,
        }
        file = folder / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"ours": {"auth": auth, "region_name": REGION}}}))
        return file

    def whose(self, token: str) -> dict[str, Any]:
        """Return what Keystone knows of a token."""
        with self.cloud.connection() as admin:
            headers = {"X-Auth-Token": admin.auth_token, "X-Subject-Token": token}
        answer = requests.get(f"{self.url}/auth/tokens", headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["token"]
        return found


@pytest.fixture(scope="module")
def identity(cloud: OpenStack) -> Identity:
    return Identity(cloud)


@pytest.fixture(scope="module")
def service(identity: Identity) -> Owner:
    return identity.user("admin")


@pytest.fixture(scope="module")
def keystone(
    identity: Identity, service: Owner, tmp_path_factory: pytest.TempPathFactory
) -> Keystone:
    file = identity.clouds(tmp_path_factory.mktemp("clouds"), service)
    return Keystone("ours", file, 30.0)


@pytest.fixture(scope="module")
def alice(identity: Identity) -> Owner:
    return identity.user("member")


def entrust(keystone: Keystone, owner: Owner) -> str:
    return keystone.create(owner.user_id, owner.project_id, ["member"], owner.token)


def test_a_trusts_token_acts_for_its_owner_in_their_project(
    identity: Identity, keystone: Keystone, alice: Owner, service: Owner
) -> None:
    trust = entrust(keystone, alice)
    found = identity.whose(keystone.token(trust))
    assert (found["user"]["id"], found["project"]["id"]) == (alice.user_id, alice.project_id)
    assert found["OS-TRUST:trust"]["trustee_user"]["id"] == service.user_id
    assert "member" in {role["name"] for role in found["roles"]}
    assert keystone.token(trust) == keystone.token(trust)  # kept while it is good


def test_a_deleted_trust_gives_no_token_and_may_be_deleted_again(
    keystone: Keystone, alice: Owner
) -> None:
    trust = entrust(keystone, alice)
    keystone.token(trust)
    keystone.delete(trust, alice.token)
    with pytest.raises(TrustsError, match="no token from Keystone"):
        keystone.token(trust)
    keystone.delete(trust, alice.token)
    keystone.delete(trust, None)


def test_what_its_owner_does_not_delete_we_do_if_we_may(
    identity: Identity, keystone: Keystone, alice: Owner, tmp_path: Path
) -> None:
    bob = identity.user("member", alice.project_id)
    trust = entrust(keystone, alice)
    keystone.delete(trust, bob.token)
    with pytest.raises(TrustsError):
        keystone.token(trust)
    poor = Keystone("ours", identity.clouds(tmp_path, identity.user("member")), 30.0)
    other = entrust(poor, alice)
    with pytest.raises(TrustsError, match="Keystone did not delete the trust: 403"):
        poor.delete(other, bob.token)
    poor.delete(other, alice.token)


def test_a_trust_needs_its_owners_own_token(
    identity: Identity, keystone: Keystone, alice: Owner
) -> None:
    with pytest.raises(TrustsError, match="its owner's token"):
        keystone.create(alice.user_id, alice.project_id, ["member"], None)
    for token in (identity.user("member").token, "nonsense"):
        with pytest.raises(TrustsError, match=r"Keystone made no trust: 40[13]"):
            keystone.create(alice.user_id, alice.project_id, ["member"], token)


def test_a_cloud_that_is_not_known_and_a_keystone_that_is_away_are_told(tmp_path: Path) -> None:
    file = tmp_path / "clouds.yaml"
    auth = {"auth_url": "http://127.0.0.1:1/v3", "username": "u", "password": "p"}
    file.write_text(yaml.safe_dump({"clouds": {"away": {"auth": auth}}}))
    with pytest.raises(TrustsError, match=r"no login for other: .*alarms\.actions\.cloud"):
        Keystone("other", file, 1.0)
    away = Keystone("away", file, 1.0)
    with pytest.raises(TrustsError, match="no token from Keystone"):
        away.token("T")
    with pytest.raises(TrustsError, match="no login to Keystone"):
        away.create("u", "p", ["member"], "token")
    with pytest.raises(TrustsError, match="Keystone does not answer"):
        away.delete("T", "token")


def test_an_alarms_action_is_called_with_its_owners_token_until_the_alarm_is_deleted(
    store: Store, identity: Identity, keystone: Keystone, alice: Owner
) -> None:
    client = api(store, Alarming(trusts=keystone))
    with receiving() as receiver, delivering(store, tokens=keystone) as bench:
        url = f"trust+{receiver.url}/v1/p/stacks/s/signal"
        answer = client.post(
            "/v2/alarms", json=definition(alarm_actions=[url]), headers=alice.headers
        )
        assert answer.status_code == 201, answer.get_json()
        made = answer.get_json()
        assert made["alarm_actions"] == [url]
        ((action,),) = [one.alarm_actions for one in changed_alarms(store).alarms]
        bench.change(transition(1, made["alarm_id"], action))
        bench.await_states(delivered=1)
        (call,) = receiver.calls
        assert call.path == "/v1/p/stacks/s/signal"
        assert identity.whose(call.headers["x-auth-token"])["user"]["id"] == alice.user_id
        deleted = client.delete(f"/v2/alarms/{made['alarm_id']}", headers=alice.headers)
        assert deleted.status_code == 204
        bench.change(transition(2, made["alarm_id"], action))
        bench.await_attempts(2)
        told = [error for _, error in bench.rows("at, error", "delivery_attempts")]
        assert any("no token from Keystone" in error for error in told)
        assert len(receiver.calls) == 1
        with pytest.raises(TrustsError):
            keystone.token(trust_id(action) or "")


class Heat(http.server.ThreadingHTTPServer):
    """What Orchestration's API says of one stack with one group of two members, and what is asked of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HeatHandler)
        self.asked: list[tuple[str, str, Any]] = []  # method, path, body
        self.tokens: set[str] = set()
        self.refuses: dict[str, int] = {}  # method -> status


class _HeatHandler(http.server.BaseHTTPRequestHandler):
    server: Heat

    def do_GET(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = orjson.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, self.path, body))
        self.server.tokens.add(self.headers["X-Auth-Token"])
        parts = urlsplit(self.path)
        if self.command in self.server.refuses:
            self._say(self.server.refuses[self.command], {})
        elif self.command == "PATCH":
            self._say(202, {})
        elif found := re.fullmatch(r"/v1/stacks/(\w+)", parts.path):
            host = f"http://127.0.0.1:{self.server.server_port}"
            self._say(302, {}, f"{host}/v1/stacks/name-{found[1]}/{found[1]}")
        elif found := re.fullmatch(r"/v1/stacks/name-(\w+)/(\w+)", parts.path):
            self._say(200, {"stack": {"stack_name": f"name-{found[1]}", "id": found[2]}})
        else:
            self._say(200, {"resources": self._resources(parse_qs(parts.query))})

    def _resources(self, query: dict[str, list[str]]) -> list[dict[str, str]]:
        member = query["physical_resource_id"][0]
        known = {"m1": "server-one", "m2": "server-two"}
        return (
            [{"resource_name": "member", "parent_resource": known[member]}]
            if member in known
            else []
        )

    def _say(self, status: int, body: Any, location: str | None = None) -> None:
        content = orjson.dumps(body)
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def orchestration(identity: Identity) -> Iterator[Heat]:
    """Heat as the catalog knows it; what it was asked is each test's own."""
    heat = Heat()
    threading.Thread(target=heat.serve_forever, args=(0.02,), daemon=True).start()
    with identity.cloud.connection() as admin:
        made = admin.identity.create_service(type="orchestration", name="heat")
        admin.identity.create_endpoint(
            service_id=made.id,
            interface="public",
            region_id=REGION,
            url=f"http://127.0.0.1:{heat.server_port}/v1",
        )
    yield heat
    heat.shutdown()
    heat.server_close()


@pytest.fixture
def heat(orchestration: Heat) -> Heat:
    orchestration.asked.clear()
    orchestration.tokens.clear()
    orchestration.refuses.clear()
    return orchestration


def healing(action: str, **reason_data: Any) -> Delivery:
    (one,) = transition(1, "a", action, reason_data=reason_data).deliveries()
    return one


def test_unhealthy_members_are_marked_and_their_stack_updated_in_the_owners_name(
    identity: Identity, keystone: Keystone, alice: Owner, heat: Heat
) -> None:
    action = f"trust+heat://{entrust(keystone, alice)}:delete@"
    told = {
        "stack_id": "top",
        "asg_id": "group",
        "unhealthy_members": [{"id": "m1"}, {"id": "gone"}, {"id": "m2"}],
    }
    assert Orchestration(keystone).send(healing(action, **told)) == Outcome()
    changes = [one for one in heat.asked if one[0] != "GET"]
    unhealthy = {
        "mark_unhealthy": True,
        "resource_status_reason": "unhealthy load balancer member",
    }
    assert changes == [
        ("PATCH", "/v1/stacks/name-group/group/resources/server-one", unhealthy),
        ("PATCH", "/v1/stacks/name-group/group/resources/server-two", unhealthy),
        ("PATCH", "/v1/stacks/name-top/top", {}),
    ]
    (token,) = heat.tokens
    assert identity.whose(token)["user"]["id"] == alice.user_id


def test_the_action_may_say_which_stack_and_what_is_wrong_is_told(
    keystone: Keystone, alice: Owner, heat: Heat
) -> None:
    trust = entrust(keystone, alice)
    found = Orchestration(keystone)
    named = f"trust+heat://{trust}@?stack_id=top&asg_id=group"
    assert found.send(healing(named, unhealthy_members=[{"id": "m1"}])) == Outcome()
    assert found.send(healing(named, unhealthy_members=[{"id": "other"}])) == Outcome(
        "no resource of the stack is an unhealthy member", hopeless=True
    )
    assert found.send(healing(f"trust+heat://{trust}@")) == Outcome(
        "neither the alarm nor the action names stack_id and asg_id", hopeless=True
    )
    heat.refuses["PATCH"] = 409
    assert found.send(healing(named, unhealthy_members=[{"id": "m1"}])) == Outcome(
        "PATCH of Orchestration: 409", 409
    )
    keystone.delete(trust, alice.token)
    gone = found.send(healing(named, unhealthy_members=[{"id": "m1"}]))
    assert gone.error.startswith("Orchestration or Keystone does not answer")
