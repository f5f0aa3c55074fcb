"""FindContested: message ids that come with several contents, for resources of several places, too."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from metering.contested import IdContents
from metering.elements import Contested
from metering.places import Places
from transforms.decode import Placed

Together = tuple[bytes, pa.Table]


class _FindFn(beam.DoFn):
    """Declares state and has none, as GatherReaders does."""

    _STATE = ReadModifyWriteStateSpec("none", BytesCoder())

    def __init__(self, places: Places, ids: Callable[[], IdContents]) -> None:
        self._places, self._make_ids = places, ids

    def setup(self) -> None:
        self._ids = self._make_ids()

    def process(
        self, together: Together, _: Any = beam.DoFn.StateParam(_STATE)
    ) -> Iterator[Placed]:
        contested = self._ids.take(together[1])
        if contested.num_rows:
            yield from ((place.key, Contested(contested)) for place in self._places.all())


@dataclasses.dataclass
class FindContested(beam.PTransform):
    """(place, ...), IDS -> PCollection[(place, ... | Contested)]: what is placed, and what is contested.

    Where places are in slots of their own, the ids of all come to one slot, beside the samples: `alone` are its
    hints, `apart` those of the readers that send them. In process a place sees all, and what is placed is given on as it is.
    State: of recent ids the content (metering.contested); `ids` makes it knowing what the store knows.
    """

    apart: Mapping[str, str]
    alone: Mapping[str, str]
    places: Places
    ids: Callable[[], IdContents]

    def expand(self, decoded: Any) -> beam.PCollection:
        """Return what goes to the places; it comes there in any order."""
        placed, ids = decoded
        if not self.alone:
            return placed
        find = beam.ParDo(_FindFn(self.places, self.ids)).with_output_types(Placed)
        key = beam.Map(_keyed).with_output_types(Together)
        keyed = ids | "Key" >> key.with_resource_hints(**self.apart)
        contested = keyed | "Find" >> find.with_resource_hints(**self.alone)
        return (placed, contested) | "Both" >> beam.Flatten()


def _keyed(ids: pa.Table) -> Together:
    return b"ids", ids
