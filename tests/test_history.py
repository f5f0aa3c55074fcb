"""What is read of a series when something of its past changed."""

import pyarrow as pa
import pytest

from metering.batches import sample_table
from metering.draft import Draft
from metering.schema import TOUCHED
from store.client import Store
from store.history import history
from store.rows import insert_samples, sample_rows

HOUR = 3_600_000  # ms
START = 1_790_000_000_000  # ms


def sample(
    resource: str, at: int, volume: float = 1.0, kind: str = "gauge", name: str = ""
) -> Draft:
    moment = START + at
    return Draft(
        "cpu", kind, "ns", volume, "p", "u", resource, moment, "{}", "s", name or f"{resource}-{at}"
    )


def asked(*series: tuple[str, int]) -> pa.Table:
    rows = [{"meter": "cpu", "resource_id": r, "timestamp": START + at} for r, at in series]
    return pa.Table.from_pylist(rows, schema=TOUCHED)


def found(table: pa.Table) -> list[tuple[str, int]]:
    stamps = table["timestamp"].cast(pa.int64()).to_pylist()
    return [(r, at - START) for r, at in zip(table["resource_id"].to_pylist(), stamps, strict=True)]


@pytest.fixture
def stored(store: Store) -> Store:
    drafts = [sample("a", at * HOUR // 2) for at in range(10)]
    drafts += [sample("b", 0), sample("b", 90 * HOUR), sample("c", 0)]
    insert_samples(store, sample_table(drafts, START // 1000))
    return store


def test_it_begins_with_the_last_sample_before(stored: Store) -> None:
    half = HOUR // 2
    assert found(history(stored, asked(("a", 7 * half)))) == [
        ("a", 6 * half), ("a", 7 * half), ("a", 8 * half), ("a", 9 * half),
    ]  # fmt: skip


def test_the_last_sample_before_may_be_long_ago(stored: Store) -> None:
    assert found(history(stored, asked(("b", 80 * HOUR), ("c", HOUR), ("a", 900 * HOUR)))) == [
        ("a", 9 * HOUR // 2), ("b", 0), ("b", 90 * HOUR), ("c", 0),
    ]  # fmt: skip


def test_a_first_sample_has_none_before(stored: Store) -> None:
    assert found(history(stored, asked(("c", 0)))) == [("c", 0)]
    assert found(history(stored, asked(("c", -1), ("d", 0)))) == [("c", 0)]
    assert found(history(stored, asked())) == []


def test_late_samples_are_left_out_until_restated(stored: Store) -> None:
    for late, at in ((1, 95 * HOUR), (2, 96 * HOUR)):
        rows = sample_rows(sample_table([sample("b", at)], START // 1000), late)
        stored.insert("samples", rows)
    before = [("b", 0), ("b", 90 * HOUR)]
    assert found(history(stored, asked(("b", 0)))) == [*before, ("b", 96 * HOUR)]
    assert found(history(stored, asked(("b", 0)), late=(START + 95 * HOUR, START + 96 * HOUR))) == [
        *before, ("b", 95 * HOUR), ("b", 96 * HOUR),
    ]  # fmt: skip


def test_deltas_of_one_moment_are_all_read(store: Store) -> None:
    twins = [sample("a", 0, volume, "delta", f"id {volume}") for volume in (2.0, 1.0)]
    insert_samples(store, sample_table([*twins, sample("a", HOUR, 7.0, "delta")], START // 1000))
    assert history(store, asked(("a", HOUR)))["volume"].to_pylist() == [1.0, 2.0, 7.0]
