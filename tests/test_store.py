"""The store: migrations, retention, rows that may be written twice."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from metering.config import Database, Retention
from store.client import Store, StoreError
from store.migrate import migrate, migrations
from store.rows import insert_latest, insert_samples
from tests.tables import samples, usage_rows


def test_samples_written_twice_are_there_once(store: Store) -> None:
    rows = samples(volume=[1.5, 2.5], resource_id=["r1", "r2"])
    insert_samples(store, rows)
    insert_samples(store, rows)
    found = store.client().query(
        f"SELECT resource_id, volume, type, resource_metadata FROM {store.name}.v_samples ORDER BY ALL"
    )
    assert found.result_rows == [("r1", 1.5, "gauge", {"a": "1"}), ("r2", 2.5, "gauge", {"a": "1"})]


def test_two_deltas_of_one_moment_both_count(store: Store) -> None:
    insert_samples(store, samples(volume=[3.0, 4.0], type=["delta"] * 2, message_id=["a", "b"]))
    assert store.command(f"SELECT sum(volume) FROM {store.name}.v_samples") == 7.0


def test_latest_is_the_newest_sample_also_while_its_parts_are_not_merged(store: Store) -> None:
    store.command(f"SYSTEM STOP MERGES {store.name}.latest")
    for volume, moment in ((1.0, 1_795_000_000_000), (9.0, 1_795_000_060_000)):
        insert_latest(store, samples(volume=[volume], timestamp=[moment]))
    newest = store.query(f"SELECT volume, timestamp - first_timestamp FROM {store.name}.v_latest")
    assert [tuple(row) for row in newest.result_rows] == [(9.0, 60.0)]


def test_latest_keeps_the_newest_sample_whatever_the_order(store: Store) -> None:
    insert_latest(store, samples(volume=[9.0], timestamp=[1_795_000_060_000]))
    insert_latest(
        store, samples(volume=[1.0, 5.0], timestamp=[1_795_000_000_000, 1_795_000_030_000])
    )
    found = store.client().query(
        f"SELECT volume, first_timestamp, timestamp FROM {store.name}.v_latest"
    )
    at = lambda s: dt.datetime.fromtimestamp(1_795_000_000 + s, dt.timezone.utc)  # noqa: E731
    assert [
        (v, a.replace(tzinfo=dt.timezone.utc), b.replace(tzinfo=dt.timezone.utc))
        for v, a, b in found.result_rows
    ] == [(9.0, at(0), at(60))]


def test_migrating_again_changes_nothing(store: Store) -> None:
    assert migrate(store) == max(migrations())
    assert store.command(f"SELECT count() FROM {store.name}.schema_version FINAL") == len(
        migrations()
    )


def test_a_newer_schema_is_refused(store: Store) -> None:
    store.command(f"INSERT INTO {store.name}.schema_version (version) VALUES (9999)")
    with pytest.raises(StoreError, match="schema is version 9999"):
        migrate(store)


def test_retention_follows_the_configuration(store: Store) -> None:
    other = Store(
        Database(
            path=store.database.path, name=store.name, retention=Retention(samples=None, events=3)
        )
    )
    migrate(other)
    create = "SELECT create_table_query FROM system.tables WHERE database = '{}' AND name = '{}'"
    assert "TTL toDateTime(generated) + toIntervalDay(3)" in str(
        store.command(create.format(store.name, "events"))
    )
    assert "TTL toDateTime(timestamp)" not in str(
        store.command(create.format(store.name, "samples"))
    )
    other.close()


def test_what_a_killed_process_left_of_an_insert_is_swept(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from metering.config import Database;"
        "from store.client import Store; Store(Database(path=Path(sys.argv[1]))).client()"
    )
    (tmp_path / "inserts").mkdir()
    (tmp_path / "inserts" / "tmp1.raw").write_bytes(b"half")
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert list((tmp_path / "inserts").iterdir()) == []


def test_usage_is_kept_whole_when_it_is_laid_out_anew_and_that_is_cut_off_anywhere(
    store: Store,
) -> None:
    def stored() -> list[tuple[object, ...]]:
        found = store.query(f"SELECT * FROM {store.name}.usage FINAL ORDER BY ALL").result_rows
        return [tuple(row) for row in found]

    def parts() -> set[tuple[str, int]]:
        found = store.query(
            "SELECT partition, sum(rows) FROM system.parts WHERE active AND table = 'usage'"
            " AND database = {database:String} GROUP BY partition",
            {"database": store.name},
        )
        return {(str(partition), rows) for partition, rows in found.result_rows}

    old = f"{store.name}.usage_of_old"
    store.command(
        f"CREATE TABLE {old} AS {store.name}.usage ENGINE = ReplacingMergeTree(version,"
        " is_deleted) PARTITION BY toYYYYMM(start) ORDER BY (meter, period, project_id,"
        " resource_id, start, user_id, segment, type, unit)"
    )
    store.command(f"EXCHANGE TABLES {old} AND {store.name}.usage")
    store.command(f"DROP TABLE {old}")
    rows = [
        {"period": period, "start": 1_795_305_600 + n * 86_400}
        for period in (3600, 86_400)
        for n in range(20)
    ]
    store.insert("usage", usage_rows(*rows))
    before = stored()
    assert len(before) == 40
    assert {partition for partition, _ in parts()} == {"202611", "202612"}
    statements = [each.replace("{database}", store.name) for each in migrations()[7]]
    for cut in range(1, len(statements) + 1):
        for statement in statements[:cut]:
            store.command(statement)
    assert stored() == before
    assert parts() == {
        (f"({period},{month})", count)
        for period in (3600, 86_400)
        for month, count in ((202611, 9), (202612, 11))
    }
    left = "SELECT name FROM system.tables WHERE name LIKE 'usage_by%' AND database = {d:String}"
    assert store.query(left, {"d": store.name}).result_rows == []
