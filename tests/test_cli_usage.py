"""`streamgauge usage` and `late` against the real API, over HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.serving import make_server

from cli.main import main
from metering.config import Config
from metering.restatement import Restatement, RestateScope, SumChange
from store.client import Store
from store.rows import insert_final, insert_usage, sample_rows
from tests.api import RecordingSpool, fill, ms
from tests.tables import samples, usage_rows
from webapi.app import create_app

Ask = Callable[..., tuple[Any, str]]
START = ms(0) // 1000  # 2026-11-22T10:00:00


def _restate(scope: RestateScope, apply: bool) -> Restatement:
    change = SumChange(scope.meter or "all", scope.project_id or "", 3600, 4, 1.0, 2.5)
    return Restatement(4, [change], apply)


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    """The address of an API over three hours of two resources, and a late sample."""
    hours = [
        {
            "resource_id": f"vm{v}",
            "project_id": f"p{v}",
            "start": START + h * 3600,
            "usage": 1.0 + h,
        }
        for v in range(2)
        for h in range(3)
    ]
    insert_usage(store, usage_rows(*hours))
    insert_final(store, [0], 1, ms(3600), ms(3600))
    late = samples(meter=["cpu"], resource_id=["vm0"], timestamp=[ms(60)], volume=[5.0])
    store.insert("samples", sample_rows(late, 1))
    fill(store, meter=["cpu"], resource_id=["vm0"], timestamp=[ms(0)])
    app = create_app(Config(), store, RecordingSpool(), dict, _restate)
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(url: str, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command; return its JSON and what it said beside that."""

    def call(*arguments: str) -> tuple[Any, str]:
        code = main(["--api-url", url, *arguments, "-f", "json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out), captured.err

    return call


def test_usage_is_listed(ask: Ask) -> None:
    rows, said = ask("usage", "list", "--resource", "vm0", "--to", "2026-11-22T12:00")
    assert rows[0] == {
        "meter": "cpu",
        "resource_id": "vm0",
        "project_id": "p0",
        "segment": "",
        "start": "2026-11-22T10:00:00",
        "usage": 1.0,
        "unit": "ns",
        "average": 1.0,
        "complete": 1.0,
        "state": "final",
    }
    assert (len(rows), said) == (2, "")


def test_every_column_is_there_where_asked(ask: Ask) -> None:
    (row,), _ = ask(
        *("usage", "list", "--long", "--only-final", "--project", "p1"),
        *("--period", "3600", "--as-of", "2026-11-22T11:30", "--user", "u", "--meter", "cpu"),
    )
    assert (row["version"], row["count"], row["period"], row["state"]) == (1, 1, 3600, "final")


def test_usage_is_added_up(ask: Ask) -> None:
    rows, _ = ask("usage", "list", "--groupby", "project_id")
    assert [(row["project_id"], row["meter"], row["usage"]) for row in rows] == [
        ("p0", "cpu", 6.0),
        ("p1", "cpu", 6.0),
    ]
    rows, _ = ask("usage", "list", "--groupby", "start", "--long", "--from", "2026-11-22T12:00")
    assert [(row["start"], row["rows"], row["max"]) for row in rows] == [
        ("2026-11-22T12:00:00", 2, 1.0)
    ]


def test_more_rows_than_asked_for_are_told(ask: Ask) -> None:
    rows, said = ask("usage", "list", "--limit", "4")
    assert (len(rows), said) == (4, "there are more than these 4 rows: --limit\n")


def test_gaps_are_listed(ask: Ask) -> None:
    rows, _ = ask("usage", "gaps", "--from", "2026-11-22T10:00", "--to", "2026-11-22T12:00")
    assert [(row["from"], row["to"], row["why"], row["missing"]) for row in rows] == [
        ("2026-11-22T10:00:00", "2026-11-22T11:00:00", "late", 1),
        ("2026-11-22T10:00:00", "2026-11-22T12:00:00", "silent", None),
    ]


def test_late_samples_are_listed(ask: Ask) -> None:
    (row,), _ = ask("late", "list", "--meter", "cpu", "--state", "late")
    assert (row["timestamp"], row["volume"], row["window_end"], row["state"]) == (
        "2026-11-22T10:01:00",
        5.0,
        "2026-11-22T11:00:00",
        "late",
    )
    assert ask("late", "list", "--state", "restated") == ([], "")


@pytest.mark.parametrize("name", [("usage", "restate"), ("restate",)])
def test_a_restatement_is_shown_and_written_where_asked(ask: Ask, name: tuple[str, ...]) -> None:
    command = (*name, "--from", "2026-11-22", "--to", "2026-11-23", "--project", "p1")
    change = {"meter": "all", "project_id": "p1", "period": 3600}
    change |= {"rows": 4, "before": 1.0, "after": 2.5}
    rows, said = ask(*command)
    assert (rows, said) == ([change], "4 rows differ; not written: --apply does that\n")
    rows, said = ask(*command, "--apply", "--meter", "cpu")
    assert (rows, said) == ([change | {"meter": "cpu"}], "4 rows differ; written as new versions\n")


def test_a_range_is_needed_to_restate(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["usage", "restate", "--from", "2026-11-22"])
    assert "required: --to" in capsys.readouterr().err
