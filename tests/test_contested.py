"""Message ids that contradict each other over places: what counts is what counts in one place."""

import dataclasses
import random
from collections import deque
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.batches import sample_table
from metering.contested import AwaitedIds, IdContents
from metering.draft import Draft
from metering.elements import Contested, LeastWatermark, Tick
from metering.places import Place, Places, divided
from metering.repeats import Sieve, ids_of
from metering.schema import IDS
from metering.usage.rules import UsageRules
from store.client import Store
from store.recall import recalled_ids
from store.rows import insert_samples
from tests.shelf import Shelf, counted_by_the_rules
from transforms.decode import SAMPLES, Placed
from transforms.find_contested import FindContested
from transforms.normalize import SETTLED, Normalizing

T0 = 1_795_000_000_000  # ms
NOW = T0 // 1000
PLACES = Places(4, 3)
EVERY = PLACES.all()


def draft(name: str, volume: float, resource: str, kind: str = "gauge", s: int = 0) -> Draft:
    return Draft("cpu", kind, "ns", volume, "p", "u", resource, T0 + s * 1000, "{}", "o", name)


DRAFTS = st.lists(
    st.builds(
        draft,
        name=st.sampled_from("abc"),
        volume=st.sampled_from([1.0, 2.0, 3.0]),
        resource=st.sampled_from("rstuv"),
        kind=st.sampled_from(["gauge", "delta"]),
        s=st.integers(0, 1),
    ),
    min_size=1,
    max_size=10,
)


def table(*drafts: Draft) -> pa.Table:
    return sample_table(list(drafts), NOW)


@dataclasses.dataclass
class Written:
    """What a bundle writes when it ends."""

    tables: list[tuple[str, pa.Table]]


class Cluster:
    """Places, each with its bundles, beside who compares ids; what they are sent is under way for any time.

    A place's bundle reads the store when it begins and writes when it ends; others go on meanwhile.
    """

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.conflicts: set[tuple[Any, ...]] = set()
        self.start()

    def start(self) -> None:
        """Start all with what the store knows."""
        rows = [row.draft for row in self.shelf.rows.values()]
        self.found = IdContents(10_000, ids_of(table(*rows)) if rows else IDS.empty_table())
        self.steps = [self._step(place) for place in EVERY]
        self.ids: deque[pa.Table] = deque()
        self.sent: list[deque[Any]] = [deque() for _ in EVERY]
        self.ending: list[Written | None] = [None for _ in EVERY]

    def _step(self, place: Place) -> Normalizing:
        return Normalizing(
            place,
            UsageRules(),
            sieve=self._sieve,
            incumbents=self.shelf.incumbents,
            final_until=lambda: None,
            restated=list,
            reached=lambda _: LeastWatermark(),
            awaited=lambda _: AwaitedIds(),
        )

    def _sieve(self, place: Place) -> Sieve:
        sieve = Sieve(10_000)
        rows = [row.draft for row in self.shelf.rows.values()]
        mine = [one for one in rows if place.holds(one.resource_id)]
        if mine:
            sieve.remember(table(*mine))
        return sieve

    def read(self, drafts: list[Draft]) -> None:
        """Send a message's samples to their places, and its ids."""
        for key, samples in divided(table(*drafts), PLACES):
            self.sent[int(key)].append(samples)
        self.ids.append(ids_of(table(*drafts)))

    def compare(self) -> None:
        """Compare the next ids."""
        contested = self.found.take(self.ids.popleft())
        if contested.num_rows:
            for sent in self.sent:
                sent.append(Contested(contested))

    def begin(self, number: int, ticks: bool) -> None:
        """Begin a bundle of a place with all that it was sent so far."""
        elements = [*self.sent[number], *([Tick(T0, None)] if ticks else [])]
        self.sent[number].clear()
        written = Written([])
        for one in self.steps[number].bundle(elements):
            if isinstance(one, pvalue.TaggedOutput):
                assert one.tag == SETTLED
                written.tables.append(one.value)
            elif isinstance(one[1], pa.Table):
                written.tables.append((SAMPLES, one[1]))
        self.ending[number] = written

    def end(self, number: int) -> None:
        """End a place's bundle."""
        written = self.ending[number]
        assert written is not None
        self.ending[number] = None
        for name, rows in written.tables:
            if name == SAMPLES:
                self.shelf.write_clean(rows)
            elif name == "revisions":
                assert set(map(EVERY[number].holds, rows["resource_id"].to_pylist())) == {True}
                self.shelf.write(rows)
            else:
                self.conflicts |= set(rows["id"].to_pylist())

    def step(self, rng: random.Random, ticks: bool) -> bool:
        """Do something that is due, in any order; return whether there was something."""
        due = [lambda: self.compare()] if self.ids else []
        for number in range(len(EVERY)):
            if self.ending[number] is not None:
                due.append(lambda number=number: self.end(number))
            elif self.sent[number] or ticks:
                due.append(lambda number=number: self.begin(number, ticks or rng.random() < 0.5))
        if due:
            rng.choice(due)()
        return bool(due)

    def drain(self, rng: random.Random) -> None:
        """Go on until nothing is under way, then tick twice everywhere."""
        while self.step(rng, ticks=False):
            pass
        for number in [*range(len(EVERY))] * 2:
            self.begin(number, ticks=True)
            self.end(number)


PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), max_size=12)


def ids(pairs: Iterable[tuple[str, int]]) -> pa.Table:
    names, contents = [*zip(*pairs, strict=True)] or [(), ()]
    return pa.table([names, contents], schema=IDS)


def pairs_of(found: pa.Table) -> set[tuple[str, int]]:
    columns = found["message_id"].to_pylist(), found["content"].to_pylist()
    return set(zip(*columns, strict=True))


@given(PAIRS, PAIRS, st.integers(1, 12))
def test_what_comes_with_several_contents_is_told_with_each_of_them(
    stored: list[tuple[str, int]], came: list[tuple[str, int]], size: int
) -> None:
    found = IdContents(1000, ids(stored))
    told = set[tuple[str, int]]()
    for at in range(0, len(came), size):
        told |= pairs_of(found.take(ids(came[at : at + size])))
    both = {*stored, *came} if came else set()
    several = {name for name, _ in both if len({one for one in both if one[0] == name}) > 1}
    assert told == {one for one in both if one[0] in several}


def test_a_repeat_is_not_told() -> None:
    found = IdContents(1000, ids([("a", 1)]))
    assert not found.take(ids([("a", 1), ("b", 2), ("b", 2)])).num_rows


def test_an_id_is_awaited_until_all_that_came_under_it_is_stored() -> None:
    one, other, unasked = draft("a", 1, "r"), draft("a", 2, "s"), draft("b", 3, "t")
    awaited = AwaitedIds()
    awaited.add(ids_of(table(one)))
    awaited.add(ids_of(table(other)))
    assert awaited.names() == ["a"]
    assert awaited.found([other, unasked]) == set()
    assert awaited.names() == ["a"]
    assert awaited.found([one]) == {"a"}
    assert awaited.names() == []


def test_what_is_never_stored_is_not_awaited_for_ever() -> None:
    awaited = AwaitedIds()
    awaited.add(ids([("a", 1)]))
    looks = 0
    while awaited.names():
        assert awaited.found([]) == set()
        looks += 1
    assert looks == 1800
    awaited.add(ids((f"{n}", 1) for n in range(100_001)))
    assert awaited.names()[0] == "1"
    assert len(awaited.names()) == 100_000


def test_ids_of_all_places_are_recalled_with_their_contents(store: Store) -> None:
    stored = [draft(f"m{n}", n, f"vm-{n}") for n in range(20)]
    insert_samples(store, table(*stored))
    found = recalled_ids(store, 1000, 7200.0, NOW)
    assert not found.take(ids_of(table(*stored))).num_rows
    other = draft("m7", 7, "elsewhere")
    assert pairs_of(found.take(ids_of(table(other)))) == pairs_of(ids_of(table(stored[7], other)))


def test_every_place_is_told_beside_what_is_placed() -> None:
    one, other = ids([("a", 1), ("b", 1)]), ids([("a", 2)])
    placed = [(b"0", Tick(1, None)), (b"2", (SAMPLES, table(draft("a", 1, "r"))))]
    with beam.Pipeline() as job:
        decoded = (
            job | "Placed" >> beam.Create(placed, reshuffle=False).with_output_types(Placed),
            job | "Ids" >> beam.Create([one, other], reshuffle=False).with_output_types(pa.Table),
        )
        known = FindContested({"cpu_count": "1"}, {"cpu_count": "2"}, PLACES, no_ids)
        seen = decoded | known | beam.Map(lambda keyed: (keyed[0], *said(keyed[1])))
        told = [(place.key, "contested", ("a", 1), ("a", 2)) for place in EVERY]
        assert_that(seen, equal_to([(b"0", "tick"), (b"2", "samples"), *told]))


def no_ids() -> IdContents:
    return IdContents(1000, IDS.empty_table())


def said(element: Any) -> tuple[Any, ...]:
    if isinstance(element, Contested):
        return "contested", *sorted(pairs_of(element.ids))
    return ("tick",) if isinstance(element, Tick) else (element[0],)


@settings(max_examples=200, deadline=None)
@given(DRAFTS, st.randoms(use_true_random=False))
def test_places_count_what_one_place_counts(drafts: list[Draft], rng: random.Random) -> None:
    cluster = Cluster()
    messages = [drafts[at : at + 2] for at in range(0, len(drafts), 2)]
    messages += rng.choices(messages, k=rng.randrange(3))
    rng.shuffle(messages)
    killed = rng.randrange(2 * len(messages))
    for number, message in enumerate(messages):
        cluster.read(message)
        for _ in range(rng.randrange(4)):
            cluster.step(rng, ticks=rng.random() < 0.2)
        if number == killed:  # what was read comes again
            cluster.start()
            messages += messages[: killed + 1]
    cluster.drain(rng)
    counting, conflicts = counted_by_the_rules(drafts)
    assert cluster.shelf.counting() == counting
    assert len(cluster.conflicts) == len(conflicts)
