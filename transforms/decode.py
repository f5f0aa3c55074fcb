"""DecodePayloads: from raw payloads to tables of samples, events and refusals."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue

from metering.batches import together
from metering.config import Decode
from metering.decode import Decoded, Decoder
from metering.elements import Beat, Contested, Payloads, Tick, Watermark
from metering.places import WHOLE, Places, divided
from metering.repeats import ids_of
from transforms.counters import count

SAMPLES = "samples"
EVENTS = "events"
INVALID = "invalid"
IDS = "ids"

# By the key of a place: where a runner sends things by their keys, all of one goes there, in its order.
Placed = tuple[bytes, tuple[str, pa.Table] | Tick | Contested]
FIRST = WHOLE.key  # the place of what is not of a resource


class _DecodeFn(beam.DoFn):
    def __init__(self, config: Decode, watermark: Callable[[], Watermark], places: Places) -> None:
        self._config, self._make_watermark, self._places = config, watermark, places

    def setup(self) -> None:
        self._decoder = Decoder(self._config)
        self._watermark = self._make_watermark()

    def process(self, element: list[Payloads] | Beat) -> Iterator[Any]:
        if isinstance(element, Beat):
            tick = self._watermark.tick(element)
            yield from ((place.key, tick) for place in self._places.all())
            return
        for feed, parts in itertools.groupby(element, key=lambda part: part.feed):
            decoded = self._decoded(feed, list(parts))
            self._watermark.saw(feed, decoded.newest)
            yield from self._placed(decoded)

    def _placed(self, decoded: Decoded) -> Iterator[Any]:
        for name, table in _tables(decoded):
            if name != SAMPLES:
                yield FIRST, (name, table)
                continue
            yield from ((key, (name, some)) for key, some in divided(table, self._places))
            if self._places.count > 1:
                yield pvalue.TaggedOutput(IDS, ids_of(table))

    def _decoded(self, feed: str, parts: list[Payloads]) -> Decoded:
        bodies = [body for part in parts for body in part.bodies]
        count("payloads", len(bodies))
        return self._decoder.decode(feed, bodies, max(part.received for part in parts))


def _tables(decoded: Decoded) -> Iterator[tuple[str, pa.Table]]:
    if decoded.invalid.num_rows:
        count("invalid", decoded.invalid.num_rows)
        yield INVALID, decoded.invalid
    if decoded.events.num_rows:
        count("events", decoded.events.num_rows)
        yield EVENTS, decoded.events
    if decoded.samples.num_rows:
        yield SAMPLES, together([decoded.samples])


@dataclasses.dataclass
class DecodePayloads(beam.PTransform):
    """PCollection[list[Payloads] | Beat] -> (place, (SAMPLES | EVENTS | INVALID, table) | Tick); IDS.

    Samples are divided among places by their resources; a tick goes to every place. Where there are several
    places, IDS are the samples' message ids with their contents (metering.schema.IDS).

    State:  the newest event times of its readers' feeds, for their watermarks.
    Errors: what can't be decoded goes to `invalid` with its reason; nothing is dropped.
    """

    config: Decode
    watermark: Callable[[], Watermark] = Watermark
    places: Places = dataclasses.field(default_factory=Places)

    def expand(self, payloads: beam.PCollection) -> Any:
        """Return the outputs `placed`, a reader's tick behind what it read before, and IDS."""
        fn = _DecodeFn(self.config, self.watermark, self.places)
        decode = beam.ParDo(fn).with_output_types(Placed)
        return payloads | "Decode" >> decode.with_outputs(IDS, main="placed")
