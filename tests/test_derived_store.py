"""Derived meters over the store: what a start brings back, and what the last process left undone."""

import functools
import time
from pathlib import Path

import pytest

from metering.batches import revision_table, sample_table
from metering.conflicts import Stored
from metering.derived.chain import Chain
from metering.derived.deriver import Deriver
from metering.derived.pipeline_file import read_pipeline
from metering.draft import Draft
from metering.elements import Tick
from store.client import Store
from store.derived import recalled_deriver
from store.history import history
from store.recall import recalled_sieve
from store.rows import insert_latest, insert_revisions, insert_samples

T0 = 1_795_000_000_000  # ms; the start of no hour
WINDOWS = """
sources: [{name: s, meters: [m], sinks: [k]}]
sinks: [{name: k, transformers: [{name: aggregator, parameters: {
    retention_time: 60, target: {name: mean}}}]}]
"""


def draft(meter: str, s: float, volume: float, kind: str = "gauge", resource: str = "r") -> Draft:
    name = f"{meter}-{resource}-{s}-{volume}"
    at = T0 + int(s * 1000)
    return Draft(meter, kind, "B", volume, "p", "u", resource, at, '{"a":1}', "o", name)


def traffic(s: float, volume: float, resource: str = "r") -> Draft:
    return draft("network.incoming.bytes", s, volume, "cumulative", resource)


def written(store: Store, deriver: Deriver, *drafts: Draft, arrived: int = T0 // 1000) -> None:
    """Take samples in order, as the job does."""
    table = sample_table(list(drafts), arrived)
    for rows in (table, deriver.take([table]).samples):
        insert_samples(store, rows)
        insert_latest(store, rows)


def out_of_order(store: Store, *rows: tuple[Draft, int, bool], arrived: int = T0 // 1000) -> None:
    """Write samples as settled ones are: with version, and whether they count."""
    insert_revisions(
        store,
        revision_table([Stored(row, arrived, 0, version, counts) for row, version, counts in rows]),
    )


def tick(store: Store, deriver: Deriver, watermark: int | None = None) -> int:
    """Send a tick; return how many rows were written again."""
    again = deriver.tick([Tick(T0 + 10_000, watermark)], functools.partial(history, store))
    if again is None:
        return 0
    insert_revisions(store, again.revisions)
    rows: int = again.revisions.num_rows
    return rows


def found(store: Store, meter: str) -> list[tuple[float, float]]:
    """Return second and volume of the samples of a meter that count."""
    rows = store.query(
        f"SELECT toUnixTimestamp64Milli(timestamp), volume FROM {store.name}.samples FINAL"
        " WHERE meter = {meter:String} ORDER BY timestamp",
        {"meter": meter},
    ).result_rows
    return [((at - T0) / 1000, volume) for at, volume in rows]


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return read_pipeline(None, 3_900_000)


@pytest.fixture
def recall(store: Store, chains: list[Chain]) -> functools.partial[Deriver]:
    return functools.partial(recalled_deriver, store, chains)


RATE = "network.incoming.bytes.rate"


def test_a_start_goes_on_where_the_last_process_was(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    written(store, recall(), traffic(0, 10), traffic(10, 20), draft("memory", 0, 4))
    written(store, recall(), traffic(20, 50), draft("memory.usage", 30, 1))
    assert found(store, RATE) == [(10, 1), (20, 3)]
    assert found(store, "memory_util") == [(30, 25)]


def test_what_came_out_of_order_is_worked_out_after_a_kill(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    written(store, recall(), traffic(0, 0), traffic(20, 40), traffic(30, 50))
    out_of_order(store, (traffic(10, 30), 0, True))
    assert found(store, RATE) == [(20, 2), (30, 1)]
    assert tick(store, recall()) == 2
    assert found(store, RATE) == [(10, 3), (20, 1), (30, 1)]


def test_a_conflict_that_turned_is_worked_out_after_a_kill(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    written(store, recall(), traffic(0, 0), traffic(10, 10), traffic(20, 40))
    out_of_order(store, (traffic(10, 10), 1, False))
    assert tick(store, recall()) == 2
    assert found(store, RATE) == [(20, 2)]


def test_a_conflict_about_what_came_long_ago_is_worked_out_after_a_kill(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    """What settles it may be a sample of another series: nothing of this one came lately."""
    written(store, recall(), traffic(0, 0), traffic(10, 10), traffic(20, 40))
    day = 86_400
    written(store, recall(), traffic(day, 0, "other"), arrived=T0 // 1000 + day)
    out_of_order(store, (traffic(10, 10), 1, False))
    assert tick(store, recall()) == 2
    assert found(store, RATE) == [(20, 2)]


def test_what_was_derived_again_does_not_hide_what_was_not(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    """A row that was derived again is there twice until the engine makes the two one."""
    written(store, recall(), traffic(0, 0), traffic(20, 40), traffic(40, 60))
    store.command(f"SYSTEM STOP MERGES {store.name}.samples")
    out_of_order(store, (traffic(10, 30), 0, True))
    assert tick(store, recall()) == 2
    out_of_order(store, (traffic(30, 45), 0, True))
    assert tick(store, recall()) == 2
    assert found(store, RATE) == [(10, 3), (20, 1), (30, 0.5), (40, 1.5)]
    store.command(f"SYSTEM START MERGES {store.name}.samples")


def test_operands_that_came_apart_are_worked_out_after_a_kill(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    deriver = recall()
    written(store, deriver, draft("memory", 0, 4))
    written(store, deriver, draft("memory.usage", 10, 1))
    written(store, deriver, draft("memory", 10, 2))
    assert found(store, "memory_util") == [(10, 25)]
    assert tick(store, recall()) == 1
    assert found(store, "memory_util") == [(10, 50)]


def test_nothing_is_written_again_where_nothing_is_owed(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    written(store, recall(), traffic(0, 0), traffic(10, 10), draft("memory", 0, 4))
    written(store, recall(), draft("memory.usage", 10, 1))
    assert tick(store, recall()) == 0


def test_a_late_sample_is_not_what_a_start_goes_on_from(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    written(store, recall(), traffic(0, 0))
    late = sample_table([traffic(10, 1000)], T0 // 1000)
    insert_samples(store, late, late=1)
    insert_latest(store, late)
    deriver = recall()
    assert tick(store, deriver) == 0
    written(store, deriver, traffic(20, 40))
    assert found(store, RATE) == [(20, 2)]


def test_windows_that_were_open_are_written_once_they_are_complete(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(WINDOWS)
    chains = read_pipeline(path, 1)
    start = -(T0 // 1000) % 60  # s; of a minute
    written(store, Deriver(chains), *(draft("m", start + s, s) for s in (0, 30, 59, 60)))
    deriver = recalled_deriver(store, chains)
    assert tick(store, deriver) == 0
    assert tick(store, deriver, T0 + (start + 59) * 1000) == 0
    assert tick(store, deriver, T0 + (start + 60) * 1000) == 1
    assert found(store, "mean") == [(start, (0 + 30 + 59) / 3)]


def test_derived_ids_are_not_brought_back_to_recognize_repeats(
    store: Store, recall: functools.partial[Deriver]
) -> None:
    now = int(time.time())  # ids are forgotten after a day
    insert_samples(store, sample_table([traffic(20, 20)], now))
    derived = recall().take([sample_table([traffic(30, 30)], now)]).samples
    insert_samples(store, derived)
    sieve = recalled_sieve(store, 1000, 7200.0, now)
    assert sieve.sift(sample_table([traffic(20, 20)], now)).repeats == 1
    assert sieve.sift(derived).repeats == 0
