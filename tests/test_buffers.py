"""Every table of the embedded engine is written through buffers that grow from small ones."""

from store.buffers import buffer_little
from store.client import Store

TABLES = (
    "SELECT name, extract(engine_full, 'min_columns_to_activate_adaptive_write_buffer = (\\\\d+)')"
    " FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
)


def _set(store: Store) -> dict[str, str]:
    return dict(store.query(TABLES, {"database": store.name}).result_rows)


def test_a_migrated_store_buffers_little_in_every_table(store: Store) -> None:
    assert set(_set(store)) >= {"samples", "latest", "events", "invalid", "usage", "usage_versions"}
    assert set(_set(store).values()) == {"1"}


def test_a_table_that_comes_later_does_so_too_and_what_is_set_by_hand_stays(store: Store) -> None:
    for table, settings in (
        ("plain", ""),
        ("own", "SETTINGS min_columns_to_activate_adaptive_write_buffer = 7"),
    ):
        store.command(
            f"CREATE TABLE {store.name}.{table} (a UInt8) ENGINE = MergeTree ORDER BY a {settings}"
        )
    buffer_little(store)
    assert {name: value for name, value in _set(store).items() if name in ("plain", "own")} == {
        "plain": "1",
        "own": "7",
    }
