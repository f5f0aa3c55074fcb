"""DecodePayloads: from raw payloads to tables of samples, events and refusals."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from metering.batches import together
from metering.config import Decode
from metering.decode import Decoded, Decoder
from metering.elements import Beat, Payloads, Watermark
from transforms.counters import count

EVENTS = "events"
INVALID = "invalid"


class _DecodeFn(beam.DoFn):
    def __init__(self, config: Decode, watermark: Callable[[], Watermark]) -> None:
        self._config, self._make_watermark = config, watermark

    def setup(self) -> None:
        self._decoder = Decoder(self._config)
        self._watermark = self._make_watermark()

    def process(self, element: list[Payloads] | Beat) -> Iterator[Any]:
        if isinstance(element, Beat):
            tick = self._watermark.tick(element)
            yield tick
            yield pvalue.TaggedOutput(EVENTS, tick)
            return
        for feed, parts in itertools.groupby(element, key=lambda part: part.feed):
            decoded = self._decoded(feed, list(parts))
            self._watermark.saw(feed, decoded.newest)
            yield from _tables(decoded)

    def _decoded(self, feed: str, parts: list[Payloads]) -> Decoded:
        bodies = [body for part in parts for body in part.bodies]
        count("payloads", len(bodies))
        return self._decoder.decode(feed, bodies, max(part.received for part in parts))


def _tables(decoded: Decoded) -> Iterator[Any]:
    if decoded.invalid.num_rows:
        count("invalid", decoded.invalid.num_rows)
        yield pvalue.TaggedOutput(INVALID, decoded.invalid)
    if decoded.events.num_rows:
        count("events", decoded.events.num_rows)
        yield pvalue.TaggedOutput(EVENTS, decoded.events)
    if decoded.samples.num_rows:
        yield together([decoded.samples])


@dataclasses.dataclass
class DecodePayloads(beam.PTransform):
    """PCollection[list[Payloads] | Beat] -> samples and events (tables and Ticks), invalid.

    State:  the reader's newest event times, for its watermark; an element comes to one reader.
    Errors: what can't be decoded goes to `invalid` with its reason; nothing is dropped.
    """

    config: Decode
    watermark: Callable[[], Watermark] = Watermark

    def expand(self, payloads: beam.PCollection) -> Any:
        """Return the outputs `samples`, EVENTS and INVALID."""
        fn = _DecodeFn(self.config, self.watermark)
        return payloads | "Decode" >> beam.ParDo(fn).with_outputs(EVENTS, INVALID, main="samples")
