"""The SQL endpoint as its clients see it: clickhouse-connect over HTTP, and what the wire carries."""

import concurrent.futures
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
import requests
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from hypothesis import given
from hypothesis import strategies as st

from metering.config import Config, Database, Sql
from store.client import Store
from store.rows import insert_samples
from tests.stores import migrated
from tests.tables import samples
from webapi.serving import Serving, ServingError, check_loopback, serve
from webapi.sql_blocks import packed, unpacked
from webapi.sql_encodings import ENCODINGS, decoded, encoded
from webapi.sql_endpoint import create_sql_app

PASSWORD = "open sesame"


def _config(store: Store, **sql: object) -> Config:
    return Config(database=store.database, sql=Sql.model_validate({"password": PASSWORD, **sql}))


@pytest.fixture(scope="module")
def store(engine_path: Path) -> Iterator[Store]:
    """One store for all: nothing here changes it."""
    with migrated(Database(path=engine_path, name="analysed")) as opened:
        insert_samples(opened, samples(volume=[1.5, 2.5], resource_id=["r1", "r2"]))
        yield opened


@pytest.fixture(scope="module")
def endpoint(store: Store) -> Iterator[Serving]:
    serving = serve(create_sql_app(_config(store), store), "127.0.0.1:0", 4)
    yield serving
    serving.close()


@pytest.fixture
def client(endpoint: Serving) -> Iterator[Client]:
    host, port = endpoint.address.split(":")
    with clickhouse_connect.get_client(
        host=host, port=int(port), username="analyst", password=PASSWORD
    ) as found:
        yield found


def _ask(endpoint: Serving, sql: str, **args: str) -> requests.Response:
    return requests.post(
        f"http://{endpoint.address}/", sql, params=args, auth=("analyst", PASSWORD), timeout=30
    )


def test_clickhouse_connect_queries_rows(client: Client) -> None:
    found = client.query("SELECT resource_id, volume, timestamp FROM v_samples ORDER BY 1")
    assert found.column_names == ("resource_id", "volume", "timestamp")
    assert [row[:2] for row in found.result_rows] == [("r1", 1.5), ("r2", 2.5)]
    assert found.summary["result_rows"] == "2"


def test_clickhouse_connect_binds_parameters_on_the_server(client: Client) -> None:
    found = client.query(
        "SELECT volume FROM v_samples WHERE resource_id = {resource:String}",
        parameters={"resource": "r2"},
    )
    assert found.result_rows == [(2.5,)]


def test_clickhouse_connect_binds_parameters_on_its_side(client: Client) -> None:
    found = client.query("SELECT %(text)s", parameters={"text": "it's; DROP"})
    assert found.result_rows == [("it's; DROP",)]


def test_clickhouse_connect_reads_data_frames_and_arrow(client: Client) -> None:
    sql = "SELECT resource_id, volume FROM v_samples ORDER BY 1"
    assert client.query_df(sql).to_dict("list") == {
        "resource_id": ["r1", "r2"],
        "volume": [1.5, 2.5],
    }
    assert client.query_arrow(sql, use_strings=True).to_pydict() == {
        "resource_id": ["r1", "r2"],
        "volume": [1.5, 2.5],
    }


def test_a_result_without_rows_still_has_its_columns(client: Client) -> None:
    found = client.query("SELECT resource_id, volume FROM v_samples WHERE volume > 100")
    assert (found.column_names, found.result_rows) == (("resource_id", "volume"), [])


def test_a_large_result_is_streamed(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(3000000)") as stream:
        assert sum(len(block) for block in stream) == 3_000_000


def test_a_failure_amid_a_stream_reaches_the_client(client: Client) -> None:
    sql = "SELECT number, throwIf(number = 2900000) FROM numbers(3000000)"
    with pytest.raises(ClickHouseError, match="throwIf"):
        client.query(sql)


def test_a_client_may_leave_amid_a_stream(endpoint: Serving) -> None:
    for compress in ("0", "1"):
        with requests.post(
            f"http://{endpoint.address}/",
            "SELECT number FROM numbers(100000000)",
            params={"compress": compress},
            auth=("analyst", PASSWORD),
            stream=True,
            timeout=30,
        ) as answer:
            assert answer.raw.read(1000)
    assert _ask(endpoint, "SELECT 1").text == "1\n"


def test_many_ask_at_once(endpoint: Serving) -> None:
    asked = [f"SELECT {n}, sum(number) FROM numbers(1000000)" for n in range(40)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda sql: _ask(endpoint, sql).text, asked))
    assert answers == [f"{n}\t499999500000\n" for n in range(40)]


def test_a_syntax_error_is_told_as_the_engine_tells_it(endpoint: Serving) -> None:
    answer = _ask(endpoint, "SELECT 1 FROM")
    assert answer.status_code == 400
    assert answer.text.startswith("Code: 62. DB::Exception: Syntax error: failed at position")
    assert answer.text.endswith("(SYNTAX_ERROR)\n")
    assert "formatQuery" not in answer.text


def test_clickhouse_connect_is_told_what_is_refused(client: Client) -> None:
    with pytest.raises(ClickHouseError, match="the function file may not be used here") as refused:
        client.query("SELECT file('/etc/hostname')")
    assert refused.value.code == 497
    with pytest.raises(ClickHouseError, match="only queries run here"):
        client.command("DROP TABLE samples")


def test_settings_go_with_the_request(client: Client) -> None:
    found = client.query(
        "SELECT toString(toDateTime(0))", settings={"session_timezone": "Asia/Tokyo"}
    )
    assert found.first_row == ("1970-01-01 09:00:00",)


@pytest.mark.parametrize("compress", [*ENCODINGS, False])
def test_clickhouse_connect_takes_every_encoding(compress: str | bool, endpoint: Serving) -> None:
    host, port = endpoint.address.split(":")
    with clickhouse_connect.get_client(
        host=host, port=int(port), username="analyst", password=PASSWORD, compress=compress
    ) as client:
        assert len(client.query("SELECT number FROM numbers(100000)").result_rows) == 100_000


def test_a_wrong_password_is_refused(endpoint: Serving) -> None:
    url = f"http://{endpoint.address}/?query=SELECT+1"
    for asked in (
        requests.get(url, timeout=30),
        requests.get(url, auth=("analyst", "wrong"), timeout=30),
        requests.get(url, auth=("other", PASSWORD), timeout=30),
        requests.get(f"{url}&user=analyst&password=no", timeout=30),
        requests.get(url, headers={"X-ClickHouse-User": "analyst"}, timeout=30),
    ):
        assert asked.status_code in (401, 403)
        assert asked.headers["X-ClickHouse-Exception-Code"] == "516"
        assert PASSWORD not in asked.text


def test_credentials_may_come_in_any_of_three_ways(endpoint: Serving) -> None:
    url = f"http://{endpoint.address}/?query=SELECT+1"
    headers = {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": PASSWORD}
    answers = [
        requests.get(url, headers=headers, timeout=30),
        requests.get(url, auth=("analyst", PASSWORD), timeout=30),
        requests.get(url, params={"user": "analyst", "password": PASSWORD}, timeout=30),
    ]
    assert [answer.text for answer in answers] == ["1\n"] * 3


def test_ping_needs_no_password(endpoint: Serving) -> None:
    assert requests.get(f"http://{endpoint.address}/ping", timeout=30).text == "Ok.\n"
    assert requests.get(f"http://{endpoint.address}/", timeout=30).text == "Ok.\n"


def test_the_headers_are_clickhouses(endpoint: Serving) -> None:
    answer = _ask(endpoint, "SELECT 1 FORMAT CSV", query_id="mine")
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Format"] == "CSV"
    assert answer.headers["X-ClickHouse-Timezone"]
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (summary["result_rows"], summary["read_rows"]) == ("1", "1")
    assert answer.headers["Content-Type"].startswith("text/csv")


def test_the_format_may_come_apart_from_the_statement(endpoint: Serving) -> None:
    assert _ask(endpoint, "SELECT 1 AS a", default_format="JSONEachRow").json() == {"a": 1}
    assert _ask(endpoint, "", query="SELECT 1", default_format="CSVWithNames").text == '"1"\n1\n'


def test_a_session_is_taken(endpoint: Serving) -> None:
    assert _ask(endpoint, "USE default", session_id="s", session_timeout="60").status_code == 200
    assert _ask(endpoint, "SELECT 1", session_id="s", session_check="1").text == "1\n"


def test_native_compression_goes_both_ways(endpoint: Serving) -> None:
    body = packed(b"SELECT number FROM numbers(100000)")
    answer = _ask(endpoint, body, compress="1", decompress="1")
    lines = unpacked(answer.content, 10**7).splitlines()
    assert (len(lines), lines[-1]) == (100_000, b"99999")


def test_broken_bodies_are_told(endpoint: Serving) -> None:
    assert (
        _ask(endpoint, b"\x00" * 40, decompress="1").headers["X-ClickHouse-Exception-Code"] == "271"
    )
    assert _ask(endpoint, b"SELECT '\xff'").status_code == 400
    assert _ask(endpoint, b"SELECT '" + b"x" * 2**21 + b"'").status_code == 400
    assert _ask(endpoint, "SELECT 1 FORMAT Nonsense").headers["X-ClickHouse-Exception-Code"] == "73"
    assert _ask(endpoint, "SELECT 1", default_format="a b").status_code == 400
    assert _ask(endpoint, "SELEC 1").headers["X-ClickHouse-Exception-Code"] == "62"


def test_a_whole_result_is_bounded(store: Store) -> None:
    app = create_sql_app(_config(store, query_memory=64 * 1024**2), store)
    asked = "SELECT number FROM numbers(10000000)"
    answer = app.test_client().post(
        "/", data=asked, query_string={"wait_end_of_query": "1"}, auth=("analyst", PASSWORD)
    )
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("241", "396")


def test_it_does_not_start_without_a_password(store: Store) -> None:
    for password in (None, ""):
        with pytest.raises(ServingError, match=r"sql\.password"):
            create_sql_app(_config(store, password=password), store)


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8123", "192.0.2.1:8123", "[::]:8123", "db.example:8123"]
)
def test_only_loopback_is_listened_on(listen: str, store: Store) -> None:
    with pytest.raises(ServingError, match="loopback"):
        serve(create_sql_app(_config(store), store), listen, 1)


def test_loopback_is_known_by_its_names() -> None:
    assert check_loopback("localhost:1") == ("127.0.0.1", 1)
    assert check_loopback("127.0.0.5:2") == ("127.0.0.5", 2)
    assert check_loopback("[::1]:3") == ("::1", 3)


def test_a_port_in_use_is_told(endpoint: Serving, store: Store) -> None:
    with pytest.raises(ServingError, match="cannot be listened on"):
        serve(create_sql_app(_config(store), store), endpoint.address, 1)


def test_a_closed_server_can_be_closed_again(store: Store) -> None:
    serving = serve(create_sql_app(_config(store), store), "127.0.0.1:0", 1)
    assert requests.get(f"http://{serving.address}/ping", timeout=30).ok
    serving.close()
    serving.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{serving.address}/ping", timeout=30)


def test_every_column_of_every_view_is_documented(store: Store, client: Client) -> None:
    views = client.query(
        f"SELECT table, name, comment FROM system.columns WHERE database = '{store.name}'"
        " AND table LIKE 'v\\_%' ORDER BY table, position"
    ).result_rows
    assert {row[0] for row in views} >= {"v_events", "v_invalid", "v_latest", "v_samples"}
    text = (Path(__file__).parent.parent / "docs" / "sql.md").read_text(encoding="utf-8")
    for table, column, comment in views:
        assert comment
        section = re.search(rf"^### {table}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section is not None, f"docs/sql.md has no section {table}"
        assert f"| `{column}` |" in section[1], f"docs/sql.md: {table} lacks {column}"


def test_describing_a_view_tells_its_comments(client: Client) -> None:
    rows = client.query("DESCRIBE v_samples").named_results()
    assert {row["name"]: row["comment"] for row in rows}["unit"] == "unit of volume"


@given(st.binary(max_size=3000), st.sampled_from([1, 700, 10**6]))
def test_blocks_hold_what_was_packed(data: bytes, repeated: int) -> None:
    data = data * min(repeated, 2 * 10**6 // max(len(data), 1))
    assert unpacked(packed(data), len(data)) == data


@given(st.binary(max_size=300))
def test_broken_blocks_are_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        unpacked(data, 1000)


@given(st.lists(st.binary(max_size=200), max_size=5), st.sampled_from([*ENCODINGS, ""]))
def test_an_encoding_holds_what_was_sent(chunks: list[bytes], encoding: str) -> None:
    body = b"".join(encoded(chunks, encoding))
    assert decoded(body, encoding, 2000) == b"".join(chunks)


@given(st.binary(max_size=300), st.sampled_from(ENCODINGS))
def test_a_broken_encoding_is_told(data: bytes, encoding: str) -> None:
    with contextlib.suppress(ValueError):
        decoded(data, encoding, 1000)
