"""ShardSamples: each resource's samples to the shard that they belong to, each tick to all of a place."""

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from metering.batches import compacted
from metering.elements import Tick, Touched
from metering.places import Place, Places, shards_of

Keyed = tuple[bytes, pa.Table | Touched | Tick]


def split(samples: pa.Table, place: Place) -> Iterator[tuple[bytes, pa.Table]]:
    """Yield each shard of a place that has samples, and them; all are the place's."""
    if len(place.mine) == 1:
        if samples.num_rows:
            yield b"%d" % place.mine[0], samples
        return
    numbers = shards_of(samples, place.shards)
    for shard in np.unique(numbers):
        yield b"%d" % shard, samples.filter(pa.array(numbers == shard))


def divided(samples: pa.Table, places: Places) -> Iterator[tuple[bytes, pa.Table]]:
    """Yield the key of each place that has samples, and them, with no more texts than they need."""
    if places.count == 1:
        yield b"0", samples
        return
    numbers = shards_of(samples, places.shards) % np.uint64(places.count)
    for number in np.unique(numbers):
        yield b"%d" % number, compacted(samples.filter(pa.array(numbers == number)))


class _ShardFn(beam.DoFn):
    def __init__(self, places: Places) -> None:
        self._places = places

    def process(self, placed: Keyed) -> Iterator[Keyed]:
        place, element = self._places.of_key(placed[0]), placed[1]
        if isinstance(element, Tick):
            yield from ((b"%d" % shard, element) for shard in place.mine)
        else:
            yield from split(element, place)


@dataclasses.dataclass
class ShardSamples(beam.PTransform):
    """PCollection[(place, SAMPLES | Tick)] -> PCollection[(shard, SAMPLES | Tick)]."""

    places: Places

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return keyed tables; a tick goes to every shard of its place."""
        return samples | "Key" >> beam.ParDo(_ShardFn(self.places)).with_output_types(Keyed)
