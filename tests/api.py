"""The web application for tests: a client over a store, a spool that remembers, samples to ask for."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from flask.testing import FlaskClient

from metering.config import Config, Database
from store.client import Store
from store.rows import insert_latest, insert_samples
from tests.tables import samples
from webapi.app import create_app

START = dt.datetime(2026, 11, 22, 10)
ALICE = {"X-User-Id": "alice", "X-Project-Id": "p1", "X-Roles": "member"}  # not an admin


class RecordingSpool:
    """Keeps what is appended; refuses with `error` where one is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.bodies: list[bytes] = []
        self.error = error

    def append(self, bodies: Sequence[bytes]) -> None:
        if self.error is not None:
            raise self.error
        self.bodies += bodies


def client(
    store: Store, spool: RecordingSpool | None = None, **config: dict[str, Any]
) -> FlaskClient:
    """Return a client of the application; `api={"default_limit": 3}` and the like configure it."""
    configuration = Config.model_validate(config)
    app = create_app(configuration, store, spool or RecordingSpool(), dict)
    return app.test_client()


def bare_client(**config: dict[str, Any]) -> FlaskClient:
    """Return a client of an application that must not need its store."""
    return client(Store(Database()), **config)


def ms(seconds: float) -> int:
    """Return a time in ms since the epoch, so many seconds after START."""
    start = START.replace(tzinfo=dt.timezone.utc).timestamp()
    return int(start * 1000 + seconds * 1000)


def fill(store: Store, **columns: list[Any]) -> None:
    """Put samples into the store as the job does; see tests.tables.samples for the columns."""
    rows = samples(**columns)
    insert_samples(store, rows)
    insert_latest(store, rows)


def fleet(store: Store) -> None:
    """Put in three instances of two projects: cpu every minute three times, disk.size once."""
    n = range(9)
    vm = [i % 3 for i in n]
    fill(
        store,
        meter=["cpu"] * 9,
        type=["cumulative"] * 9,
        unit=["ns"] * 9,
        volume=[float(i) for i in n],
        project_id=[("p1", "p1", "p2")[v] for v in vm],
        user_id=[("alice", "bob", "carol")[v] for v in vm],
        resource_id=[f"vm{v}" for v in vm],
        timestamp=[ms(60 * (i // 3)) for i in n],
        metadata=[FLAVORS[v] for v in vm],
        message_id=[f"cpu-{i}" for i in n],
        recorded_at=[ms(0) // 1000] * 9,
    )
    fill(
        store,
        meter=["disk.size"],
        unit=["GiB"],
        volume=[20.0],
        project_id=["p1"],
        user_id=["alice"],
        resource_id=["vm0"],
        timestamp=[ms(30)],
        metadata=['{"flavor.name":"m1"}'],
        message_id=["disk-0"],
        recorded_at=[ms(0) // 1000],
    )


FLAVORS = (
    '{"flavor.name":"m1","instance_type":"1","vcpus":1}',
    '{"flavor.name":"m2","instance_type":"2","vcpus":4}',
    '{"active":true,"flavor.name":"m2"}',
)


def fault(response: Any) -> tuple[int, str]:
    """Return the status and the text of an error, having checked its shape."""
    body = response.get_json()["error_message"]
    assert set(body) == {"faultstring", "faultcode", "debuginfo"}
    assert body["faultcode"] == ("Server" if response.status_code >= 500 else "Client")
    return response.status_code, body["faultstring"]
