"""What alarms look back to in the store: samples of selections, the newest of each series, events."""

from typing import Any

import pyarrow as pa
import pytest

import store.alarm_samples as stored
from metering.alarms.matching_index import Watched
from metering.alarms.selection import Selection
from metering.batches import EventRows, sample_table
from metering.draft import Draft
from metering.schema import EVENTS, SAMPLES
from store.client import Store
from store.rows import insert_events, insert_latest, insert_samples
from tests.alarms.transcript import START, at, event, sample

NOW = START + 3_600_000
ARRIVED = START // 1000


def watched(*meters: str, span: int = 600_000, **fields: Any) -> Watched:
    latest = fields.pop("latest", False)
    return Watched("a", 0, Selection(meters, **fields), 60_000, span, latest=latest)


def insert(store: Store, *samples: Draft, arrived: int = ARRIVED) -> None:
    table = sample_table(list(samples), arrived)
    insert_samples(store, table)
    insert_latest(store, table)


def volumes(tables: Any) -> list[float]:
    table = pa.concat_tables(tables, promote_options="none")
    assert table.schema == SAMPLES
    return sorted(table["volume"].to_pylist())


def test_samples_are_recalled_as_far_back_as_a_selection_looks(store: Store) -> None:
    insert(store, sample("10:00", 1), sample("30:00", 2), sample("41:00", 3, meter="memory"))
    insert(store, sample("39:00", 4), sample("40:00", 5), arrived=ARRIVED + 1000)
    (found,) = stored.recalled(store, [watched("cpu")], NOW)
    assert (found.since, found.unsure) == (at("39:00") - 600_000, at("39:00"))
    assert volumes(list(found.tables)) == [2, 4, 5]


def test_what_looks_further_back_is_read_by_itself(store: Store) -> None:
    insert(store, sample("10:00", 1), sample("39:00", 2))
    insert(store, sample("40:00", 3), arrived=ARRIVED + 1000)
    near, far = watched("cpu", span=60_000), watched("cpu", span=3_000_000)
    found = {one.watched[0].span: one for one in stored.recalled(store, [near, far], NOW)}
    assert volumes(list(found[60_000].tables)) == [2, 3]
    assert volumes(list(found[3_000_000].tables)) == [1, 2, 3]


def test_samples_of_few_resources_are_read_alone(store: Store) -> None:
    insert(store, sample("40:00", 1), sample("40:00", 2, resource_id="q"))
    named = [watched("cpu", resource_id="r"), watched("cpu", series=(("r", "cpu"),))]
    (found,) = stored.recalled(store, named, NOW)
    assert volumes(list(found.tables)) == [1]
    (every,) = stored.recalled(store, [*named, watched("cpu")], NOW)
    assert volumes(list(every.tables)) == [1, 2]


def test_a_sample_ahead_of_the_clock_does_not_hide_the_others(store: Store) -> None:
    insert(store, sample("59:00", 1), sample("120:00", 2))
    (found,) = stored.recalled(store, [watched("cpu")], NOW)
    assert volumes(list(found.tables)) == [1, 2]


def test_where_only_the_newest_counts_each_series_has_its_own(store: Store) -> None:
    insert(store, sample("10:00", 1), sample("11:00", 2), sample("40:00", 3, resource_id="q"))
    (found,) = stored.recalled(store, [watched("cpu", latest=True)], NOW)
    assert volumes(list(found.tables)) == [2, 3, 3]  # what came lately is read once more


def test_many_samples_come_in_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_SLICE", 3)
    insert(store, *(sample(f"{minute}:00", minute) for minute in range(31, 41)))
    (found,) = stored.recalled(store, [watched("cpu")], NOW)
    tables = list(found.tables)
    assert len(tables) == 4
    assert volumes(tables) == list(range(31, 41))


def test_nothing_is_recalled_of_an_empty_store(store: Store) -> None:
    (found,) = stored.recalled(store, [watched("cpu")], NOW)
    assert [table.num_rows for table in found.tables] == []
    assert list(stored.recalled(store, [], NOW)) == []


def test_events_come_as_they_were_stored_in_order_of_time(store: Store) -> None:
    rows = EventRows(ARRIVED)
    for one in (
        event("30:00", "create.end", id="x", tries=2, load=0.5),
        event("20:00", "create.start", id="x"),
        event("10:00", "create.start", id="y"),
        event("30:00", "delete", id="x"),
    ):
        rows.add(one, 0, "")
    insert_events(store, rows.table())
    (found,) = stored.stored_events(store, ["create.*"], at("20:00"))
    assert found.schema == EVENTS
    assert found["event_type"].to_pylist() == ["create.start", "create.end"]
    assert found["integer_traits"].to_pylist() == [[], [("tries", 2)]]
    assert found["float_traits"].to_pylist() == [[], [("load", 0.5)]]
    assert list(stored.stored_events(store, ["none"], 0)) == []
