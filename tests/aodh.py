"""The unmodified `aodh` 3.12.0 and `openstack` clients as processes, against the API on a loopback address."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

from metering.config import Config
from store.client import Store
from tests.api import RecordingSpool
from tests.client_program import environment, installed
from webapi.app import create_app
from webapi.serving import serve

REQUIREMENTS = ("aodhclient==3.12.0", "python-openstackclient==10.5.0")

Client = Callable[..., str]


@contextlib.contextmanager
def running(store: Store, program: str) -> Iterator[Client]:
    """Serve the API over the store; what it gives runs `aodh` or `openstack` and returns what that prints.

    `aodh` asks as alice of project p1 unless `roles`, `user` or `project` say otherwise; `openstack`,
    with a token alone, as an admin of no project.
    """
    serving = serve(create_app(Config(), store, RecordingSpool(), dict), "127.0.0.1:0", 2)
    try:
        yield asking(f"http://{serving.address}", program)
    finally:
        serving.close()


def asking(url: str, program: str = "aodh") -> Client:
    """Return what runs a client against an API, as `running` gives it."""
    path = installed("aodhclient-3.12.0", REQUIREMENTS) / program

    def run(*arguments: str, fails: bool = False, **caller: str) -> str:
        command = [str(path), *_identity(program, url, caller), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment()
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


def as_json(client: Client, *arguments: str, **caller: str) -> Any:
    """Run a command that prints JSON, and return that."""
    return json.loads(client(*arguments, "-f", "json", **caller))


def _identity(program: str, url: str, caller: dict[str, str]) -> list[str]:
    if program == "openstack":
        return ["--os-auth-type", "admin_token", "--os-token", "T", "--os-endpoint", url]
    who = {"user": "alice", "project": "p1", "roles": "member"} | caller
    return [
        *("--os-auth-type", "aodh-noauth", "--aodh-endpoint", url, "--roles", who["roles"]),
        *("--user-id", who["user"], "--project-id", who["project"]),
    ]
