"""breach_to_webhook_p50_ms and _p99_ms, and alarms_throughput_ratio: what 10,000 alarms cost, and how soon they call.

Ten alarms watch each of 1,000 instances: 7 Gnocchi's on one resource, 1 over resources by a search, 2
threshold; each on another meter, with 60 s periods and the state `ok` at first. A breach is one sample
beyond every threshold, published among a steady load from another process; its alarm's webhook is a
server in this process.
"""

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import amqp

from benchmarks.broker import QUEUE, broker, feed, fill
from benchmarks.figures import Figure, machine, percentile, plateau
from benchmarks.polling import Polls, rounds, single, utc_now
from benchmarks.scale import Scale
from benchmarks.service import serving
from metering.alarms.definition import alarm_from
from metering.alarms.states import AlarmState
from metering.config import Database
from sources.fleet import METERS
from sources.fleet_instances import build_instances, resource
from store.alarm_states import write_states
from store.alarms import write_alarms
from store.client import Store
from store.migrate import migrate
from tests.servers.rabbitmq import RabbitServer, connect, wait_until
from tests.servers.receiver import Receiver, receiving

_A_RESOURCE: Final = 10  # alarms
_BEYOND: Final = 1e18  # every threshold
_PAUSE: Final = 0.1  # s between breaches
_INTERVAL: Final = 10.0  # s between polls of the queue that is filled before
_PATIENCE: Final = 200.0  # s
_SETTLED: Final = 15.0  # s of load before the first breach
_PAIRS: Final = 2  # of runs, without alarms and with; one of tiny sizes


def breach_to_webhook(scale: Scale) -> Iterator[Figure]:
    """Measure from the publishing of a breaching sample to the arrival of its alarm's webhook."""
    with (
        tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name,
        broker(Path(name) / "rabbitmq") as server,
        receiving() as receiver,
    ):
        folder = Path(name) / "service"
        alarms = defined(folder, scale, receiver.port)
        allowed = {"alarms": {"actions": {"allow": ["127.0.0.1/32", "::1/128"]}}}
        with serving(folder, feed(server), allowed):
            taken = breaches(server, receiver, scale)
    yield from breach_figures("breach_to_webhook", taken, alarms, scale)


def breach_figures(name: str, taken: list[float], alarms: int, scale: Scale) -> Iterator[Figure]:
    """Yield the median and the 99th percentile of ms that breaches took, and how that was measured."""
    told = (
        f"{len(taken)} breaches, {_PAUSE} s apart, each of another of {alarms:,} alarms on"
        f" {scale.instances:,} instances, among {scale.rate:,} samples/s from another process; from"
        f" before the sample is published to RabbitMQ to the POST's arrival; least"
        f" {min(taken):.0f} ms; {machine()}"
    )
    for percent in (50, 99):
        value = round(percentile(taken, percent), 1)
        yield Figure(f"{name}_p{percent}_ms", value, "ms", told)


def throughput_ratio(scale: Scale) -> Iterator[Figure]:
    """Measure samples/s from a full queue with alarms by those without, run after run."""
    ratios, rates = [], []
    for _ in range(_PAIRS if scale.rounds > 10 else 1):
        without = _consumed(scale, with_alarms=False)
        with_alarms = _consumed(scale, with_alarms=True)
        ratios.append(with_alarms / without)
        rates.append(f"{with_alarms:,.0f} of {without:,.0f}")
    told = (
        f"samples/s with {len(_watched(scale)):,} alarms, each on another series, and without:"
        f" {', '.join(rates)}; {_samples(scale):,} samples of"
        f" {scale.instances * scale.meters:,} series in a queue filled before, middle 80 %;"
        f" {machine()}"
    )
    yield Figure("alarms_throughput_ratio", round(statistics.median(ratios), 3), "", told)


def _samples(scale: Scale) -> int:
    return scale.instances * scale.meters * _rounds(scale)


def _rounds(scale: Scale) -> int:
    return max(scale.rounds // 2, 1)


def _consumed(scale: Scale, with_alarms: bool) -> float:
    polls = Polls(scale.instances, scale.meters)
    with (
        tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as name,
        broker(Path(name) / "rabbitmq") as server,
    ):
        folder = Path(name) / "service"
        if with_alarms:
            defined(folder, scale, 9)
        fill(server, rounds(polls, _rounds(scale), _INTERVAL, utc_now()))
        with serving(folder, feed(server)) as service:
            seen = list(service.counts("samples", _samples(scale), _PATIENCE))
    return plateau([(seen[0][0], 0), *seen])[0]


def breaches(server: RabbitServer, receiver: Receiver, scale: Scale) -> list[float]:
    """Return how long (ms) each breach took to arrive."""
    arrived: dict[str, float] = {}
    receiver.answers = lambda call: arrived.setdefault(call.path, time.monotonic()) and 200
    seconds = _SETTLED + scale.breaches * _PAUSE + 30
    sizes = [scale.rate, seconds, scale.instances, scale.meters]
    command = [sys.executable, "-m", "benchmarks.load", server.url, QUEUE, *map(str, sizes)]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(min(_SETTLED, seconds / 4))
        sent = _published(server, _some(_watched(scale), scale.breaches))
        wait_until(lambda: set(sent) <= set(arrived), "every webhook", _PATIENCE)
    finally:
        load.terminate()
        load.wait()
    return [(arrived[path] - start) * 1000 for path, start in sent.items()]


def _published(server: RabbitServer, breaching: list[tuple[Any, Any]]) -> dict[str, float]:
    """Publish a breach after another; return when each was, by its webhook's path."""
    sent = {}
    with connect(server.url) as connection:
        channel = connection.channel()
        for meter, each in breaching:
            body = amqp.Message(single(meter, each, 2 * _BEYOND, utc_now()), delivery_mode=2)
            sent[_path(meter, each)] = time.monotonic()
            channel.basic_publish(body, "", QUEUE)
            time.sleep(_PAUSE)
    return sent


def _some(watched: list[tuple[Any, Any]], count: int) -> list[tuple[Any, Any]]:
    return watched[:: max(len(watched) // count, 1)][:count]


def defined(folder: Path, scale: Scale, port: int) -> int:
    """Write the alarms into the service's database, in a process of its own; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [str(size) for size in (scale.instances, scale.meters, port)]
    command = [sys.executable, "-m", "benchmarks.alarms", str(folder / "db"), *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def _watched(scale: Scale) -> list[tuple[Any, Any]]:
    """Return a meter and an instance for each alarm."""
    meters = METERS[: scale.meters][:_A_RESOURCE]
    return [(meter, each) for each in build_instances(scale.instances, seed=1) for meter in meters]


def _path(meter: Any, each: Any) -> str:
    return f"/{each.number}/{meter.name}"


def _definition(nth: int, meter: Any, each: Any, port: int) -> dict[str, Any]:
    about, _ = resource(each, meter.resource)
    plain = {"threshold": _BEYOND, "comparison_operator": "gt", "evaluation_periods": 1}
    gnocchi = {"metric": meter.name, "aggregation_method": "max", "granularity": 60}
    gnocchi |= {"resource_type": "instance", **plain}
    if nth < 2:
        query = [{"field": "resource_id", "op": "eq", "value": about}]
        named = {"meter_name": meter.name, "query": query, "statistic": "max", "period": 60}
        kind, rule = "threshold", plain | named
    elif nth == 2:
        kind = "gnocchi_aggregation_by_resources_threshold"
        rule = gnocchi | {"query": json.dumps({"=": {"id": about}})}
    else:
        kind, rule = "gnocchi_resources_threshold", gnocchi | {"resource_id": about}
    url = f"http://localhost:{port}{_path(meter, each)}"
    name = f"{each.number} {meter.name}"
    return {"name": name, "type": kind, "alarm_actions": [url], f"{kind}_rule": rule}


def _main(path: str, instances: str, meters: str, port: str) -> None:
    store = Store(Database(path=Path(path)))
    migrate(store)
    version = time.time_ns() // 1000
    scale = Scale(instances=int(instances), meters=int(meters))
    alarms = []
    for number, (meter, each) in enumerate(_watched(scale)):
        said = _definition(number % min(_A_RESOURCE, scale.meters), meter, each, int(port))
        made = alarm_from(said, f"{number:032x}")
        alarms.append(dataclasses.replace(made, version=version, timestamp=version // 1000))
    write_alarms(store, alarms)
    at = version // 1000
    write_states(store, [AlarmState(one.alarm_id, "ok", at, version=version) for one in alarms])
    store.close()
    print(len(alarms))


if __name__ == "__main__":
    _main(*sys.argv[1:])
