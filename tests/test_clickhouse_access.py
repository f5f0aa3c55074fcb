"""Users, roles, row policies and quotas for a ClickHouse server: as far as the embedded engine can tell.

It parses them and runs none: what they do needs a server.
"""

import re
from pathlib import Path

from store.client import Store

FILE = Path(__file__).parents[1] / "deploy" / "clickhouse" / "access.sql"
STATEMENTS = [
    one.strip()
    for one in re.sub(r"^--.*$", "", FILE.read_text(), flags=re.MULTILINE).split(";")
    if one.strip()
]


def test_the_engine_understands_each_statement(store: Store) -> None:
    said = store.query(
        "SELECT arrayMap(sql -> formatQuerySingleLine(sql), {all:Array(String)})",
        {"all": STATEMENTS},
    )
    first_words = [one.split()[:2] for one in said.result_rows[0][0]]
    assert first_words == [one.split()[:2] for one in STATEMENTS]


def test_statements_name_only_tables_and_views_that_exist(store: Store) -> None:
    named = {name for one in STATEMENTS for name in re.findall(r"ON metering\.(\w+)", one)}
    found = store.query(
        "SELECT name FROM system.tables WHERE database = {name:String}", {"name": store.name}
    )
    assert named - {name for (name,) in found.result_rows} == set()


def test_what_a_tenant_may_read_is_restricted_where_it_has_projects(store: Store) -> None:
    granted = _named(r"GRANT SELECT ON metering\.(\w+) TO metering_tenant")
    restricted = _named(r"POLICY .* ON metering\.(\w+) .* TO metering_tenant")
    found = store.query(
        "SELECT table FROM system.columns WHERE database = {name:String} AND name = 'project_id'"
        " AND table IN (SELECT name FROM system.tables"
        " WHERE database = {name:String} AND engine LIKE '%MergeTree')",
        {"name": store.name},
    )
    assert restricted == granted & {name for (name,) in found.result_rows}


def _named(pattern: str) -> set[str]:
    return {name for one in STATEMENTS for name in re.findall(pattern, one)}
