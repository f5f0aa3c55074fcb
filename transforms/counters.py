"""What the job counts, by the same names on every runner: Beam metrics, and Prometheus in this process.

State: what was counted where no bundle of Beam's is under way (by threads beside the stream), until a
    bundle of this process takes it: Beam's metrics are those of bundles.
"""

import threading
from collections import Counter
from typing import Final

import prometheus_client
from apache_beam.metrics import Metrics
from apache_beam.metrics.execution import MetricsEnvironment

NAMESPACE: Final = "streamgauge"
WHAT: Final = {
    "payloads": "payloads decoded",
    "samples": "samples that were written",
    "events": "events that were written",
    "invalid": "payloads and samples refused",
    "repeats": "samples dropped, as they had come before",
    "conflicts": "samples refused, as their message id came with other content",
    "set_aside": "samples set aside for a larger one of the same series and moment",
    "derived": "samples derived of others as these came",
    "derived_again": "derived samples written again, as what they are derived of had changed",
    "underived": "derived samples left out, as an expression gave no number",
    "late": "samples that came when their window was final",
    "usage_rows": "usage rows that were written",
    "series_again": "series whose usage was worked out again from stored samples",
    "alarm_transitions": "alarms that changed their state",
    "deliveries_delivered": "deliveries of alarms' actions that arrived",
    "deliveries_failed": "attempts at deliveries that failed, and are to be repeated",
    "deliveries_dead": "deliveries given up",
    "pool_member_errors": "looks at a load balancer's members that failed, and are repeated",
    "write_retries": "writes tried again, as the store did not take them",
}
_prometheus: Final = {
    name: prometheus_client.Counter(f"{NAMESPACE}_{name}", what) for name, what in WHAT.items()
}
_beam: Final = {name: Metrics.counter(NAMESPACE, name) for name in WHAT}
_waiting: Final = Counter[str]()  # counted, and not in Beam's metrics yet
_lock: Final = threading.Lock()


def count(name: str, amount: int = 1) -> None:
    """Count something of WHAT, in any thread."""
    if amount:
        _prometheus[name].inc(amount)
        with _lock:
            _waiting[name] += amount
        hand_over()


def hand_over() -> None:
    """Have the bundle that this thread is at, if any, count all that waits; once each."""
    # Without a bundle's container Beam drops an increment.
    if _waiting and MetricsEnvironment.current_container() is not None:
        with _lock:
            taken = dict(_waiting)
            _waiting.clear()
        for name, amount in taken.items():
            _beam[name].inc(amount)


def counted(name: str) -> int:
    """Return what this process has counted since its start."""
    return int(_prometheus[name]._value.get())
