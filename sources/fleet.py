"""The simulated fleet: what the polling agents of some compute hosts send, as a function of time.

Shape: number of a poll -> messages as Ceilometer's agents send them, up to 50 samples each.
State: none. Counters follow from the clock, so that they go on after any pause; now and then
    an instance is rebooted (a reset), a message comes late, or comes twice.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, Final

import xxhash

from sources.agent_message import agent_message
from sources.fleet_instances import Instance, build_instances, resource

BATCH: Final = 50  # samples a message at the most
_LATE: Final = range(3, 10)  # polls that a late message is late
_ODD: Final = 100  # one message in so many is late, and as many come twice
_MTU: Final = 900  # bytes of a packet, on average

Volume = Callable[[Instance, float, float], float]  # of an instance at a time (s), the interval (s)


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """One thing that is polled, of the instance, its disk or its interface."""

    name: str
    type: str
    unit: str
    resource: str
    volume: Volume


def _counter(rate: float) -> Volume:
    """Return a counter that grows by `rate` a vCPU and second of full load."""
    return lambda each, time, _: int(each.work(time) * each.flavor["vcpus"] * rate)


def _delta(rate: float) -> Volume:
    counter = _counter(rate)

    def volume(each: Instance, time: float, interval: float) -> float:
        before = time - interval
        grown = counter(each, time, interval)
        return grown if before < each.booted(time) else grown - counter(each, before, interval)

    return volume


def _share(of: Callable[[Instance], float], least: float, most: float) -> Volume:
    """Return a level between two shares of a size, as the load is."""
    return lambda each, time, _: round(of(each) * (least + (most - least) * each.load(time)), 1)


def _fixed(of: Callable[[Instance], float]) -> Volume:
    return lambda each, _time, _interval: of(each)


def _ram(each: Instance) -> float:
    return float(each.flavor["ram"])


def _disk(each: Instance) -> float:
    return float(each.flavor["disk"] * 1024**3)


METERS: Final = (
    Meter("cpu", "cumulative", "ns", "instance", _counter(1e9)),
    Meter("memory.usage", "gauge", "MiB", "instance", _share(_ram, 0.2, 0.95)),
    Meter("network.incoming.bytes", "cumulative", "B", "interface", _counter(3e6)),
    Meter("network.outgoing.bytes", "cumulative", "B", "interface", _counter(5e6)),
    Meter("disk.device.read.bytes", "cumulative", "B", "disk", _counter(2e6)),
    Meter("disk.device.write.bytes", "cumulative", "B", "disk", _counter(1e6)),
    Meter("disk.device.read.requests", "cumulative", "request", "disk", _counter(120)),
    Meter("disk.device.write.requests", "cumulative", "request", "disk", _counter(70)),
    Meter("network.incoming.packets", "cumulative", "packet", "interface", _counter(3e6 / _MTU)),
    Meter("network.outgoing.packets", "cumulative", "packet", "interface", _counter(5e6 / _MTU)),
    Meter("network.incoming.bytes.delta", "delta", "B", "interface", _delta(3e6)),
    Meter("vcpus", "gauge", "vcpu", "instance", _fixed(lambda each: each.flavor["vcpus"])),
    Meter("memory", "gauge", "MiB", "instance", _fixed(lambda each: each.flavor["ram"])),
    Meter("memory.resident", "gauge", "MiB", "instance", _share(_ram, 0.3, 0.99)),
    Meter("memory.swap.in", "cumulative", "MiB", "instance", _counter(0.01)),
    Meter("disk.root.size", "gauge", "GiB", "instance", _fixed(lambda each: each.flavor["disk"])),
    Meter("disk.ephemeral.size", "gauge", "GiB", "instance", _fixed(lambda _: 0)),
    Meter("disk.device.capacity", "gauge", "B", "disk", _fixed(_disk)),
    Meter("disk.device.usage", "gauge", "B", "disk", _share(_disk, 0.3, 0.6)),
    Meter("power.state", "gauge", "", "instance", _fixed(lambda _: 1)),
    Meter("memory.available", "gauge", "MiB", "instance", _share(_ram, 0.8, 0.05)),
    Meter("memory.swap.out", "cumulative", "MiB", "instance", _counter(0.02)),
    Meter("disk.device.allocation", "gauge", "B", "disk", _share(_disk, 0.35, 0.65)),
    Meter("disk.device.read.latency", "cumulative", "ns", "disk", _counter(4e7)),
    Meter("disk.device.write.latency", "cumulative", "ns", "disk", _counter(9e7)),
    Meter("network.incoming.packets.drop", "cumulative", "packet", "interface", _counter(0.01)),
    Meter("network.incoming.packets.error", "cumulative", "packet", "interface", _counter(0.001)),
    Meter("network.outgoing.packets.drop", "cumulative", "packet", "interface", _counter(0.01)),
    Meter("network.outgoing.packets.error", "cumulative", "packet", "interface", _counter(0.001)),
    Meter("network.outgoing.bytes.delta", "delta", "B", "interface", _delta(5e6)),
)


@dataclasses.dataclass(frozen=True)
class Fleet:
    """So many instances with so many meters each, polled every `interval` s, host by host."""

    instances: int = 100
    meters: int = 20
    interval: int = 10  # s
    seed: int = 1

    def messages(self, poll: int) -> list[bytes]:
        """Return what is sent at `poll` x interval s: its own messages, late and repeated ones."""
        return [self._message(batch, number) for batch, number in self._sent(poll)]

    def _sent(self, poll: int) -> Iterator[tuple[int, int]]:
        """Yield the batches, and of which poll they are."""
        batches = range(len(self._batches))
        for batch in batches:
            if not self._delay(batch, poll):
                yield batch, poll
            if self._is_odd("twice", batch, poll - 1) and not self._delay(batch, poll - 1):
                yield batch, poll - 1
        for delay in _LATE:
            for batch in batches:
                if self._delay(batch, poll - delay) == delay:
                    yield batch, poll - delay

    def _delay(self, batch: int, poll: int) -> int:
        """Return how many polls late a message is sent; mostly 0."""
        if not self._is_odd("late", batch, poll):
            return 0
        return _LATE[self._chance("delay", batch, poll) % len(_LATE)]

    def _is_odd(self, how: str, batch: int, poll: int) -> bool:
        return self._chance(how, batch, poll) % _ODD == 0

    def _chance(self, what: str, batch: int, poll: int) -> int:
        return xxhash.xxh64_intdigest(f"{what}/{batch}/{poll}".encode(), self.seed)

    @functools.cached_property
    def _batches(self) -> list[tuple[Meter, list[Instance]]]:
        """What goes into a message: one meter of the instances of one host."""
        hosts: dict[str, list[Instance]] = {}
        for each in build_instances(self.instances, self.seed):
            hosts.setdefault(each.host, []).append(each)
        return [
            (meter, host[start : start + BATCH])
            for host in hosts.values()
            for meter in METERS[: self.meters]
            for start in range(0, len(host), BATCH)
        ]

    def _message(self, batch: int, poll: int) -> bytes:
        meter, instances = self._batches[batch]
        moment = datetime.fromtimestamp(poll * self.interval, timezone.utc).replace(tzinfo=None)
        return agent_message(
            [self._sample(meter, each, poll, moment) for each in instances],
            "ceilometer.polling",
            moment.isoformat(" ", "microseconds"),
            self._id("message", batch, poll),
        )

    def _sample(self, meter: Meter, each: Instance, poll: int, moment: datetime) -> dict[str, Any]:
        time = poll * self.interval
        resource_id, metadata = resource(each, meter.resource)
        return {
            "source": "openstack",
            "counter_name": meter.name,
            "counter_type": meter.type,
            "counter_unit": meter.unit,
            "counter_volume": meter.volume(each, time, self.interval),
            "user_id": each.user,
            "user_name": each.user_name,
            "project_id": each.project,
            "project_name": each.project_name,
            "resource_id": resource_id,
            "timestamp": moment.isoformat("T", "microseconds"),
            "resource_metadata": metadata,
            "message_id": self._id(meter.name, each.number, poll),
            "monotonic_time": float(time - 1_700_000_000),
            "message_signature": "",
        }

    def _id(self, kind: str, number: int, poll: int) -> str:
        digest = xxhash.xxh128_intdigest(f"{kind}/{number}/{poll}".encode(), self.seed)
        return str(uuid.UUID(int=digest))
