"""The command line against an API that answers from a script, over real HTTP."""

import csv
import fcntl
import gzip
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from cli.main import Streamgauge, main
from cli.query import query_params
from jobs.replay_lines import cut

Answer = Any
SAMPLE = {
    "id": "s1",
    "timestamp": "2026-11-22T10:00:00",
    "meter": "cpu",
    "type": "cumulative",
    "volume": 3.5,
    "unit": "ns",
    "resource_id": "r/1",
    "project_id": "p",
    "metadata": {"flavor.name": "small"},
}


class Api:
    """What is asked of the API, and what it answers: path -> JSON, (status, JSON), or some in turn."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        raw_path = environ["RAW_URI"].split("?")[0]
        query = parse_qsl(request.query_string.decode(), keep_blank_values=True)
        self.asked.append((request.method, raw_path, query))
        self.bodies.append(request.get_data())
        self.headers.append(dict(request.headers))
        return self._answer(raw_path)(environ, start_response)

    def _answer(self, path: str) -> Response:
        found = self.answers.get(path, (404, {"error_message": {"faultstring": f"no {path}"}}))
        found = next(found) if isinstance(found, Iterator) else found
        status, content = found if isinstance(found, tuple) else (200, found)
        text = content if isinstance(content, str) else json.dumps(content)
        return Response(text, status, content_type="application/json")


@pytest.fixture
def api() -> Iterator[Api]:
    """A scripted API on a free port of this machine."""
    scripted = Api()
    server = make_server("127.0.0.1", 0, scripted, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(api: Api, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against the scripted API -> exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["--api-url", api.url, *arguments])
        except SystemExit as exit_:  # argparse
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_rows_come_as_table_json_csv_and_value(api: Api, run: Run) -> None:
    api.answers["/v2/meters"] = [{"name": "cpu", "type": "cumulative", "unit": "ns"}]
    rows = {
        form: run("meter", "list", "--unique", "-f", form)[1] for form in ("json", "csv", "value")
    }
    assert json.loads(rows["json"]) == [{"name": "cpu", "type": "cumulative", "unit": "ns"}]
    assert list(csv.reader(io.StringIO(rows["csv"]))) == [
        ["name", "type", "unit"],
        ["cpu", "cumulative", "ns"],
    ]
    assert rows["value"] == "cpu cumulative ns\n"
    assert run("meter", "list", "--unique")[1].splitlines()[1] == "| name | type       | unit |"
    assert api.asked[0] == ("GET", "/v2/meters", [("unique", "True")])


def test_conditions_and_limit_become_the_query(api: Api, run: Run) -> None:
    api.answers["/v2/samples"] = [SAMPLE]
    code, out, _ = run(
        *("sample", "list", "--meter", "cpu", "--limit", "5", "-f", "json"),
        *("--query", "resource_id=r/1;timestamp>=2026-11-01", "--query", "metadata.n<integer::3"),
    )
    assert (code, json.loads(out)[0]["resource_id"]) == (0, "r/1")
    assert api.asked == [
        (
            "GET",
            "/v2/samples",
            [
                *_condition("resource_id", "eq", "r/1"),
                *_condition("timestamp", "ge", "2026-11-01"),
                *_condition("metadata.n", "lt", "3", "integer"),
                *_condition("meter", "eq", "cpu", "string"),
                ("limit", "5"),
            ],
        )
    ]


def _condition(field: str, op: str, value: str, kind: str = "") -> list[tuple[str, str]]:
    return [("q.field", field), ("q.op", op), ("q.value", value), ("q.type", kind)]


@given(
    field=st.from_regex(r"[a-z_.]{1,20}", fullmatch=True),
    op=st.sampled_from(["<=", ">=", "!=", "=", "<", ">"]),
    value=st.from_regex(r"[a-zA-Z0-9/ :.=<>!-]{0,20}", fullmatch=True),
)
def test_a_condition_is_taken_apart_at_its_first_operator(field: str, op: str, value: str) -> None:
    names = {"<=": "le", ">=": "ge", "!=": "ne", "=": "eq", "<": "lt", ">": "gt"}
    kinds = ("integer::", "float::", "string::", "boolean::", "datetime::")
    if value.startswith("=") or value.lstrip().startswith(kinds):
        return  # another operator, or a type
    expected = _condition(field, names[op], value.strip())
    assert query_params([f"{field} {op}{value}"]) == expected


def test_a_condition_without_an_operator_is_bad_usage(run: Run) -> None:
    code, out, err = run("meter", "list", "--query", "cpu")
    assert (code, out) == (2, "")
    assert err == "--query 'cpu': must be FIELD OP VALUE, such as resource_id=abc\n"


def test_one_thing_is_shown_by_its_fields(api: Api, run: Run) -> None:
    api.answers["/v2/samples/s1"] = SAMPLE
    _, out, _ = run("sample", "show", "s1", "-f", "json")
    assert json.loads(out)["metadata.flavor.name"] == "small"


def test_an_id_may_hold_any_character(api: Api, run: Run) -> None:
    api.answers["/v2/resources/a%2Fb%20%3F"] = {
        "resource_id": "a/b ?",
        "links": [{"rel": "self", "href": "x"}, {"rel": "cpu", "href": "y"}],
    }
    _, out, _ = run("resource", "show", "a/b ?", "-f", "json")
    assert json.loads(out) == {"resource_id": "a/b ?", "meters": ["cpu"]}


def test_a_sample_is_pushed_with_what_was_given(api: Api, run: Run) -> None:
    api.answers["/v2/meters/disk.size"] = (201, [{"message_id": "m", "counter_volume": 2.0}])
    code, out, _ = run(
        *("sample", "create", "--meter", "disk.size", "--type", "gauge", "--unit", "GiB"),
        *("--volume", "2", "--resource", "r", "--metadata", "a.b=c=d", "-f", "json"),
    )
    assert (code, json.loads(out)["message_id"]) == (0, "m")
    assert json.loads(api.bodies[0]) == [
        {
            "counter_name": "disk.size",
            "counter_type": "gauge",
            "counter_unit": "GiB",
            "counter_volume": 2.0,
            "resource_id": "r",
            "resource_metadata": {"a.b": "c=d"},
        }
    ]


def test_statistics_have_a_column_for_each_group_and_figure(api: Api, run: Run) -> None:
    api.answers["/v2/meters/cpu/statistics"] = [
        {
            "period": 60,
            "period_start": "a",
            "period_end": "b",
            "groupby": {"project_id": "p"},
            "aggregate": {"avg": 2.0, "cardinality/resource_id": 3.0},
        }
    ]
    _, out, _ = run(
        *("statistics", "cpu", "--period", "60", "--groupby", "project_id"),
        *("--aggregate", "avg", "--aggregate", "cardinality:resource_id", "-f", "value"),
    )
    assert out == "60 a b p 2.0 3.0\n"
    assert api.asked[0][2] == [
        ("period", "60"),
        ("groupby", "project_id"),
        ("aggregate.func", "avg"),
        ("aggregate.param", ""),
        ("aggregate.func", "cardinality"),
        ("aggregate.param", "resource_id"),
    ]


def test_an_event_shows_its_traits_by_name(api: Api, run: Run) -> None:
    event = {
        "message_id": "m",
        "event_type": "image.upload",
        "generated": "2026-11-22T10:00:00",
        "traits": [{"name": "size", "type": "integer", "value": "5"}],
    }
    api.answers["/v2/events/m"] = event
    api.answers["/v2/events"] = [event]
    assert json.loads(run("event", "show", "m", "-f", "json")[1])["traits.size"] == "5"
    listed = json.loads(run("event", "list", "--traits", "-f", "json")[1])
    assert listed[0]["traits"] == {"size": "5"}


def test_all_of_one_reason_are_fed_again(api: Api, run: Run) -> None:
    api.answers["/v1/invalid/redrive"] = {"redriven": 7}
    code, out, _ = run("invalid", "redrive", "--all", "--reason", "bad_json", "-f", "value")
    assert (code, out) == (0, "7\n")
    assert json.loads(api.bodies[0]) == {"reason": "bad_json", "limit": 1000}


def test_some_are_fed_again_by_id(api: Api, run: Run) -> None:
    api.answers |= {"/v1/invalid/a/redrive": {}, "/v1/invalid/b/redrive": {}}
    assert run("invalid", "redrive", "a", "b", "-f", "value")[:2] == (0, "2\n")
    assert [path for _, path, _ in api.asked] == ["/v1/invalid/a/redrive", "/v1/invalid/b/redrive"]


def test_feeding_again_needs_ids_or_all(run: Run) -> None:
    assert run("invalid", "redrive")[0] == 2
    assert run("invalid", "redrive", "a", "--all")[0] == 2


def test_status_is_flat(api: Api, run: Run) -> None:
    api.answers["/v1/status"] = {"samples": 3, "feeds": {"rabbitmq": {"connected": True}}}
    _, out, _ = run("status", "-f", "json")
    assert json.loads(out) == {"samples": 3, "feeds.rabbitmq.connected": True}


def test_the_token_is_sent(api: Api, run: Run) -> None:
    api.answers["/v2/meters"] = []
    run("--token", "secret", "meter", "list")
    assert api.headers[0]["X-Auth-Token"] == "secret"


def test_the_reason_of_the_api_is_shown_on_one_line(api: Api, run: Run) -> None:
    api.answers["/v2/meters"] = (400, {"error_message": {"faultstring": "Limit must be positive"}})
    assert run("meter", "list") == (1, "", "Limit must be positive\n")


def test_an_answer_that_is_not_ours_is_said_to_be_so(api: Api, run: Run) -> None:
    api.answers["/v2/meters"] = (200, "<html>")
    code, _, err = run("meter", "list")
    assert (code, err.endswith("answered 200 without JSON; is this Streamgauge's API?\n")) == (
        1,
        True,
    )


def test_a_service_that_is_away_is_one_line_with_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody answers there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--api-url", url, "status"]) == 1
    assert capsys.readouterr().err == (
        f"{url} does not answer. Start Streamgauge with `make run` or `streamgauge run`, "
        "or give another address with --api-url.\n"
    )


def test_debug_shows_the_traceback_before_the_line(api: Api, run: Run) -> None:
    code, _, err = run("--debug", "meter", "list")
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("\nno /v2/meters\n")


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["sample", "create"], ["meter", "list", "--limit", "0"], ["--nope"]]
)
def test_bad_usage_is_2(arguments: list[str], run: Run) -> None:
    assert run(*arguments)[0] == 2


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "  sample create  " in capsys.readouterr().out


def test_a_bad_configuration_is_2_with_every_fault(tmp_path: Path, run: Run, api: Api) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("api: {threads: 0}\nspol: {}\n")
    faults = "api.threads: must be greater than or equal to 1\nspol: unknown field; did you mean spool?\n"
    for command in (["config", "check"], ["run"], ["replay", str(file)]):
        assert run(*command, "--config", str(file)) == (2, "", faults)
    assert api.asked == []


def test_a_good_configuration_is_said_to_be_so(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("api: {threads: 2}\n")
    expected = f"{file} is good; feeds: none but the spool\n"
    assert run("config", "check", "--config", str(file)) == (0, expected, "")


def test_listing_does_not_wait_for_the_job_to_be_imported() -> None:
    program = (
        "import sys; from cli.main import main; main(['meter', 'list']);"
        "print([name for name in ('apache_beam', 'chdb', 'pyarrow', 'pydantic') if name in sys.modules])"
    )
    away = os.environ | {"STREAMGAUGE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=away, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_every_command_has_one_line_of_help() -> None:
    app = Streamgauge()
    for name, _ in app.command_manager:
        found, _, _ = app.command_manager.find_command(name.split())
        assert found(app, None).get_description().splitlines()[0].strip()


@pytest.fixture
def taken_folder(tmp_path: Path) -> Iterator[Path]:
    """A database folder that a process has, by the engine's own lock; -> a configuration of it."""
    folder = tmp_path / "db"
    folder.mkdir()
    file = tmp_path / "c.yaml"
    file.write_text(f"database: {{path: {folder}}}\n")
    with (folder / "status").open("w") as status:
        fcntl.flock(status, fcntl.LOCK_EX)
        yield file


def test_a_replay_beside_a_running_service_goes_through_it(
    api: Api, run: Run, taken_folder: Path, tmp_path: Path
) -> None:
    lines = [b'{"a":1}', b"broken", b'{"b":2}']
    first, second = tmp_path / "[1].jsonl", tmp_path / "two.jsonl.gz"
    first.write_bytes(b"\n".join(lines[:2]) + b"\n")
    second.write_bytes(gzip.compress(lines[2]))
    api.answers["/v1/payloads"] = (201, {"accepted": 3})
    code, out, err = run(
        "replay", str(first), str(second), "--config", str(taken_folder), "-f", "json"
    )
    assert (code, err) == (0, "")
    assert json.loads(out) == {"payloads": 3, "through": api.url}
    assert api.bodies == [b"\n".join(lines)]
    assert api.headers[0]["Content-Type"] == "application/x-ndjson"


def test_a_replay_waits_while_the_spool_is_full(
    api: Api, run: Run, taken_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"{}\n")
    full = (503, {"error_message": {"faultstring": "the spool is full"}})
    api.answers["/v1/payloads"] = iter([full, full, (201, {"accepted": 1})])
    code, out, _ = run("replay", str(file), "--config", str(taken_folder), "-f", "value")
    assert (code, out) == (0, f"1\n{api.url}\n")
    assert api.bodies == [b"{}"] * 3


def test_a_replay_of_a_file_that_is_not_there_is_bad_usage(run: Run) -> None:
    assert run("replay", "nowhere.jsonl") == (2, "", "no such file: nowhere.jsonl\n")


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=20))
def test_lines_are_cut_in_order_to_the_size_of_a_request(lines: list[bytes]) -> None:
    parts = list(cut(lines, 12))
    assert [line for part in parts for line in part] == lines
    assert all(len(part) == 1 or len(b"\n".join(part)) < 12 for part in parts)
