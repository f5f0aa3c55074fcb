"""The command line against the real API, over HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from werkzeug.serving import make_server

from cli.main import main
from metering.config import Config
from store.client import Store
from tests.api import RecordingSpool, fleet
from webapi.app import create_app

Ask = Callable[..., Any]


@pytest.fixture
def spool() -> RecordingSpool:
    return RecordingSpool()


@pytest.fixture
def url(store: Store, spool: RecordingSpool) -> Iterator[str]:
    """The address of an API over a store with three instances."""
    fleet(store)
    server = make_server("127.0.0.1", 0, create_app(Config(), store, spool, dict))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(url: str, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command and return its JSON."""

    def call(*arguments: str) -> Any:
        code = main(["--api-url", url, *arguments, "-f", "json"])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        return json.loads(captured.out)

    return call


def test_meters_are_listed(ask: Ask) -> None:
    rows = ask("meter", "list", "--query", "resource_id=vm0")
    assert sorted((row["name"], row["resource_id"]) for row in rows) == [
        ("cpu", "vm0"),
        ("disk.size", "vm0"),
    ]
    assert ask("meter", "list", "--unique", "--query", "project_id=p2") == [
        {"name": "cpu", "type": "cumulative", "unit": "ns"}
    ]


def test_samples_are_listed_newest_first_and_shown(ask: Ask) -> None:
    rows = ask("sample", "list", "--meter", "cpu", "--query", "resource=vm0", "--limit", "2")
    assert [(row["timestamp"], row["volume"]) for row in rows] == [
        ("2026-11-22T10:02:00", 6.0),
        ("2026-11-22T10:01:00", 3.0),
    ]
    shown = ask("sample", "show", rows[0]["id"])
    assert (shown["volume"], shown["metadata.flavor.name"]) == (6.0, "m1")


def test_conditions_on_time_and_metadata_hold(ask: Ask) -> None:
    query = "timestamp>2026-11-22T10:01:00;metadata.vcpus=integer::4"
    rows = ask("sample", "list", "--query", query)
    assert [(row["resource_id"], row["volume"]) for row in rows] == [("vm1", 7.0)]


def test_statistics_by_project(ask: Ask) -> None:
    rows = ask("statistics", "cpu", "--groupby", "project_id")
    figures = {row["project_id"]: (row["count"], row["min"], row["max"]) for row in rows}
    assert figures == {"p1": (6, 0.0, 7.0), "p2": (3, 2.0, 8.0)}


def test_chosen_figures_a_period(ask: Ask) -> None:
    rows = ask(
        *("statistics", "cpu", "--period", "60", "--query", "resource_id=vm0"),
        *("--aggregate", "max", "--aggregate", "cardinality:resource_id"),
    )
    assert [(row["period_start"], row["max"]) for row in rows] == [
        ("2026-11-22T10:00:00", 0.0),
        ("2026-11-22T10:01:00", 3.0),
        ("2026-11-22T10:02:00", 6.0),
    ]
    assert [row["cardinality:resource_id"] for row in rows] == [1, 1, 1]


def test_resources_are_listed_and_shown_with_their_meters(ask: Ask) -> None:
    assert {row["resource_id"] for row in ask("resource", "list")} == {"vm0", "vm1", "vm2"}
    shown = ask("resource", "show", "vm0")
    assert (shown["project_id"], shown["meters"]) == ("p1", ["cpu", "disk.size"])


def test_a_pushed_sample_is_in_the_spool(ask: Ask, spool: RecordingSpool) -> None:
    made = ask(
        *("sample", "create", "--meter", "disk.x", "--type", "gauge", "--unit", "GiB"),
        *("--volume", "2", "--resource", "r", "--metadata", "k=v"),
    )
    (body,) = spool.bodies
    (sample,) = orjson.loads(body)["payload"]["samples"]
    assert (sample["counter_name"], sample["resource_metadata"]) == ("disk.x", {"k": "v"})
    assert sample["message_id"] == made["message_id"]
