"""What a job on Flink has counted, in Prometheus' text format and by the names it has in one process.

Flink begins anew to count when it starts the job again: a counter that falls back is a reset, as
Prometheus takes it.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from jobs.flink_rest import Flink
from transforms.counters import NAMESPACE, WHAT


class _Counted(Collector):
    def __init__(self, counted: dict[str, int]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, what in WHAT.items():
            value = self._counted.get(f"{NAMESPACE}_{name}", 0)
            yield CounterMetricFamily(f"{NAMESPACE}_{name}", what, value)


def metrics_text(flink: Flink, job: str) -> str:
    """Return every counter of a job, those of all its parts added up. Raises FlinkError."""
    registry = CollectorRegistry()
    registry.register(_Counted(flink.counted(job, f"{NAMESPACE}_")))
    return generate_latest(registry).decode()
