"""What is read again of stored usage, and when a job starts."""

import datetime as dt

import pyarrow as pa

from metering.batches import revision_table, sample_table
from metering.conflicts import Stored
from metering.draft import Draft
from metering.schema import TOUCHED
from metering.usage.rules import UsageRules
from store.client import Store
from store.rows import (
    insert_final,
    insert_latest,
    insert_revisions,
    insert_samples,
    insert_usage,
)
from store.usage import recalled_windows, stored_final_until, stored_usage
from tests.tables import usage_rows

HOUR = 3600  # s
START = 1_790_000_000 // HOUR * HOUR  # s


def row(resource: str, hour: int, **columns: object) -> dict[str, object]:
    start = dt.datetime.fromtimestamp(START + hour * HOUR, dt.timezone.utc)
    return {"meter": "cpu", "resource_id": resource, "start": start, **columns}


def asked(*series: tuple[str, int]) -> pa.Table:
    rows = [
        {"meter": "cpu", "resource_id": r, "timestamp": (START + hour * HOUR) * 1000}
        for r, hour in series
    ]
    return pa.Table.from_pylist(rows, schema=TOUCHED)


def test_the_newest_rows_of_the_series_asked_for_are_read(store: Store) -> None:
    rows = usage_rows(*(row(r, hour) for r in ("a", "b", "c") for hour in range(4)))
    insert_usage(store, rows)
    newer = usage_rows(row("a", 2, usage=7.0, version=9), row("b", 3, is_deleted=1, version=9))
    insert_usage(store, newer)
    found = stored_usage(store, asked(("a", 1), ("b", 2), ("x", 0))).to_pylist()
    there = sorted((one["resource_id"], one["start"], one["usage"]) for one in found)
    at = {hour: row("", hour)["start"] for hour in range(4)}
    assert there == [("a", at[1], 1.0), ("a", at[2], 7.0), ("a", at[3], 1.0), ("b", at[2], 1.0)]
    assert stored_usage(store, asked()).num_rows == 0


def test_nothing_is_final_before_every_shard_said_so(store: Store) -> None:
    assert stored_final_until(store) is None
    insert_final(store, [0], 2, (START + HOUR) * 1000, 1)
    assert stored_final_until(store) is None
    insert_final(store, [1], 2, START * 1000, 2)
    assert stored_final_until(store) == START * 1000


def test_what_is_final_stays_so_while_shards_of_another_number_begin_to_say_so(
    store: Store,
) -> None:
    """A process may end between two of them, and the next is told what is final by what is stored."""
    said = [(1, 0, 2), (2, 0, 3), (2, 1, 3), (1, 0, 4), (3, 0, 5), (3, 1, 5), (3, 2, 5)]
    final = []
    for at, (shards, shard, hour) in enumerate(said, 1):
        insert_final(store, [shard], shards, (START + hour * HOUR) * 1000, at)
        final.append((stored_final_until(store) // 1000 - START) // HOUR)
    assert final == [2, 2, 3, 4, 4, 4, 5]
    view = (
        f"SELECT DISTINCT state FROM {store.name}.v_usage_hourly WHERE resource_id = {{r:String}}"
    )
    insert_usage(store, usage_rows(row("before", 4), row("after", 5)))
    states = [store.query(view, {"r": name}).result_rows for name in ("before", "after")]
    assert states == [[("final",)], [("open",)]]


def test_a_start_works_out_again_what_may_go_on(store: Store) -> None:
    now = START + 20 * HOUR
    insert_final(store, [0], 1, (START + 17 * HOUR) * 1000, 1)

    def sample(resource: str, hour: int) -> Draft:
        at = (START + hour * HOUR) * 1000
        return Draft(
            "cpu", "gauge", "x", 1.0, "p", "u", resource, at, "{}", "s", f"{resource} {hour}"
        )

    for arrived, samples in (
        (now - 4 * HOUR, [sample("silent", 1), sample("live", 16), sample("overruled", 3)]),
        (now - 700, [sample("live", 18)]),
        (now, [sample("live", 19), sample("back", 2)]),
    ):
        table = sample_table(samples, arrived)
        insert_samples(store, table)
        insert_latest(store, table)
    overruled = Stored(sample("overruled", 3), now - 4 * HOUR, 0, 1, False)
    insert_revisions(store, revision_table([overruled]))  # what settles it is of another series
    windows = recalled_windows(store, UsageRules())
    touched = windows.touched()
    assert touched is not None
    assert (
        sorted(touched.to_pylist(), key=lambda one: one["resource_id"])
        == asked(("back", 2), ("live", 19), ("overruled", 3)).to_pylist()
    )
    assert windows.final_until == (START + 17 * HOUR) * 1000
