"""The regions that a feed polls: one login each, and its services."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import keystoneauth1.exceptions
import openstack.config
import openstack.exceptions
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from openstack.config.cloud_region import CloudRegion

from sources.feed import FeedError
from sources.openstack.service import Service
from sources.openstack.settings import OpenStackSettings
from sources.openstack.tally import Tally


class Region:
    """One region of one cloud, as its administrator sees it."""

    def __init__(
        self,
        cloud: CloudRegion,
        settings: OpenStackSettings,
        tally: Tally,
        stopping: threading.Event,
    ) -> None:
        self.name = f"{cloud.name}/{cloud.region_name}" if cloud.region_name else cloud.name
        self.place = {"cloud": cloud.name, "region": cloud.region_name}
        self._service = partial(Service, cloud, settings=settings, tally=tally, stopping=stopping)
        self._services: dict[str, Service] = {}
        self._lock = threading.Lock()

    def service(self, kind: str) -> Service:
        """Return a service by its type in the catalog, whether it is there or not."""
        with self._lock:
            if kind not in self._services:
                self._services[kind] = self._service(kind=kind)
            return self._services[kind]

    def close(self) -> None:
        """Start no calls any more."""
        with self._lock:
            for service in self._services.values():
                service.close()


def cloud_regions(settings: OpenStackSettings) -> list[CloudRegion]:
    """Return the clouds and regions of the settings. Raises FeedError."""
    try:
        loader = openstack.config.OpenStackConfig(
            config_files=[str(settings.clouds_file)] if settings.clouds_file else None,
            session_constructor=partial(_session, settings),  # type: ignore[arg-type]
        )
        return [
            region
            for name in settings.clouds or (None,)
            for region in _regions(loader, name, settings.regions)
        ]
    except (
        openstack.exceptions.ConfigException,
        keystoneauth1.exceptions.ClientException,
    ) as error:
        named = ", ".join(settings.clouds) or "OS_CLOUD or the OS_* variables"
        raise FeedError(
            f"no login for {named}: {error}; see clouds, clouds_file and regions"
        ) from error


def _regions(loader: Any, name: str | None, wanted: list[str]) -> Iterator[CloudRegion]:
    if wanted:
        yield from (loader.get_one(name, region_name=region) for region in wanted)
        return
    first = loader.get_one(name)
    every = [each for each in loader.get_all() if each.name == first.name]
    yield from every or [first]


def _session(settings: OpenStackSettings, **arguments: Any) -> Session:
    """Return a session that keeps as many connections to a service open as there are calls."""
    arguments["timeout"] = arguments.get("timeout") or settings.timeout  # of log-ins and look-ups
    session = Session(**arguments)
    for scheme in ("http://", "https://"):
        session.mount(scheme, TCPKeepAliveAdapter(pool_maxsize=settings.concurrency + 1))
    return session
