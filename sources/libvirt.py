"""The libvirt feed: what the hypervisor of this host counts of its instances.

Guarantee: as the openstack feed's: what was read and not stored is lost with the process, and
    everything is read anew at once.
Errors: a libvirt that is away is tried again with growing pauses; a domain that goes while it is read
    is left out, as is what its driver does not count.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import pydantic

from metering.definitions.reading import DefinitionError
from metering.identity import content_id
from metering.pollsters import hypervisor
from metering.pollsters.hypervisor import METERS, Instance, instance_of
from metering.pollsters.intervals import everything, intervals_of, load_sources
from metering.pollsters.pace import following, pause
from metering.pollsters.readings import Poll, sample_of
from sources.agent_message import agent_message, signed, stray_message
from sources.feed import Feed, FeedError, FeedSettings, Payloads

_BATCH: Final = 250  # samples a message
_DISK: Final = ("rd_operations", "rd_bytes", "wr_operations", "wr_bytes")  # blockStats' order


class LibvirtSettings(FeedSettings):
    """Which hypervisor is read, what of it, and how often."""

    type: str = "libvirt"
    uri: str = pydantic.Field("qemu:///system", description="libvirt's address of the hypervisor")
    host: str = pydantic.Field(
        "", description="the host's name as Compute has it; empty is the hypervisor's own"
    )
    polling: Path | None = pydantic.Field(
        None, description="Ceilometer's polling.yaml; null is every meter at `interval`"
    )
    interval: float = pydantic.Field(
        300.0, gt=0, description="seconds between two polls, where there is no polling.yaml"
    )
    backoff_min: float = pydantic.Field(0.5, gt=0, description="seconds before trying again")
    backoff_max: float = pydantic.Field(
        60.0, gt=0, description="seconds that this grows to at the most, doubling, with jitter"
    )
    telemetry_secret: pydantic.SecretStr | None = pydantic.Field(
        None, description="samples are signed with it; needed where decode.telemetry_secret is set"
    )


class LibvirtFeed(Feed):
    """Polls every domain when it is due; one poll is one payload of several messages."""

    Settings: ClassVar[type[FeedSettings]] = LibvirtSettings
    settings: LibvirtSettings

    def __init__(
        self,
        settings: LibvirtSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        self._clock = clock
        self._sleep = sleep
        self._library: Any = None
        self._connection: Any = None
        self._host = settings.host
        self._due: dict[float, float] = {}  # by interval
        self._meters: dict[float, frozenset[str]] = {}
        self._failures = 0
        self._retry = 0.0
        self._counts = {"polls": 0, "polls_stored": 0, "polls_skipped": 0, "samples": 0}
        self._error: str | None = None

    def open(self) -> None:
        """Load libvirt's binding and read the polling file. Raises FeedError."""
        try:
            import libvirt  # an extra: not every host has a hypervisor
        except ImportError as error:
            raise FeedError(
                "libvirt's Python binding is not installed: install libvirt-dev, then"
                " `pip install 'streamgauge[libvirt]'`"
            ) from error
        self._library = libvirt
        libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would print them
        path = self.settings.polling
        try:
            sources = load_sources(path) if path else everything(self.settings.interval)
        except DefinitionError as error:
            raise FeedError(str(error)) from error
        self._meters = intervals_of(sources, METERS)
        self._due = dict.fromkeys(self._meters, self._clock())

    def poll(self, timeout: float) -> Payloads | None:
        """Return the next poll, once it is due and the hypervisor answers."""
        interval = min(self._due, key=self._due.__getitem__, default=None)
        begin = max(self._due[interval], self._retry) if interval is not None else float("inf")
        wait = begin - self._clock()
        if interval is None or wait > 0:
            self._sleep(min(wait, timeout))
            return None
        due = self._due[interval]
        try:
            bodies = list(self._messages(self._meters[interval]))
        except self._library.libvirtError as error:
            self._failed(str(error))
            return None
        self._failures, self._error = 0, None
        self._due[interval], missed = following(due, interval, self._clock())
        self._counts["polls"] += 1
        self._counts["polls_skipped"] += missed
        return Payloads(self.name, bodies, interval)

    def ack(self, receipt: float) -> None:
        """Say that a poll is stored."""
        self._counts["polls_stored"] += 1

    def close(self) -> None:
        """Let go of the hypervisor."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def status(self) -> dict[str, Any]:
        """Return what has been polled, and the last error."""
        return {"connected": self._error is None, "last_error": self._error, **self._counts}

    def _connected(self) -> Any:
        """Return a connection to the hypervisor. Raises libvirtError."""
        return self._library.openReadOnly(self.settings.uri)

    def _failed(self, reason: str) -> None:
        settings = self.settings
        self._error = f"{settings.uri}: {reason}"
        self._failures += 1
        rest = pause(self._failures, settings.backoff_min, settings.backoff_max, random.random())
        self._retry = self._clock() + rest
        self.close()

    def _messages(self, wanted: frozenset[str]) -> Iterator[bytes]:
        """Yield a poll's messages. Raises libvirtError where the hypervisor is away."""
        if self._connection is None:
            self._connection = self._connected()
            self._host = self.settings.host or self._connection.getHostname()
        poll = Poll.of(time.time(), wanted)
        samples: list[dict[str, Any]] = []
        for domain in self._connection.listAllDomains():
            try:
                samples += self._domain(domain, poll)
            except ValueError as error:
                yield stray_message(domain.name(), self.settings.uri, str(error))
        self._counts["samples"] += len(samples)
        for start in range(0, len(samples), _BATCH):
            yield self._message(samples[start : start + _BATCH], poll)

    def _message(self, samples: list[dict[str, Any]], poll: Poll) -> bytes:
        name = str(uuid.UUID(content_id(each["message_id"] for each in samples)))
        secret = self.settings.telemetry_secret
        if secret is not None:
            samples = signed(samples, secret.get_secret_value())
        return agent_message(samples, "streamgauge", poll.timestamp, name)

    def _domain(self, domain: Any, poll: Poll) -> Iterator[dict[str, Any]]:
        """Yield a domain's samples; none where it goes meanwhile. Raises libvirtError, ValueError."""
        info, xml = self._asked(domain.info), self._asked(domain.XMLDesc)
        if info is None or xml is None:
            return
        state, _, memory, vcpus, cpu = info
        instance = instance_of(xml, state, self._host)
        volumes: dict[str, float] = {"power.state": state, "vcpus": vcpus, **instance.sizes}
        runs = domain.isActive()
        if runs:
            volumes |= {"cpu": cpu, "memory": memory / 1024}
            volumes |= hypervisor.memory_volumes(self._asked(domain.memoryStats) or {})
            stats = self._asked(self._connection.domainListGetStats, [domain]) or [(domain, {})]
            volumes |= hypervisor.perf_volumes(stats[0][1])
        yield from self._samples(instance, instance.id, volumes, {}, poll)
        if runs:
            yield from self._devices(domain, instance, poll)

    def _devices(self, domain: Any, instance: Instance, poll: Poll) -> Iterator[dict[str, Any]]:
        for disk in instance.disks:
            counters = self._asked(domain.blockStatsFlags, disk)
            if counters is None:
                counted = self._asked(domain.blockStats, disk) or ()
                counters = dict(zip(_DISK, counted, strict=False))
            volumes = hypervisor.disk_volumes(counters, self._asked(domain.blockInfo, disk) or ())
            more = {"disk_name": disk}
            yield from self._samples(instance, f"{instance.id}-{disk}", volumes, more, poll)
        for nic in instance.nics:
            counted = self._asked(domain.interfaceStats, nic.device)
            if counted is not None:
                volumes = hypervisor.nic_volumes(counted)
                name = instance.nic_id(nic)
                yield from self._samples(instance, name, volumes, nic.metadata(), poll)

    def _samples(
        self,
        instance: Instance,
        resource: str,
        volumes: dict[str, float],
        more: dict[str, Any],
        poll: Poll,
    ) -> Iterator[dict[str, Any]]:
        metadata = {**instance.metadata, **more}
        owned = (resource, instance.project_id, instance.user_id)
        for meter, volume in volumes.items():
            if meter in poll.meters:
                unit, kind = METERS[meter]
                measured = (meter, kind, unit, volume)
                yield sample_of(measured, owned, metadata, poll.timestamp)

    def _asked(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """Return what libvirt answers; None where it cannot say that of this domain.

        Raises libvirtError where libvirt itself is away.
        """
        try:
            return ask(*arguments)
        except self._library.libvirtError:
            if not self._connection.isAlive():
                raise
            return None
