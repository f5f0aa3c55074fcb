"""The pipeline: one reading of this file is the data's way. The same object on every runner.

feeds -> ReadFeeds -> DecodePayloads -------------> GatherReaders -> NormalizeSamples -> ...
                       '- ids -> FindContested --'   |- events        |- settled
                                                     '- invalid       '- late
... -> DeriveMeters -> samples, usage; samples and events -> GatherPlaces -> alarms

Every transform has a label: it names saved state, renaming one is a breaking change. In process the
graph must stay one fused stage: no GroupByKey, Reshuffle, Flatten, side input or timer. Where
readers are apart it is four: reading with decoding, FindContested, the places that hold the state behind
GatherReaders, and behind GatherPlaces the alarms.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa

from metering.alarms.book import AlarmBook
from metering.config import Config
from metering.contested import AwaitedIds, IdContents
from metering.derived.deriver import Deriver, History
from metering.elements import CommonTick, LeastWatermark, Watermark
from metering.places import Place, Places
from metering.repeats import Sieve
from metering.usage.again import Past
from metering.usage.rules import UsageRules
from metering.usage.windows import UsageWindows
from sinks.clickhouse import Outlet, WriteSettled, WriteToClickHouse, WriteUsage
from sinks.notify import NotifyActions, Offer
from sources.hub import Hub
from sources.read_feeds import Acknowledge, ReadFeeds
from transforms import decode, derive, normalize
from transforms.alarms import EvaluateAlarms, EvaluateEventAlarms, MatchAlarms
from transforms.decode import EVENTS, SAMPLES, DecodePayloads
from transforms.derive import DeriveMeters
from transforms.find_contested import FindContested
from transforms.gather import GatherReaders
from transforms.gather_places import GatherPlaces, Waiting
from transforms.normalize import Incumbents, NormalizeSamples
from transforms.usage import Telling, WindowUsage


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a process gives its pipeline; each is called where it is needed, and importable."""

    hub: Callable[[int], Hub]  # of a reader
    acknowledge: Acknowledge
    outlet: Callable[[], Outlet]
    ids: Callable[[], IdContents]
    sieve: Callable[[Place], Sieve]
    incumbents: Incumbents
    final_until: Callable[[], int | None]
    restated: Callable[[], list[pa.Table]]
    usage_windows: Callable[[Place], UsageWindows]
    past: Callable[[], Past]
    deriver: Callable[[Place], Deriver]
    history: History
    alarms: Callable[[], AlarmBook]
    offer: Offer
    # One a process or place that makes one of each step; where a runner makes several they share one.
    watermark: Callable[[], Watermark]
    reached: Callable[[Place], LeastWatermark]
    awaited: Callable[[Place], AwaitedIds]
    telling: Callable[[Place], Telling]
    common: Callable[[Place], CommonTick]
    waiting: Callable[[Place], Waiting]
    common_of_places: Callable[[Place], CommonTick]
    readers: Sequence[int] = (0,)
    places: Places = dataclasses.field(default_factory=Places)
    # Beam's resource hints: where readers have some, and alarms, each is in slots and processes of its own.
    apart: Mapping[str, str] = dataclasses.field(default_factory=dict)
    alone: Mapping[str, str] = dataclasses.field(default_factory=dict)


def build(pipeline: beam.Pipeline, config: Config, parts: Parts) -> None:
    """Lay the whole job into a pipeline."""
    places = parts.places
    payloads = pipeline | "ReadFeeds" >> ReadFeeds(
        parts.readers, parts.hub, parts.acknowledge, config.job
    ).with_resource_hints(**parts.apart)
    read = payloads | "DecodePayloads" >> DecodePayloads(
        config.decode, parts.watermark, places
    ).with_resource_hints(**parts.apart)

    placed = (read.placed, read[decode.IDS]) | "FindContested" >> FindContested(
        parts.apart, parts.alone, places, parts.ids
    )
    decoded = placed | "GatherReaders" >> GatherReaders(bool(parts.apart), places, parts.common)
    events = decoded[decode.EVENTS] | "WriteEvents" >> WriteToClickHouse("events", parts.outlet)
    decoded[decode.INVALID] | "WriteInvalid" >> WriteToClickHouse("invalid", parts.outlet)

    normal = decoded.samples | "NormalizeSamples" >> NormalizeSamples(
        places,
        UsageRules.of(config.usage, config.job.lateness),
        parts.sieve,
        parts.incumbents,
        parts.final_until,
        parts.restated,
        parts.reached,
        parts.awaited,
    )
    normal[normalize.SETTLED] | "WriteSettled" >> WriteSettled(parts.outlet)
    normal[normalize.LATE] | "WriteLate" >> WriteToClickHouse("late", parts.outlet)

    derived = normal.samples | "DeriveMeters" >> DeriveMeters(places, parts.deriver, parts.history)
    derived[derive.REVISED] | "WriteRevised" >> WriteSettled(parts.outlet)
    samples = derived.samples | "WriteSamples" >> WriteToClickHouse("samples", parts.outlet)

    usage = derived.samples | "WindowUsage" >> WindowUsage(
        places, parts.usage_windows, parts.past, parts.telling
    )
    usage | "WriteUsage" >> WriteUsage(parts.outlet)

    _watch(samples, events, parts)


def _watch(samples: beam.PCollection, events: beam.PCollection, parts: Parts) -> None:
    """Lay the alarms on what was written."""

    def alone(step: beam.PTransform) -> beam.PTransform:
        return step.with_resource_hints(**parts.alone)

    written = (samples, events) | "GatherPlaces" >> GatherPlaces(
        parts.alone, parts.places, parts.common_of_places, parts.waiting
    )
    matched = written[SAMPLES] | "MatchAlarms" >> alone(MatchAlarms(parts.alarms))
    made = matched | "EvaluateAlarms" >> alone(EvaluateAlarms(parts.alarms))
    made | "NotifyActions" >> alone(NotifyActions(parts.outlet, parts.offer))

    of_events = written[EVENTS] | "EvaluateEventAlarms" >> alone(EvaluateEventAlarms(parts.alarms))
    of_events | "NotifyEventActions" >> alone(NotifyActions(parts.outlet, parts.offer))
