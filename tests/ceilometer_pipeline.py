"""Ceilometer's own pipeline as a process: a line of JSON with samples in, a line with samples out.

Run with the folder of its package, by an interpreter that has the oslo libraries. What it imports of
them that is gone since 2017, and what needs a running service, is stood in for.
"""

import datetime as dt
import fnmatch
import json
import sys
import types
import warnings
from typing import Any

warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
sys.modules.setdefault("pkg_resources", types.ModuleType("pkg_resources"))
sys.modules["oslo_utils.fnmatch"] = fnmatch

import oslo_utils  # noqa: E402
from oslo_utils import timeutils  # noqa: E402

oslo_utils.fnmatch = fnmatch  # type: ignore[attr-defined]

from ceilometer import pipeline, sample  # noqa: E402
from ceilometer.transformer import accumulator, arithmetic, conversions  # noqa: E402

_PLUGINS = {
    "accumulator": accumulator.TransformerAccumulator,
    "aggregator": conversions.AggregatorTransformer,
    "arithmetic": arithmetic.ArithmeticTransformer,
    "delta": conversions.DeltaTransformer,
    "rate_of_change": conversions.RateOfChangeTransformer,
    "unit_conversion": conversions.ScalingTransformer,
}
_MANAGER = {name: types.SimpleNamespace(plugin=plugin) for name, plugin in _PLUGINS.items()}


class _Publisher:
    """Keeps what is published; stands for every publisher."""

    def __init__(self) -> None:
        self.published: list[Any] = []

    def get(self, _url: str) -> "_Publisher":
        return self

    def publish_samples(self, samples: list[Any]) -> None:
        self.published += samples


def _derived(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a pipeline publishes of batches of samples, each flushed at the time it names (s)."""
    publisher = _Publisher()
    content = asked["pipeline"]
    sinks = {
        cfg["name"]: pipeline.SampleSink(None, {"publishers": ["test"]} | cfg, _MANAGER, publisher)
        for cfg in content["sinks"]
        if cfg.get("transformers")
    }
    sources = [pipeline.SampleSource(cfg) for cfg in content["sources"]]
    for now, batch in asked["batches"]:
        timeutils.utcnow.override_time = dt.datetime.fromtimestamp(now, dt.timezone.utc).replace(
            tzinfo=None
        )
        samples = [sample.Sample(**one) for one in batch]
        for source in sources:
            taken = [one for one in samples if source.support_meter(one.name)]
            for name in source.sinks:
                if name in sinks and taken:
                    sinks[name].publish_samples(taken)
        for sink in sinks.values():
            sink.flush()
    return [vars(one) for one in publisher.published if one is not None]


def _supported(asked: dict[str, Any]) -> list[bool] | None:
    """Return whether a source takes each of these meters, None where it is refused."""
    try:
        source = pipeline.SampleSource({"name": "s", "sinks": ["k"], "meters": asked["meters"]})
    except pipeline.PipelineException:
        return None
    return [source.support_meter(name) for name in asked["names"]]


for line in sys.stdin:
    question = json.loads(line)
    answer = _supported(question) if "meters" in question else _derived(question)
    print(json.dumps(answer), flush=True)
