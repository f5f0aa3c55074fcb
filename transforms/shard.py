"""ShardSamples: each resource's samples to the shard that keeps its state, each tick to all."""

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import xxhash

from metering.elements import Tick, Touched

Keyed = tuple[bytes, pa.Table | Touched | Tick]


def shards_of(samples: pa.Table, shards: int) -> np.ndarray:
    """Return the shard of each sample: xxh64(resource_id) mod shards, as ClickHouse's xxHash64.

    Shape: any table with the column `resource_id`.
    """
    column = samples["resource_id"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    hashes = [xxhash.xxh64_intdigest(value.encode()) for value in column.dictionary.to_pylist()]
    return (np.array(hashes, np.uint64) % np.uint64(shards))[column.indices.to_numpy()]


def split(samples: pa.Table, shards: int) -> Iterator[tuple[bytes, pa.Table]]:
    """Yield each shard that has samples, and them."""
    if shards == 1 and samples.num_rows:
        yield b"0", samples
        return
    numbers = shards_of(samples, shards)
    for shard in np.unique(numbers):
        yield b"%d" % shard, samples.filter(pa.array(numbers == shard))


class _ShardFn(beam.DoFn):
    def __init__(self, shards: int) -> None:
        self._shards = shards

    def process(self, element: pa.Table | Tick) -> Iterator[Keyed]:
        if isinstance(element, Tick):
            yield from ((b"%d" % shard, element) for shard in range(self._shards))
        else:
            yield from split(element, self._shards)


@dataclasses.dataclass
class ShardSamples(beam.PTransform):
    """PCollection[SAMPLES | Tick] -> PCollection[(shard, SAMPLES | Tick)]."""

    shards: int

    def expand(self, samples: beam.PCollection) -> beam.PCollection:
        """Return keyed tables; a tick goes to every shard."""
        return samples | "Key" >> beam.ParDo(_ShardFn(self.shards)).with_output_types(Keyed)
