"""The instances of the simulated fleet: who they are, how busy, and since when they run.

Everything follows from a seed and the time, so a fleet has no state to lose.
"""

import dataclasses
import functools
import hashlib
import math
import random
import uuid
from typing import Any, Final

_DAY: Final = 86_400.0  # s
_FLAVORS: Final = (("m1.tiny", 1, 512, 1), ("m1.small", 1, 2048, 20), ("m1.medium", 2, 4096, 40))
_FLAVORS_LARGE: Final = (("m1.large", 4, 8192, 80), ("m1.xlarge", 8, 16_384, 160))
_PROJECTS: Final = ("web-shop", "analytics", "build-farm", "mail", "research")
_IMAGES: Final = ("debian-13", "ubuntu-24.04", "cirros-0.6")
_PER_HOST: Final = 50


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One simulated instance. Its load is a share of its vCPUs, in daily and hourly waves."""

    id: str
    name: str
    number: int
    host: str
    project: str
    project_name: str
    user: str
    user_name: str
    flavor: dict[str, Any]
    image: dict[str, Any]
    base: float  # mean load
    daily: float  # amplitude of the daily wave, < base / 2
    hourly: float  # and of the shorter one, < base / 2
    phase: float  # s
    life: float  # s; from one reboot to the next, which resets its counters

    def booted(self, time: float) -> float:
        """Return when (s) it was last rebooted."""
        return time - (time + self.phase) % self.life

    def load(self, time: float) -> float:
        """Return the load, between 0 and 1."""
        day, short = self._angles(time)
        return self.base - self.daily * math.cos(day) + self.hourly * math.sin(short)

    def work(self, time: float) -> float:
        """Return the load seconds since the last reboot: the integral of the load."""
        return self._integral(time) - self._integral(self.booted(time))

    def _integral(self, time: float) -> float:
        day, short = self._angles(time)
        daily = self.daily * math.sin(day) * _DAY / math.tau
        hourly = self.hourly * math.cos(short) * self._short / math.tau
        return self.base * time - daily - hourly

    def _angles(self, time: float) -> tuple[float, float]:
        # The trough is near 04:00 UTC, give or take the instance's own two hours.
        shift = 4 * 3600 + self.phase % 7200
        return math.tau * (time - shift) / _DAY, math.tau * (time + self.phase) / self._short

    @property
    def _short(self) -> float:
        return 1800 + self.phase % 3600


@functools.lru_cache(maxsize=4)
def build_instances(count: int, seed: int) -> tuple[Instance, ...]:
    """Return a fleet's instances; the same ones for the same seed, and more keep the first."""
    return tuple(_instance(number, seed) for number in range(count))


def _instance(number: int, seed: int) -> Instance:
    chance = random.Random(f"streamgauge/{seed}/{number}")
    project = chance.choice(_PROJECTS)
    user = f"{project}-{chance.choice(('ops', 'ci'))}"
    name, vcpus, ram, disk = chance.choice(_FLAVORS if chance.random() < 0.8 else _FLAVORS_LARGE)
    image = chance.choice(_IMAGES)
    base = chance.uniform(0.05, 0.5)
    return Instance(
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        name=f"{project}-{number:04d}",
        number=number,
        host=f"compute-{number // _PER_HOST + 1:02d}",
        project=_named_id(seed, project).hex,
        project_name=project,
        user=_named_id(seed, user).hex,
        user_name=user,
        flavor={
            "id": str(_named_id(seed, name)),
            "name": name,
            "vcpus": vcpus,
            "ram": ram,
            "disk": disk,
            "ephemeral": 0,
            "swap": 0,
        },
        image={"id": str(_named_id(seed, image)), "name": image},
        base=base,
        daily=base * chance.uniform(0.2, 0.5),
        hourly=base * chance.uniform(0.05, 0.4),
        phase=chance.uniform(0, 10 * _DAY),
        life=chance.uniform(2 * 3600, 2 * _DAY),
    )


def _named_id(seed: int, name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{seed}.demo.streamgauge")


@functools.lru_cache(maxsize=100_000)
def resource(each: Instance, kind: str) -> tuple[str, dict[str, Any]]:
    """Return id and metadata of an instance, its disk or its interface, as Ceilometer has them."""
    metadata = _metadata(each)
    if kind == "disk":
        return f"{each.id}-vda", metadata | {"disk_name": "vda"}
    if kind == "interface":
        tap = f"tap{each.id[:8]}-{each.id[9:11]}"
        mac = f"fa:16:3e:{each.id[:2]}:{each.id[2:4]}:{each.id[4:6]}"
        return f"{metadata['name']}-{each.id}-{tap}", metadata | {
            "name": tap,
            "vnic_name": tap,
            "mac": mac,
            "fref": None,
            "parameters": {"interfaceid": each.id},
        }
    return each.id, metadata


def _metadata(each: Instance) -> dict[str, Any]:
    flavor = each.flavor
    return {
        "display_name": each.name,
        "name": f"instance-{each.number + 1:08x}",
        "instance_id": each.id,
        "instance_type": flavor["name"],
        "host": hashlib.sha224(f"{each.project}{each.host}".encode()).hexdigest(),
        "instance_host": each.host,
        "flavor": flavor,
        "status": "active",
        "state": "running",
        "task_state": "",
        "image": each.image,
        "image_ref": each.image["id"],
        "image_ref_url": None,
        "architecture": "x86_64",
        "OS-EXT-AZ:availability_zone": "nova",
        "vcpus": flavor["vcpus"],
        "memory_mb": flavor["ram"],
        "disk_gb": flavor["disk"],
        "root_gb": flavor["disk"],
        "ephemeral_gb": flavor["ephemeral"],
    }
