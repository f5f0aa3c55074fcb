"""Numbered migrations: bring the store to this program's schema, refuse a newer one, set retention.

Source: the files in store/migrations, NNNN_what.sql, run once each in order; `{database}` stands for
the database's name. The numbers that ran are kept in the table `schema_version`.
"""

import re
from importlib import resources

from metering.config import Retention
from store.buffers import buffer_little
from store.client import Store, StoreError

_RETAINED = {  # table: the column of its age, the setting
    "samples": ("timestamp", "samples"),
    "events": ("generated", "events"),
    "invalid": ("recorded_at", "invalid"),
    "alarm_history": ("timestamp", "alarm_history"),
    "deliveries": ("created_at", "deliveries"),
    "delivery_attempts": ("at", "deliveries"),
}
VERSIONS = (
    "CREATE TABLE IF NOT EXISTS {database}.schema_version"
    " (version UInt32, applied_at DateTime('UTC') DEFAULT now())"
    " ENGINE = ReplacingMergeTree ORDER BY version"
)


def migrate(store: Store) -> int:
    """Bring the store's schema up to date and return its version. Raises StoreError."""
    store.command(f"CREATE DATABASE IF NOT EXISTS {store.name}")
    store.command(VERSIONS.replace("{database}", store.name))
    there, ours = _version(store), migrations()
    newest = max(ours)
    _check_known(there, newest)
    for version in sorted(number for number in ours if number > there):
        for statement in ours[version]:
            store.command(statement.replace("{database}", store.name))
        store.command(f"INSERT INTO {store.name}.schema_version (version) VALUES ({version})")
    _retain(store, store.database.retention)
    buffer_little(store)
    return newest


def check_schema(store: Store) -> None:
    """Check that the tables are this program's; a job has made them. Raises StoreError."""
    made = (
        "SELECT count() FROM system.tables WHERE database = {name:String} AND name = {table:String}"
    )
    ((count,),) = store.query(made, {"name": store.name, "table": "schema_version"}).result_rows
    there, newest = _version(store) if count else 0, max(migrations())
    _check_known(there, newest)
    if there < newest:
        raise StoreError(
            f"the database {store.name} has schema version {there}, this program needs {newest}: start"
            " its job first, which makes the tables (`streamgauge submit` or `streamgauge run`)"
        )


def _version(store: Store) -> int:
    return int(store.command(f"SELECT max(version) FROM {store.name}.schema_version"))


def _check_known(there: int, newest: int) -> None:
    if there > newest:
        raise StoreError(
            f"the store's schema is version {there}, this program knows {newest}: run the newer program, or choose another database"
        )


def migrations() -> dict[int, list[str]]:
    """Return the statements of each migration by its number."""
    found = {}
    for file in resources.files("store").joinpath("migrations").iterdir():
        if match := re.fullmatch(r"(\d{4})_\w+\.sql", file.name):
            found[int(match[1])] = _statements(file.read_text(encoding="utf-8"))
    return found


def _statements(text: str) -> list[str]:
    bare = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    return [
        statement.strip() for statement in re.split(r";[ \t]*(?:\n|$)", bare) if statement.strip()
    ]


def _retain(store: Store, retention: Retention) -> None:
    """Set each table's time to live where it differs from the configuration."""
    for table, (column, setting) in _RETAINED.items():
        days = getattr(retention, setting)
        created = str(
            store.command(
                f"SELECT create_table_query FROM system.tables WHERE database = '{store.name}' AND name = '{table}'"
            )
        )
        wanted = f"TTL toDateTime({column}) + toIntervalDay({days})" if days else None
        has = re.search(
            r"ORDER BY .*?(TTL toDateTime\(\w+\) \+ toIntervalDay\(\d+\))", created, re.DOTALL
        )
        if wanted and (has is None or has[1] != wanted):
            store.command(
                f"ALTER TABLE {store.name}.{table} MODIFY {wanted} SETTINGS materialize_ttl_after_modify = 0"
            )
        elif not wanted and has:
            store.command(f"ALTER TABLE {store.name}.{table} REMOVE TTL")
