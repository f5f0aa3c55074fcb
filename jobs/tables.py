"""The tables of a cluster of ClickHouse servers, as text."""

from store.cluster import cluster_statements


def tables_on(cluster: str, database: str) -> str:
    """Return the statements, each ended by a semicolon."""
    return "".join(f"{one};\n\n" for one in cluster_statements(cluster, database))
