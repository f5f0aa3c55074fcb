"""How much the embedded engine buffers while it writes a part: what comes, not a megabyte or two a column.

A merge of `samples` takes 110 MB with whole buffers and 58 with those that grow, in no more time
(decision 8); merges of several tables run beside each other. A server is its operator's to set.
Source: ClickHouse, MergeTree settings; by itself the engine does so for 500 columns or more.
"""

from typing import Final

from store.client import Store

_SETTING: Final = "min_columns_to_activate_adaptive_write_buffer"


def buffer_little(store: Store) -> None:
    """Have every table's write buffers grow from small ones, in the embedded engine. Raises StoreError."""
    if not store.embedded:
        return
    tables = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String}"
        " AND engine LIKE '%MergeTree' AND position(engine_full, {setting:String}) = 0",
        {"database": store.name, "setting": _SETTING},
    )
    for (table,) in tables.result_rows:
        store.command(f"ALTER TABLE {store.name}.{table} MODIFY SETTING {_SETTING} = 1")
