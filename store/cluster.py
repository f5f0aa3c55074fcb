"""The tables on a cluster of ClickHouse servers, by the same migrations as on one.

Every table is replicated. Those that grow are cut by what their natural keys hold: NAME_local is a
server's part, and NAME is Distributed over all parts; the small ones are whole on every server. The
macros {shard} and {replica} are each server's own.
Guarantee: rows of one natural key meet on one shard, where the engine makes them one.
Source: ClickHouse's ReplicatedMergeTree, Distributed and ON CLUSTER.
"""

import re
from collections.abc import Iterator
from typing import Final

from store.migrate import VERSIONS, migrations

CUT: Final = {  # table: what its rows are cut by
    **dict.fromkeys(("samples", "latest", "usage", "usage_versions"), "xxHash64(resource_id)"),
    "events": "xxHash64(message_id)",
}
_ANEW: Final = frozenset({7})  # migrations that only lay rows out anew: here are none yet
_MADE: Final = re.compile(r"(CREATE TABLE IF NOT EXISTS|ALTER TABLE) \{database\}\.(\w+)")
_ENGINE: Final = re.compile(r"\bENGINE = (\w*MergeTree)(?:\(([^)]*)\))?")


def cluster_statements(cluster: str, database: str) -> list[str]:
    """Return what makes a database's tables and views on every server of a cluster, in order."""
    ours = migrations()
    statements = [f"CREATE DATABASE IF NOT EXISTS {{database}} ON CLUSTER {cluster}"]
    wanted = sorted(ours.keys() - _ANEW)
    for made in (VERSIONS, *(one for number in wanted for one in ours[number])):
        statements += _on_cluster(made, cluster)
    versions = ", ".join(f"({number})" for number in sorted(ours))
    statements.append(f"INSERT INTO {{database}}.schema_version (version) VALUES {versions}")
    return [one.replace("{database}", database) for one in statements]


def _on_cluster(statement: str, cluster: str) -> Iterator[str]:
    """Yield what a migration's statement becomes."""
    made = _MADE.match(statement)
    if made is None:  # a view
        yield re.sub(r"(\{database\}\.\w+)", rf"\1 ON CLUSTER {cluster}", statement, count=1)
        return
    verb, table = made[1], made[2]
    local = f"{table}_local" if table in CUT else table
    rest = _replicated(statement[made.end() :], local)
    yield f"{verb} {{database}}.{local} ON CLUSTER {cluster}{rest}"
    if table not in CUT:
        return
    if verb.startswith("CREATE"):
        over = f"Distributed({cluster}, {{database}}, {local}, {CUT[table]})"
        copied = f"ON CLUSTER {cluster} AS {{database}}.{local} ENGINE = {over}"
        yield f"{verb} {{database}}.{table} {copied}"
    elif "ADD COLUMN" in rest:  # an index is the parts' own
        yield f"{verb} {{database}}.{table} ON CLUSTER {cluster}{rest}"


def _replicated(rest: str, table: str) -> str:
    """Return the rest of a statement, with its engine replicated and of the parts of another table."""
    shard = "{shard}" if table.endswith("_local") else "all"
    path = f"'/clickhouse/tables/{shard}/{{database}}/{table}'"
    # Where a table is whole on every server, each shard's servers are replicas of the same.
    replica = "'{replica}'" if table.endswith("_local") else "'{shard}-{replica}'"

    def engine(found: re.Match[str]) -> str:
        given = ", ".join(filter(None, (path, replica, found[2])))
        return f"ENGINE = Replicated{found[1]}({given})"

    return _ENGINE.sub(engine, re.sub(r"^ AS (\{database\}\.\w+)", r" AS \1_local", rest))
