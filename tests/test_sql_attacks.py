"""What a person may and may not run through the SQL endpoint: a table of queries, and one of attacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from metering.config import Config, Database, Sql
from store.client import Store
from store.rows import insert_samples
from store.syntax import tree_of
from store.vocabulary import vocabulary
from tests.stores import migrated
from tests.tables import samples
from webapi.sql_endpoint import create_sql_app

SECRET = "not for analysts"
READONLY, ACCESS_DENIED, SYNTAX = "164", "497", "62"

# {secret} is a file with the secret, {written} one that must not come to be, {db} the database.
ATTACKS = {
    # reading files and reaching other hosts
    "a scalar that reads a file": "SELECT file('{secret}')",
    "in another case": "SELECT FILE('{secret}')",
    "its name quoted": """SELECT "file"('{secret}')""",
    "its name quoted otherwise": "SELECT `file`('{secret}')",
    "its name written with escapes": r"SELECT `fi\x6ce`('{secret}')",
    "comments within": "SELECT file/* */(/**/'{secret}' -- x\n)",
    "a table function": "SELECT * FROM file('{secret}', 'LineAsString')",
    "its name quoted there": """SELECT * FROM "file"('{secret}', 'LineAsString')""",
    "in a subquery of a subquery": "SELECT * FROM (SELECT * FROM (SELECT file('{secret}')))",
    "in a CTE": "WITH t AS (SELECT file('{secret}')) SELECT * FROM t",
    "in a CTE's expression": "WITH file('{secret}') AS a SELECT a",
    "in a scalar subquery": "SELECT (SELECT file('{secret}'))",
    "in a UNION": "SELECT 'a' UNION ALL SELECT file('{secret}')",
    "in a lambda": "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "in a lambda that has a name": "WITH x -> file(x) AS f SELECT f('{secret}')",
    "a lambda that takes an allowed name": "WITH x -> x AS upper SELECT upper('a')",
    "as a function's argument": "SELECT arrayMap(file, ['{secret}'])",
    "as an argument by another name": "WITH file AS f SELECT arrayMap(f, ['{secret}'])",
    "applied to columns": "SELECT * APPLY(file) FROM (SELECT '{secret}')",
    "applied to columns by a lambda": "SELECT * APPLY(x -> file(x)) FROM (SELECT '{secret}')",
    "replacing a column": "SELECT * REPLACE(file('{secret}') AS dummy) FROM system.one",
    "in ORDER BY WITH FILL": "SELECT 1 AS a ORDER BY a WITH FILL TO length(file('{secret}'))",
    "in INTERPOLATE": "SELECT 1 AS a, '' AS b ORDER BY a WITH FILL TO 3 INTERPOLATE (b AS file('{secret}'))",
    "as a parameter of an aggregate": "SELECT quantile(length(file('{secret}')))(1)",
    "in LIMIT": "SELECT 1 LIMIT length(file('{secret}'))",
    "in a window's frame": "SELECT sum(1) OVER (ORDER BY 1 ROWS length(file('{secret}')) PRECEDING)",
    "in ARRAY JOIN": "SELECT a FROM system.one ARRAY JOIN [file('{secret}')] AS a",
    "in a join's condition": "SELECT 1 FROM system.one a JOIN system.one b ON file('{secret}') = ''",
    "in GROUPING SETS": "SELECT 1 GROUP BY GROUPING SETS ((file('{secret}')))",
    "with a combinator": "SELECT fileIf('{secret}', 1)",
    "in SHOW's WHERE": "SHOW TABLES WHERE file('{secret}') != ''",
    "in SHOW's LIMIT": "SHOW DATABASES LIMIT length(file('{secret}'))",
    "in SHOW COLUMNS": "SHOW COLUMNS FROM v_samples WHERE file('{secret}') != ''",
    "in DESCRIBE": "DESCRIBE file('{secret}')",
    "in DESCRIBE of a query": "DESCRIBE (SELECT file('{secret}'))",
    "in EXPLAIN": "EXPLAIN SELECT file('{secret}')",
    "in EXPLAIN PIPELINE": "EXPLAIN PIPELINE SELECT * FROM file('{secret}')",
    "in EXPLAIN within a query": "SELECT * FROM (EXPLAIN SELECT file('{secret}'))",
    "in EXPLAIN TABLE OVERRIDE": "EXPLAIN TABLE OVERRIDE file('{secret}') PARTITION BY 1",
    "a query language of another kind": "eval('SELECT 1')",
    "SQL given as text": "SELECT * FROM eval('SELECT file(''{secret}'')')",
    "a file's data of text": "SELECT * FROM format(LineAsString, 'x')",
    "columns with defaults": "SELECT * FROM values('a String DEFAULT file(''{secret}'')', (DEFAULT))",
    "the process's objects": "SELECT * FROM python('os')",
    "a program": "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
    "another server": "SELECT * FROM remote('127.0.0.1', system.one)",
    "another server, securely": "SELECT * FROM remoteSecure('127.0.0.1', system.one)",
    "a web page": "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "an object store": "SELECT * FROM s3('http://127.0.0.1/a/b')",
    "another database": "SELECT * FROM mysql('127.0.0.1', 'a', 'b', 'c', 'd')",
    "a column of another server": "SELECT hasColumnInTable('127.0.0.1', 'system', 'one', 'dummy')",
    "many tables by a pattern": "SELECT * FROM merge('system', '.*')",
    "a view made up": "SELECT * FROM view(SELECT file('{secret}'))",
    "a dictionary": "SELECT dictGet('a', 'b', 1)",
    "a dictionary as a table": "SELECT * FROM dictionary('a')",
    "a model elsewhere": "SELECT aiGenerate('x')",
    # writing files
    "INTO OUTFILE": "SELECT 1 INTO OUTFILE '{written}'",
    "INTO OUTFILE, in two lines and a comment": "SELECT 1 INTO\n/* */ OUTFILE '{written}' FORMAT CSV",
    "INTO OUTFILE after UNION": "(SELECT 1) UNION ALL (SELECT 2) INTO OUTFILE '{written}'",
    "INTO OUTFILE of SHOW": "SHOW TABLES INTO OUTFILE '{written}'",
    "INTO OUTFILE of DESCRIBE": "DESCRIBE v_samples INTO OUTFILE '{written}'",
    "INTO OUTFILE of EXPLAIN": "EXPLAIN SELECT 1 INTO OUTFILE '{written}'",
    "INTO OUTFILE TRUNCATE": "SELECT 1 INTO OUTFILE '{written}' TRUNCATE AND STDOUT",
    # what is no query
    "two statements": "SELECT 1; DROP TABLE {db}.samples",
    "two statements behind a comment": "SELECT 1 /* */ ; -- x\n INSERT INTO {db}.latest SELECT 1",
    "parallel statements": "SELECT 1 PARALLEL WITH DROP TABLE {db}.samples",
    "INSERT": "INSERT INTO {db}.schema_version (version) VALUES (9)",
    "INSERT of a query": "INSERT INTO {db}.schema_version (version) SELECT 9",
    "INSERT into a file": "INSERT INTO FUNCTION file('{written}', 'TSV', 'a Int8') VALUES (1)",
    "INSERT within EXPLAIN": "EXPLAIN INSERT INTO {db}.schema_version (version) SELECT 9",
    "CREATE": "CREATE TABLE {db}.x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY": "CREATE TEMPORARY TABLE x AS SELECT 1",
    "CREATE FUNCTION": "CREATE FUNCTION f AS x -> file(x)",
    "DROP": "DROP TABLE {db}.samples",
    "TRUNCATE": "TRUNCATE TABLE {db}.samples",
    "ALTER": "ALTER TABLE {db}.samples DELETE WHERE 1",
    "DELETE": "DELETE FROM {db}.samples WHERE 1",
    "OPTIMIZE": "OPTIMIZE TABLE {db}.samples FINAL",
    "RENAME": "RENAME TABLE {db}.samples TO {db}.x",
    "BACKUP": "BACKUP TABLE {db}.samples TO File('{written}')",
    "SET": "SET max_memory_usage = 0",
    "SYSTEM": "SYSTEM SHUTDOWN",
    "KILL": "KILL QUERY WHERE 1",
    "GRANT": "GRANT ALL ON *.* TO default",
    "USE of the engine's own": "USE system",
    # bounds
    "SETTINGS at the end": "SELECT 1 SETTINGS max_memory_usage = 0",
    "SETTINGS behind FORMAT": "SELECT 1 FORMAT TSV SETTINGS max_memory_usage = 0",
    "SETTINGS in a subquery": "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
    "SETTINGS in EXPLAIN": "EXPLAIN SELECT 1 SETTINGS readonly = 0",
    "SETTINGS of EXPLAIN's output": "EXPLAIN SELECT 1 FORMAT TSV SETTINGS readonly = 0",
    "waiting": "SELECT sleep(3)",
    "waiting a row": "SELECT sleepEachRow(1) FROM numbers(3)",
    # tables that are no one's business
    "the engine's users": "SELECT * FROM system.users",
    "the engine's stacks": "SELECT * FROM system.stack_trace",
    "a table on the right of IN": "SELECT 1 IN system.users",
    "a table on the right of NOT IN": "SELECT 1 NOT IN (system.users)",
    "another database of this engine": "SELECT * FROM elsewhere.samples",
    # making the tree say something else
    "a name with a line in it": "SELECT 1 AS `a\n    TableExpression (children 1)`, file('{secret}')",
    "a name with a written line in it": r"SELECT 1 AS `a\n   TableExpression (children 1)`",
}

QUERIES = {
    "SELECT 1": "1\n",
    "select 1;": "1\n",
    "-- why\nSELECT /* not */ 1": "1\n",
    "WITH a AS (SELECT 1 AS x) SELECT x FROM a": "1\n",
    "SELECT 'INTO OUTFILE; DROP TABLE x SETTINGS a = 1'": "INTO OUTFILE; DROP TABLE x SETTINGS a = 1\n",
    "SELECT 'file(1)', \"a\" FROM (SELECT 2 AS a)": "file(1)\t2\n",
    "SELECT count() FROM v_samples": "2\n",
    "SELECT sum(volume) FROM {db}.v_samples WHERE resource_metadata['a'] = '1'": "4\n",
    "SELECT uniqExactIf(resource_id, volume > 2), quantiles(0.5)(volume) FROM v_samples": "1\t[2]\n",
    "SELECT resource_id IN (SELECT 'r1') AS a FROM v_samples ORDER BY a": "0\n1\n",
    "SELECT volume, row_number() OVER (ORDER BY volume) FROM v_samples ORDER BY 2": "1\t1\n3\t2\n",
    "SELECT arrayMap(x -> x + 1, [1]), arraySum([1, 2])": "[2]\t3\n",
    "SELECT COUNT(*), SUM(1), coalesce(NULL, 2), CASE WHEN 1 THEN 2 END": "1\t1\t2\t2\n",
    "SELECT number FROM numbers(2) ORDER BY number DESC": "1\n0\n",
    "SELECT * EXCEPT b FROM (SELECT 1 AS a, 2 AS b)": "1\n",
    "SELECT toStartOfHour(toDateTime('2020-01-01 01:02:03', 'UTC'))": "2020-01-01 01:00:00\n",
    "SELECT 1 UNION ALL SELECT 1 EXCEPT SELECT 2": "1\n1\n",
    "EXISTS v_samples": "1\n",
    "SHOW TABLES LIKE 'v_s%'": "v_samples\n",
    "SELECT name FROM system.tables WHERE database = '{db}' AND name = 'v_latest'": "v_latest\n",
    "SELECT table_name FROM information_schema.tables WHERE table_name = 'v_events'": "v_events\n",
    "SELECT 1 AS `count()` FORMAT CSV": "1\n",
    "SELECT 1 FORMAT JSONEachRow": '{{"1":1}}\n',
    "USE {db}": "",
    "EXPLAIN SYNTAX SELECT 1": "SELECT 1\\nFROM system.one\n",
}


@pytest.fixture(scope="module")
def store(engine_path: Path) -> Iterator[Store]:
    """One store for the whole table: nothing in it changes it."""
    with migrated(Database(path=engine_path, name="attacked")) as opened:
        insert_samples(opened, samples(volume=[1.0, 3.0], resource_id=["r1", "r2"]))
        yield opened


@pytest.fixture(scope="module")
def client(store: Store) -> FlaskClient:
    config = Config(
        database=Database(path=store.database.path, name=store.name),
        sql=Sql.model_validate({"password": "secret"}),
    )
    return create_sql_app(config, store).test_client()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {"secret": tmp_path / "secret", "written": tmp_path / "written"}
    found["secret"].write_text(SECRET)
    return found


def _post(client: FlaskClient, sql: str, **args: str):
    return client.post("/", data=sql, query_string=args, auth=("analyst", "secret"))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(
    name: str, client: FlaskClient, store: Store, files: dict[str, Path]
) -> None:
    answer = _post(client, ATTACKS[name].format(db=store.name, **files))
    assert answer.headers.get("X-ClickHouse-Exception-Code") in (READONLY, ACCESS_DENIED, SYNTAX)
    assert answer.status_code in (400, 403)
    assert SECRET not in answer.text
    assert not files["written"].exists()
    assert store.command(f"SELECT count() FROM {store.name}.samples") == 2


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_is_answered(sql: str, client: FlaskClient, store: Store) -> None:
    answer = _post(client, sql.format(db=store.name))
    assert (answer.text, answer.status_code) == (
        QUERIES[sql].replace("{{", "{").replace("}}", "}"),
        200,
    )


def test_a_refusal_says_why(client: FlaskClient) -> None:
    answer = _post(client, "SELECT file('x')")
    assert answer.text == (
        "Code: 497. DB::Exception: the function file may not be used here (ACCESS_DENIED)\n"
    )


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM {t:Identifier}", {"t": "system.users"}),
        ("SELECT * FROM {d:Identifier}.{t:Identifier}", {"d": "system", "t": "users"}),
        ("SELECT * FROM system.{t:Identifier}", {"t": "users"}),
        ("SELECT 1 IN {t:Identifier}", {"t": "system.users"}),
        ("SELECT arrayMap({f:Identifier}, ['x'])", {"f": "file"}),
    ],
)
def test_a_parameter_brings_in_nothing_that_is_refused(
    sql: str, parameters: dict[str, str], client: FlaskClient
) -> None:
    args = {f"param_{name}": value for name, value in parameters.items()}
    answer = _post(client, sql, **args)
    assert answer.headers["X-ClickHouse-Exception-Code"] == ACCESS_DENIED, answer.text


def test_parameters_are_put_in_by_the_engine(client: FlaskClient) -> None:
    answer = _post(
        client,
        "SELECT {a:String}, {b:UInt8} + 1 FROM {t:Identifier} LIMIT 1",
        param_a="x'); DROP TABLE y --",
        param_b="2",
        param_t="v_samples",
    )
    assert answer.text == "x\\'); DROP TABLE y --\t3\n"


@pytest.mark.parametrize(
    "setting", ["limit", "offset", "max_result_rows", "output_format_tsv_crlf_end_of_line"]
)
def test_a_setting_does_not_bend_the_examination(setting: str, client: FlaskClient) -> None:
    answer = _post(client, "SELECT file('x') FROM numbers(5)", **{setting: "1"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == ACCESS_DENIED


@pytest.mark.parametrize(
    "setting",
    ["format_schema", "readonly_x", "user_files_path", "max_memory_usage; DROP", "allow_ddl"],
)
def test_a_setting_that_is_not_harmless_is_refused(setting: str, client: FlaskClient) -> None:
    answer = _post(client, "SELECT 1", **{setting: "1"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, READONLY)


@pytest.mark.parametrize("asked", ["0", "-1", "99999999999999"])
def test_bounds_cannot_be_asked_away(asked: str, client: FlaskClient) -> None:
    asking = "SELECT value FROM system.settings WHERE name = 'max_memory_usage'"
    assert _post(client, asking, max_memory_usage=asked).text == f"{1024**3}\n"


def test_bounds_can_be_asked_lower(client: FlaskClient) -> None:
    answer = _post(
        client, "SELECT groupArray(number) FROM numbers(9000000)", max_memory_usage="9000000"
    )
    assert answer.headers["X-ClickHouse-Exception-Code"] == "241"
    assert "memory limit" in answer.text


def test_a_query_that_takes_too_long_is_told_so(client: FlaskClient) -> None:
    answer = _post(
        client, "SELECT sum(sin(number)) FROM numbers(100000000000)", max_execution_time="0.2"
    )
    assert answer.headers["X-ClickHouse-Exception-Code"] == "159"


def test_another_database_is_refused(client: FlaskClient) -> None:
    assert (
        _post(client, "SELECT 1", database="system").headers["X-ClickHouse-Exception-Code"] == "497"
    )


def test_the_list_of_functions_is_the_engines(store: Store) -> None:
    found = store.client().query("SELECT lower(name) FROM system.functions").result_columns[0]
    listed = vocabulary().scalar | vocabulary().aggregate
    assert listed - set(found) == {"exists", "grouping", "lambda"}  # of the parser


@pytest.mark.parametrize(
    "name",
    [
        "file",
        "fileIf",
        "FILE",
        "dictGet",
        "sleep",
        "hasColumnInTable",
        "aiGenerate",
        "regionToName",
    ],
)
def test_functions_that_reach_out_are_not_on_the_list(name: str) -> None:
    assert not vocabulary().has_function(name)


@pytest.mark.parametrize(
    "name", ["SUM", "sumIf", "uniqExactMergeState", "quantilesArrayIf", "CAST"]
)
def test_functions_are_known_in_any_case_and_with_combinators(name: str) -> None:
    assert vocabulary().has_function(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " A",
        "A\n  B",
        "A\nB",
        "A (children 2)\n B",
        "A (children 1)\n B\n C",
        "A (children 1)\n Identifier x\n  Function file (children 0)",
    ],
)
def test_a_tree_that_does_not_add_up_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"node|tree"):
        tree_of(text)
