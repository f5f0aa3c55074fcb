"""GatherReaders and GatherPlaces: tables by their names, and one time for all readers, then for all places."""

import functools
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from metering.elements import CommonTick, Tick, Touched
from metering.places import Place, Places
from transforms.by_place import Keyed
from transforms.decode import EVENTS, INVALID, SAMPLES, Placed
from transforms.gather import GatherReaders
from transforms.gather_places import GatherPlaces


def named(place: bytes, name: str, *rows: int) -> Placed:
    return place, (name, pa.table({"row": list(rows)}))


def rows(element: Any) -> Any:
    if isinstance(element, tuple):
        return element[0], rows(element[1])
    if isinstance(element, Touched):
        return "touched", tuple(element.series["row"].to_pylist())
    return element if isinstance(element, Tick) else tuple(element["row"].to_pylist())


def common(_place: Place) -> CommonTick:
    return CommonTick()


FIRST = Tick(1000, 50, reader=7, readers=2)
SECOND = Tick(2000, 40, reader=9, readers=2)
READ = [
    named(b"0", SAMPLES, 1, 2),
    named(b"0", EVENTS, 3),
    named(b"1", SAMPLES, 6),
    (b"0", FIRST),
    (b"1", FIRST),
    named(b"0", INVALID, 4),
    (b"0", SECOND),
    (b"1", SECOND),
    named(b"0", SAMPLES, 5),
]
TICKS = [Tick(1000, None), Tick(2000, 40)]


@pytest.mark.parametrize("apart", [False, True])
def test_samples_events_and_refusals_go_their_ways_with_the_time_of_all_readers(
    apart: bool,
) -> None:
    with beam.Pipeline() as job:
        read = job | beam.Create(READ, reshuffle=False).with_output_types(Placed)
        gathered = read | GatherReaders(apart, Places(2, 2), common)
        first = [(1, 2), *TICKS, (5,)]
        wanted: dict[str, list[Any]] = {
            SAMPLES: [
                *((b"0", one) for one in first),
                *((b"1", one) for one in [(6,), *TICKS]),
            ],
            EVENTS: [(3,), *TICKS],
            INVALID: [(4,)],
        }
        for name, elements in wanted.items():
            found = gathered[name] | f"Rows of {name}" >> beam.Map(rows)
            assert_that(found, equal_to(elements), f"{name} are as wanted")


def table(*rows: int) -> pa.Table:
    return pa.table({"row": list(rows)})


# Two places with a shard each, and one bundle.
WRITTEN: list[Keyed] = [
    (b"0", table(1)),
    (b"1", table(2)),
    (b"0", table(3)),
    (b"0", Touched(table(9))),
    (b"0", Tick(1000, 50)),
    (b"1", Tick(1000, 40)),
]


def held(waiting: list[Touched], place: Place) -> list[Touched]:
    return [] if place.number else waiting


def watched(job: beam.Pipeline, waiting: list[Touched], alone: dict[str, str]) -> Any:
    samples = job | "Samples" >> beam.Create(WRITTEN, reshuffle=False).with_output_types(Keyed)
    events = job | "Events" >> beam.Create([table(7), Tick(1000, 50)], reshuffle=False)
    gather = GatherPlaces(alone, Places(2, 2), common, functools.partial(held, waiting))
    return (samples, events) | gather


def test_places_pass_on_what_they_wrote_and_what_an_earlier_bundle_touched() -> None:
    with beam.Pipeline() as job:
        given = watched(job, [Touched(table(8))], {"cpu_count": "2"})
        told = given[SAMPLES] | "Rows" >> beam.Map(rows)
        wanted = [("touched", (8,)), (1, 3), (2,), Tick(1000, None)]
        assert_that(told, equal_to(wanted), "samples")
        assert_that(given[EVENTS] | "Events' rows" >> beam.Map(rows), equal_to([(7,)]), "events")


def test_in_process_all_is_given_on_as_it_is() -> None:
    with beam.Pipeline() as job:
        given = watched(job, [], {})
        wanted = [rows(one) for one in WRITTEN]
        assert_that(given[SAMPLES] | "Rows" >> beam.Map(rows), equal_to(wanted), "samples")
