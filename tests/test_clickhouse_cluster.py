"""The tables of a cluster of ClickHouse servers: as far as the embedded engine can tell.

It knows no cluster and no replica: it parses every statement, and runs them without those words.
"""

import re
from collections.abc import Iterator

import pytest

from metering.config import Database
from store.client import Store
from store.cluster import CUT, cluster_statements


@pytest.fixture
def empty(store: Store) -> Iterator[Store]:
    """A database of another name on the same engine, without tables."""
    opened = Store(Database(path=store.database.path, name=f"{store.name}_cluster"))
    yield opened
    opened.command(f"DROP DATABASE IF EXISTS {opened.name}")
    opened.close()


def alone(statement: str) -> str:
    """Return what one server would be asked for: each part alone, nothing where all parts are."""
    statement = statement.replace(" ON CLUSTER c", "")
    statement = re.sub(
        r"ENGINE = Distributed\(.*\)$",
        "ENGINE = ReplacingMergeTree PRIMARY KEY tuple() ORDER BY tuple()",
        statement,
    )
    return re.sub(r"ENGINE = Replicated(\w+)\('[^']*', '[^']*'(, )?", r"ENGINE = \1(", statement)


def test_the_engine_understands_each_statement(store: Store) -> None:
    statements = cluster_statements("c", "metering")
    said = store.query(
        "SELECT arrayMap(sql -> formatQuerySingleLine(sql), {all:Array(String)})",
        {"all": statements},
    )
    first_words = [one.split()[:2] for one in said.result_rows[0][0]]
    assert first_words == [one.split()[:2] for one in statements]
    on_cluster = [one for one in said.result_rows[0][0] if " ON CLUSTER c" in one]
    assert len(on_cluster) == len(statements) - 1  # rows need none


def test_the_parts_have_the_columns_keys_and_views_of_one_server(
    store: Store, empty: Store
) -> None:
    for statement in cluster_statements("c", empty.name):
        empty.command(alone(statement))
    keys = (
        "SELECT if(endsWith(name, '_local'), substring(name, 1, -6), name) AS name, engine, sorting_key,"
        " partition_key, primary_key FROM system.tables WHERE database = {name:String}"
        " AND (tables.name NOT IN {cut:Array(String)} OR {one:UInt8}) ORDER BY name"
    )
    columns = (
        "SELECT if(endsWith(table, '_local'), substring(table, 1, -6), table) AS name, position,"
        " name AS field, type, compression_codec FROM system.columns"
        " WHERE database = {name:String} AND (table NOT IN {cut:Array(String)} OR {one:UInt8})"
        " ORDER BY name, position"
    )
    for question in (keys, columns):
        one, other = (
            each.query(
                question, {"name": each.name, "cut": list(CUT), "one": int(each is store)}
            ).result_rows
            for each in (store, empty)
        )
        assert other == one


def test_every_replicated_table_has_a_place_of_its_own() -> None:
    places = re.findall(
        r"Replicated\w+\('([^']*)', '([^']*)'", "\n".join(cluster_statements("c", "m"))
    )
    assert len(places) == len(set(places))
    assert {place.split("/")[3] for place, _ in places} == {"{shard}", "all"}
    assert all(("{shard}" in place) != ("{shard}" in replica) for place, replica in places)


def test_tables_are_cut_by_what_is_in_their_sort_keys(store: Store) -> None:
    found = store.query(
        "SELECT name, sorting_key FROM system.tables WHERE database = {name:String}",
        {"name": store.name},
    )
    sorted_by = dict(found.result_rows)
    for table, key in CUT.items():
        (column,) = re.findall(r"\((\w+)\)", key)
        assert column in sorted_by[table].split(", ")
