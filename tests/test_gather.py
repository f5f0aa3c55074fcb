"""GatherReaders: tables by their names, and one time for all readers."""

from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from metering.elements import Tick
from transforms.decode import EVENTS, INVALID, PLACE, SAMPLES, Placed
from transforms.gather import GatherReaders


def named(name: str, *rows: int) -> Placed:
    return PLACE, (name, pa.table({"row": list(rows)}))


def rows(element: Any) -> Any:
    return element if isinstance(element, Tick) else tuple(element["row"].to_pylist())


FIRST = Tick(1000, 50, reader=7, readers=2)
SECOND = Tick(2000, 40, reader=9, readers=2)
READ = [
    named(SAMPLES, 1, 2),
    named(EVENTS, 3),
    (PLACE, FIRST),
    named(INVALID, 4),
    (PLACE, SECOND),
    named(SAMPLES, 5),
]
TICKS = [Tick(1000, None), Tick(2000, 40)]


@pytest.mark.parametrize("apart", [False, True])
def test_samples_events_and_refusals_go_their_ways_with_the_time_of_all_readers(
    apart: bool,
) -> None:
    with beam.Pipeline() as job:
        read = job | beam.Create(READ, reshuffle=False).with_output_types(Placed)
        gathered = read | GatherReaders(apart)
        wanted = {SAMPLES: [(1, 2), *TICKS, (5,)], EVENTS: [(3,), *TICKS], INVALID: [(4,)]}
        for name, elements in wanted.items():
            found = gathered[name] | f"Rows of {name}" >> beam.Map(rows)
            assert_that(found, equal_to(elements), f"{name} are as wanted")
