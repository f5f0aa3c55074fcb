"""Repeats and conflicts: the same rows count whatever the order, the repetition and the cut."""

import itertools
import time

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.batches import conflict_table, drafts_of, revision_table, sample_table
from metering.conflicts import Stored, settle
from metering.draft import Draft
from metering.repeats import Sieve
from store.client import Store
from store.incumbents import incumbents
from store.latest import catch_up_latest
from store.recall import recalled_sieve
from store.rows import insert_latest, insert_revisions, insert_samples
from tests.shelf import Shelf, counted_by_the_rules

T0 = 1_795_000_000_000


def _draft(
    name: str,
    volume: float = 1.0,
    kind: str = "gauge",
    resource: str = "r",
    s: int = 0,
    project: str = "p",
) -> Draft:
    metadata = "{}"
    return Draft(
        "cpu", kind, "ns", volume, project, "u", resource, T0 + s * 1000, metadata, "o", name
    )


DRAFTS = st.lists(
    st.builds(
        _draft,
        name=st.sampled_from("abcd"),
        volume=st.sampled_from([1.0, 2.0, 3.0]),
        kind=st.sampled_from(["gauge", "delta"]),
        resource=st.sampled_from(["r", "s"]),
        s=st.integers(0, 2),
        project=st.sampled_from(["p", "p", "q"]),
    ),
    min_size=1,
    max_size=12,
)


class _Normalizer:
    """What NormalizeSamples and its sinks do, over a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.sieve = Sieve(100_000)
        self.conflicts: set[Draft] = set()

    def take(self, samples: pa.Table) -> None:
        sifted = self.sieve.sift(samples)
        self.shelf.write_clean(sifted.clean)
        if sifted.suspect.num_rows:
            arrived = drafts_of(sifted.suspect)
            met = self.shelf.incumbents([draft for draft, _ in arrived], sifted.contested)
            settled = settle(arrived, met)
            self.conflicts |= {loser for loser, _ in settled.conflicts}
            if settled.writes:
                self.shelf.write(revision_table(settled.writes))


def _cut(drafts: list[Draft], cuts: list[int]) -> list[list[Draft]]:
    edges = sorted({0, len(drafts), *(cut for cut in cuts if cut < len(drafts))})
    return [drafts[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=400, deadline=None)
@given(DRAFTS, st.data())
def test_any_order_repetition_and_cut_gives_the_same_rows(
    drafts: list[Draft], data: st.DataObject
) -> None:
    repeated = drafts + data.draw(st.lists(st.sampled_from(drafts), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    cuts = data.draw(st.lists(st.integers(1, 18), max_size=4))
    restart = data.draw(st.integers(0, 4))
    normalizer = _Normalizer(Shelf())
    for number, part in enumerate(_cut(shuffled, cuts)):
        if number == restart:  # a crash: what was remembered is gone, the shelf is not
            normalizer.sieve = _recalled(normalizer.shelf)
        normalizer.take(sample_table(part, 1_795_000_000))
    counting, conflicts = counted_by_the_rules(drafts)
    assert normalizer.shelf.counting() == counting
    assert normalizer.conflicts == conflicts


def _recalled(shelf: Shelf) -> Sieve:
    sieve = Sieve(100_000)
    rows = [row.draft for row in shelf.rows.values()]
    if rows:
        table = sample_table(rows, 0)
        stamps = table["timestamp"].cast(pa.timestamp("ms"))
        text = lambda name: table[name].cast(pa.string())  # noqa: E731
        sieve.remember_series(text("meter"), text("resource_id"), stamps)
        sieve.remember_ids(table["message_id"])
    return sieve


def test_samples_in_order_are_clean() -> None:
    sieve = Sieve(1000)
    first = sieve.sift(sample_table([_draft("a", s=0), _draft("b", s=10)], 0))
    second = sieve.sift(sample_table([_draft("c", s=20)], 0))
    assert (first.clean.num_rows, first.suspect.num_rows) == (2, 0)
    assert (second.clean.num_rows, second.suspect.num_rows) == (1, 0)


def test_a_sample_out_of_order_is_suspect_and_its_id_is_not_contested() -> None:
    sieve = Sieve(1000)
    sieve.sift(sample_table([_draft("a", s=10)], 0))
    sifted = sieve.sift(sample_table([_draft("b", s=5)], 0))
    assert (sifted.clean.num_rows, sifted.suspect.num_rows, sifted.contested) == (0, 1, [])


def test_settling_what_was_written_writes_nothing() -> None:
    arrived = [(_draft("a", 7.0), 1), (_draft("a", 5.0), 1), (_draft("b", 6.0), 1)]
    settled = settle(arrived, [])
    assert {(row.draft.message_id, row.draft.volume, row.counts) for row in settled.writes} == {
        ("a", 7.0, False),
        ("a", 5.0, False),
        ("b", 6.0, True),
    }
    again = settle(arrived, settled.writes)
    assert (again.writes, again.repeats) == ([], 3)
    assert again.conflicts == settled.conflicts == [(_draft("a", 7.0), _draft("a", 5.0))]


def test_a_sample_that_loses_to_one_and_then_to_another_is_refused_once() -> None:
    loser, winner, smaller = _draft("a", 7.0), _draft("a", 5.0), _draft("a", 3.0)
    first, then = (
        conflict_table([(loser, least)], [(loser, at)])
        for at, least in enumerate((winner, smaller))
    )
    assert first["id"] == then["id"]


def test_the_store_settles_a_conflict_that_arrives_after_a_restart(store: Store) -> None:
    now = int(time.time())  # the store forgets message ids a day after their arrival
    first = sample_table([_draft("a", 7.0), _draft("x", 1.0, resource="s")], now)
    insert_samples(store, first)
    insert_latest(store, first)
    sieve = recalled_sieve(store, 1000, 7200.0, now)
    sifted = sieve.sift(sample_table([_draft("a", 5.0, s=9), _draft("b", 3.0, s=0)], now))
    assert (sifted.suspect.num_rows, sifted.contested) == (2, ["a"])
    arrived = drafts_of(sifted.suspect)
    settled = settle(arrived, incumbents(store, [d for d, _ in arrived], sifted.contested))
    insert_revisions(store, revision_table(settled.writes))
    rows = store.query(
        f"SELECT message_id, volume FROM {store.name}.v_samples ORDER BY ALL"
    ).result_rows
    assert rows == [("a", 5.0), ("b", 3.0), ("x", 1.0)]
    refused = conflict_table(settled.conflicts, arrived)
    assert refused["reason"].to_pylist() == ["conflict"]
    assert refused["detail"].to_pylist() == ["message id a came with volume 5, which counts"]


def test_what_comes_again_after_a_restart_is_known_without_asking_the_store(store: Store) -> None:
    now = int(time.time())
    drafts = [_draft("a", 7.0), _draft("b", 1.0, "delta", resource="s")]
    insert_samples(store, sample_table(drafts, now))
    sieve = recalled_sieve(store, 1000, 7200.0, now)
    sifted = sieve.sift(sample_table(drafts, now + 1))
    assert (sifted.clean.num_rows, sifted.suspect.num_rows, sifted.repeats) == (0, 0, 2)


def test_latest_forgets_a_sample_that_is_overruled(store: Store) -> None:
    now = int(time.time())
    first = sample_table([_draft("a", 7.0, s=9), _draft("b", 1.0, s=5)], now)
    insert_samples(store, first)
    insert_latest(store, first)
    arrived = [(_draft("a", 5.0, s=3), now)]
    settled = settle(arrived, incumbents(store, [draft for draft, _ in arrived], ["a"]))
    insert_revisions(store, revision_table(settled.writes))
    found = f"SELECT volume, timestamp, first_timestamp FROM {store.name}.v_latest"
    mended = store.query(found).result_rows
    assert [(v, t.second, f.second) for v, t, f in mended] == [(1.0, 45, 43)]
    catch_up_latest(store)
    assert store.query(found).result_rows == mended


def test_a_start_mends_latest_after_samples_that_came_long_ago_were_revised(store: Store) -> None:
    """As after a kill between `samples` and `latest`; what settled them may be of another series."""
    now = int(time.time())
    day = 86_400
    first = sample_table([_draft("a", 7.0, s=9), _draft("b", 1.0, s=5)], now - 2 * day)
    newest = sample_table([_draft("c", 1.0, resource="other")], now)
    for table in (first, newest):
        insert_samples(store, table)
        insert_latest(store, table)
    rows = [
        Stored(_draft("a", 7.0, s=9), now - 2 * day, 0, 1, False),
        Stored(_draft("d", 3.0, s=7), now - 2 * day, 0, 1, True),
    ]
    insert_revisions(store, revision_table(rows))
    store.command(f"TRUNCATE TABLE {store.name}.latest")
    insert_latest(store, first)
    catch_up_latest(store)
    sql = f"SELECT volume, timestamp FROM {store.name}.v_latest WHERE resource_id = 'r'"
    assert [(v, t.second) for v, t in store.query(sql).result_rows] == [(3.0, 47)]
