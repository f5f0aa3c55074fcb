"""`streamgauge api`: the API in a process of its own, beside a job that runs elsewhere."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
import yaml

from cli.main import main
from metering.config import Database
from store.client import Store
from store.migrate import migrate, migrations
from tests import aodh, ceilometer
from tests.api import fill, fleet, ms
from tests.api_process import ApiProcess, ended, gpu
from tests.servers.engine import EngineServer, engine_in
from tests.servers.rabbitmq import RabbitServer, connect, wait_until
from tests.servers.relay import relay_to
from tests.soak.service import service_in
from tests.soak.sources import RabbitSource

pytestmark = pytest.mark.server

SECONDS = 120.0
_numbers = itertools.count(1)


@dataclasses.dataclass
class Own(RabbitSource):
    """A queue of a test's own, bound to nothing but an exchange of its own."""

    def feed(self) -> dict[str, Any]:
        return super().feed() | {"exchanges": [self.queue]}

    def waiting(self) -> int:
        """Return how many messages wait; none where the queue is not declared yet."""
        with contextlib.suppress(amqp.exceptions.NotFound):
            return super().waiting()
        return 0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    with engine_in(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def database(engine: EngineServer) -> dict[str, Any]:
    """A database that a job has made its tables in."""
    found = {**engine.database(), "name": f"alone_{next(_numbers)}"}
    with opened(found) as store:
        migrate(store)
    return found


@contextlib.contextmanager
def opened(database: dict[str, Any]) -> Iterator[Store]:
    with contextlib.closing(Store(Database.model_validate(database))) as store:
        yield store


@pytest.fixture
def queue(rabbitmq: RabbitServer) -> Iterator[Own]:
    found = Own(rabbitmq.url, f"alone{next(_numbers)}")
    yield found
    with connect(rabbitmq.url) as connection:
        connection.channel().queue_delete(f"{found.queue}.notifications")
        connection.channel().exchange_delete(found.queue)


def test_what_is_pushed_is_metered_once_though_the_api_is_killed_before_it_hears_so(
    database: dict[str, Any], queue: Own, rabbitmq: RabbitServer, tmp_path: Path
) -> None:
    with relay_to(rabbitmq.port) as relay:
        there = f"amqp://guest:guest@127.0.0.1:{relay.port}/"
        feed = queue.feed() | {"urls": [there]}
        with ended(ApiProcess(tmp_path / "api", database, [feed])) as api:
            pushed = [api.push("first")]
            wait_until(lambda: queue.waiting() == 1, "the first in the queue", SECONDS)
            wait_until(lambda: api.pushes()["records"] == 0, "the first to be confirmed", SECONDS)
            relay.hold()
            pushed.append(api.push("second"))
            wait_until(lambda: queue.waiting() == 2, "the second in the queue", SECONDS)
            assert api.pushes()["records"] >= 1  # it was not confirmed
            api.kill()
            relay.release()
            api.start()
            wait_until(lambda: api.pushes()["records"] == 0, "the spool to be empty", SECONDS)
            queued = queue.waiting()
            assert queued >= 3  # the second twice
            api.push_event("rack.opened")
            wait_until(lambda: queue.waiting() == queued + 1, "the event in the queue", SECONDS)
            with service_in(tmp_path / "job", queue, server=database) as job:
                job.start()
                job.drain()
                assert samples_in(database) == [
                    (one["resource_id"], one["message_id"]) for one in pushed
                ]
                assert events_in(database) == [("rack.opened",)]
                status = job.status()
                assert status is not None
                assert (status["samples"], status["repeats"]) == (2, queued - 2)
            assert [one["resource_id"] for one in api.ask("/v2/samples")[1]] == ["second", "first"]
            assert api.stop() == 0


def samples_in(database: dict[str, Any]) -> list[tuple[Any, ...]]:
    question = "SELECT resource_id, message_id FROM {name}.v_samples ORDER BY timestamp"
    return rows(database, question)


def events_in(database: dict[str, Any]) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT event_type::String FROM {name}.v_events")


def rows(database: dict[str, Any], question: str) -> list[tuple[Any, ...]]:
    with opened(database) as store:
        found = store.query(question.replace("{name}", database["name"])).result_rows
    return [tuple(row) for row in found]


def test_unmodified_clients_ask_and_two_stand_beside_each_other(
    database: dict[str, Any], queue: Own, tmp_path: Path
) -> None:
    with opened(database) as store:
        fleet(store)
        now = (int(time.time() * 1000) - ms(0)) / 1000
        fill(store, meter=["heat"], resource_id=["oven"], timestamp=[ms(now)], volume=[90.0])
    one = ApiProcess(tmp_path / "one", database, [queue.feed()])
    two = ApiProcess(tmp_path / "two", database, [queue.feed()])
    with ended(one), ended(two):
        asked_by_ceilometer(one)
        asked_by_aodh(one, two)
        refused = ApiProcess(tmp_path / "three", database, [queue.feed()], tmp_path / "one/spool")
        done = refused.run()
        assert (done.returncode, done.stderr) == (
            1,
            f"the spool folder {tmp_path / 'one/spool'} is in use by another process; stop that one,"
            " or set spool.path to another folder\n",
        )
        one.push("first")
        two.push("second")
        assert (one.stop(), two.stop()) == (0, 0)
    assert queue.waiting() == 2
    assert one.said()[1:3] == [
        f"  API          {one.url}/v2/meters   (and {one.url}/openapi.json)",
        f"  pushes       queue {queue.queue}.notifications of feed rabbitmq",
    ]
    assert one.said()[-3:] == [
        "stopping: forwarding what was pushed",
        "1 messages forwarded   last error: none",
        "stopped",
    ]


def asked_by_ceilometer(api: ApiProcess) -> None:
    ask = ceilometer.asking(api.url)
    assert ceilometer.rows(ask("meter-list", "-q", "project=p2")) == [
        ["cpu", "cumulative", "ns", "vm2", "carol", "p2"]
    ]
    assert ceilometer.table(ask("sample-list", "-m", "cpu", "-q", "resource=vm1", "-l", "1")) == [
        ["Resource ID", "Name", "Type", "Volume", "Unit", "Timestamp"],
        ["vm1", "cpu", "cumulative", "7.0", "ns", "2026-11-22T10:02:00"],
    ]
    statistics = ceilometer.table(ask("statistics", "-m", "cpu", "-p", "60", "-q", "user=bob"))
    assert statistics[1][:2] == ["60", "2026-11-22T10:00:00"]


def asked_by_aodh(one: ApiProcess, two: ApiProcess) -> None:
    """What one API writes of alarms another serves: the store alone has it."""
    first, second = aodh.asking(one.url), aodh.asking(two.url)
    made = aodh.as_json(
        first,
        *("alarm", "create", "--name", "hot", "-t", "threshold", "-m", "heat"),
        *("--threshold", "80", "--comparison-operator", "gt", "--period", "3600"),
    )
    assert aodh.as_json(second, "alarm", "show", "hot") == made
    assert [row["name"] for row in aodh.as_json(second, "alarm", "list")] == ["hot"]
    state = ("alarm", "state", "set", "hot", "--state", "alarm", "-f", "value", "-c", "state")
    assert second(*state) == "alarm\n"
    alarm_id = made["alarm_id"]
    history = aodh.as_json(first, "alarm-history", "show", alarm_id)
    assert [entry["type"] for entry in history] == ["state transition", "creation"]
    code, told = one.ask(f"/v1/alarms/{alarm_id}/explain")
    assert (code, told["state"], told["reason"]) == (200, "alarm", "Manually set via API")
    assert told["watermark"] is not None
    first("alarm", "delete", "hot")
    assert aodh.as_json(second, "alarm", "list") == []


def test_what_it_knows_is_told_and_what_it_cannot_do_is_refused_with_the_reason(
    database: dict[str, Any], tmp_path: Path
) -> None:
    with ended(ApiProcess(tmp_path / "api", database)) as api:
        status = api.status()
        assert (status.pop("version"), status.pop("uptime_seconds")) > ("", 0)
        assert status == {
            "job": "not in this process",
            "newest_sample": None,
            "last_error": None,
            "feeds": {},
        }
        code, told = api.ask("/v2/meters/gpu", gpu("vm"))
        assert (code, told["error_message"]["faultstring"]) == (
            503,
            "pushes are not taken here: the configuration has no rabbitmq feed to forward them to;"
            " give it the one that the job reads, and start this again",
        )
        with opened(database) as store:
            fill(store, meter=["cpu"], timestamp=[ms(0)])
        assert api.status()["newest_sample"] == "2026-11-22T10:00:00.000"
        scope = {"start": "2026-11-22T10:00:00", "end": "2026-11-22T11:00:00"}
        code, told = api.ask("/v1/usage/restate", scope)
        assert (code, told["error_message"]["faultstring"]) == (
            409,
            "no window of this time is final yet: there is nothing to restate",
        )
        code, told = api.ask("/v1/usage/restate", scope | {"apply": True})
        assert (code, told["error_message"]["faultstring"]) == (
            503,
            "Restated usage is written beside the job, which is told of it, and it runs in no process"
            " with an API: stop it, restate by a `streamgauge run` on the same database, then start"
            " it again",
        )
        counters = api.text("/metrics")
        assert "streamgauge_pushes_forwarded_total 0.0" in counters
        assert "streamgauge_samples_total" not in counters  # the job counts them
        assert api.stop() == 0


def test_a_database_without_a_jobs_tables_is_refused(engine: EngineServer, tmp_path: Path) -> None:
    done = ApiProcess(tmp_path / "api", {**engine.database(), "name": "nobodys"}).run()
    assert (done.returncode, done.stderr) == (
        1,
        f"the database nobodys has schema version 0, this program needs {max(migrations())}: start its"
        " job first, which makes the tables (`streamgauge submit` or `streamgauge run`)\n",
    )


@pytest.mark.parametrize(
    ("config", "options", "said"),
    [
        (
            {},
            [],
            "database.url: the API alone needs a ClickHouse server, and none is set: the embedded"
            " engine of database.path belongs to one process; set it, or start `streamgauge run`,"
            " which serves the API, too",
        ),
        (
            {"feeds": ["a", "b"]},
            [],
            "--feed: which rabbitmq feed? The configuration has: a, b",
        ),
        (
            {"feeds": []},
            ["--feed", "c"],
            "--feed: the configuration has no rabbitmq feed 'c', but: none",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    config: dict[str, Any],
    options: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "amqp://u:p@127.0.0.1:1/"
    feeds = [{"type": "rabbitmq", "name": name, "urls": [url]} for name in config.get("feeds", [])]
    database = {"url": "http://u@127.0.0.1:1"} if config else {}
    file = tmp_path / "api.yaml"
    file.write_text(yaml.safe_dump({"database": database, "feeds": feeds}))
    assert main(["api", "--config", str(file), *options]) == 2
    assert capsys.readouterr().err == f"{said}\n"
