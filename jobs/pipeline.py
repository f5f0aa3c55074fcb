"""The pipeline: one reading of this file is the data's way. The same object on every runner.

feeds -> ReadFeeds -> DecodePayloads -> GatherReaders -> ShardSamples -> NormalizeSamples -> ...
                                          |- events, alarms on them        |- settled
                                          '- invalid                       '- late
... -> DeriveMeters -> samples, usage, alarms

Every transform has a label: it names saved state, renaming one is a breaking change. In process the
graph must stay one fused stage: no GroupByKey, Reshuffle, Flatten, side input or timer. Where
readers are apart it is two: reading with decoding, and what GatherReaders brings together.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa

from metering.alarms.book import AlarmBook
from metering.config import Config
from metering.derived.deriver import Deriver, History
from metering.elements import CommonTick, LeastWatermark, Watermark
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
from transforms.decode import DecodePayloads
from transforms.derive import DeriveMeters
from transforms.gather import GatherReaders
from transforms.normalize import Incumbents, NormalizeSamples
from transforms.shard import ShardSamples
from transforms.usage import Telling, WindowUsage


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a process gives its pipeline; each is called where it is needed, and importable."""

    hub: Callable[[int], Hub]  # of a reader
    acknowledge: Acknowledge
    outlet: Callable[[], Outlet]
    sieve: Callable[[], Sieve]
    incumbents: Incumbents
    final_until: Callable[[], int | None]
    restated: Callable[[], list[pa.Table]]
    usage_windows: Callable[[], UsageWindows]
    past: Callable[[], Past]
    deriver: Callable[[], Deriver]
    history: History
    alarms: Callable[[], AlarmBook]
    offer: Offer
    # One a process that makes one of each step; where a runner makes several they share one.
    watermark: Callable[[], Watermark] = Watermark
    reached: Callable[[], LeastWatermark] = LeastWatermark
    telling: Callable[[], Telling] = Telling
    common: Callable[[], CommonTick] = CommonTick
    readers: Sequence[int] = (0,)
    # Beam's resource hints: where readers have some, they are in slots and processes of their own.
    apart: Mapping[str, str] = dataclasses.field(default_factory=dict)


def build(pipeline: beam.Pipeline, config: Config, parts: Parts) -> None:
    """Lay the whole job into a pipeline."""
    payloads = pipeline | "ReadFeeds" >> ReadFeeds(
        parts.readers, parts.hub, parts.acknowledge, config.job
    ).with_resource_hints(**parts.apart)
    named = payloads | "DecodePayloads" >> DecodePayloads(
        config.decode, parts.watermark
    ).with_resource_hints(**parts.apart)

    decoded = named | "GatherReaders" >> GatherReaders(bool(parts.apart), parts.common)
    decoded[decode.EVENTS] | "WriteEvents" >> WriteToClickHouse("events", parts.outlet)
    decoded[decode.INVALID] | "WriteInvalid" >> WriteToClickHouse("invalid", parts.outlet)

    keyed = decoded.samples | "ShardSamples" >> ShardSamples(config.job.shards)
    rules = UsageRules.of(config.usage, config.job.lateness)
    normal = keyed | "NormalizeSamples" >> NormalizeSamples(
        config.job.shards,
        rules,
        parts.sieve,
        parts.incumbents,
        parts.final_until,
        parts.restated,
        parts.reached,
    )
    normal[normalize.SETTLED] | "WriteSettled" >> WriteSettled(parts.outlet)
    normal[normalize.LATE] | "WriteLate" >> WriteToClickHouse("late", parts.outlet)

    derived = normal.samples | "DeriveMeters" >> DeriveMeters(
        config.job.shards, parts.deriver, parts.history
    )
    derived[derive.REVISED] | "WriteRevised" >> WriteSettled(parts.outlet)
    derived.samples | "WriteSamples" >> WriteToClickHouse("samples", parts.outlet)

    usage = derived.samples | "WindowUsage" >> WindowUsage(
        config.job.shards, parts.usage_windows, parts.past, parts.telling
    )
    usage | "WriteUsage" >> WriteUsage(parts.outlet)

    matched = derived.samples | "MatchAlarms" >> MatchAlarms(parts.alarms)
    transitions = matched | "EvaluateAlarms" >> EvaluateAlarms(parts.alarms)
    transitions | "NotifyActions" >> NotifyActions(parts.outlet, parts.offer)

    by_events = decoded[decode.EVENTS] | "EvaluateEventAlarms" >> EvaluateEventAlarms(parts.alarms)
    by_events | "NotifyEventActions" >> NotifyActions(parts.outlet, parts.offer)
