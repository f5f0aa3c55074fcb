"""Where state is held: resources are divided among shards, and shards among places.

A place is a part of the job that remembers its own series and no others'. In process there is one; where
a runner has several slots there are as many, each wherever the runner puts it.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from metering.batches import compacted

Numbers = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """One of `count` places: it has every shard, of `shards`, whose number leaves its own by `count`."""

    number: int = 0
    count: int = 1
    shards: int = 1

    @property
    def key(self) -> bytes:
        """Its name in a keyed collection."""
        return b"%d" % self.number

    @property
    def mine(self) -> range:
        """Its shards."""
        return range(self.number, self.shards, self.count)

    def holds(self, resource_id: str) -> bool:
        """Return whether a resource is one of its own."""
        shard = xxhash.xxh64_intdigest(resource_id.encode()) % self.shards
        return shard % self.count == self.number


@dataclasses.dataclass(frozen=True, slots=True)
class Places:
    """All places. Raises ValueError where a place would have no shard."""

    shards: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if self.shards < self.count:
            raise ValueError(f"{self.shards} shards are too few for {self.count} places")

    def all(self) -> list[Place]:
        """Return the places by their numbers."""
        return [Place(number, self.count, self.shards) for number in range(self.count)]

    def of_key(self, key: bytes) -> Place:
        """Return the place that a key names."""
        return _place(int(key), self.count, self.shards)


WHOLE: Final = Place()
_place = functools.lru_cache(maxsize=4096)(Place)


def divided(samples: pa.Table, places: Places) -> Iterator[tuple[bytes, pa.Table]]:
    """Yield the key of each place that has samples, and them, with no more texts than they need."""
    if places.count == 1:
        yield WHOLE.key, samples
        return
    numbers = shards_of(samples, places.shards) % np.uint64(places.count)
    for number in np.unique(numbers):
        yield b"%d" % number, compacted(samples.filter(pa.array(numbers == number)))


def shards_of(samples: pa.Table, shards: int) -> Numbers:
    """Return the shard of each sample: xxh64(resource_id) mod shards, as ClickHouse's xxHash64.

    Shape: any table with the column `resource_id`.
    """
    column = samples["resource_id"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    hashes = [xxhash.xxh64_intdigest(value.encode()) for value in column.dictionary.to_pylist()]
    numbers: Numbers = (np.array(hashes, np.uint64) % np.uint64(shards))[column.indices.to_numpy()]
    return numbers
