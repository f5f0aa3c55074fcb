"""Calls to one service of a region: so many at once, tried again, patient where it asks for that.

Errors: AbsentError where the service or the API is not there; CallError where a call was refused, or
    got no answer in all its tries.
"""

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar
from urllib.parse import urljoin

import keystoneauth1.exceptions
import requests
from keystoneauth1.adapter import Adapter
from openstack.config.cloud_region import CloudRegion

from metering.pollsters.gateway import GATEWAY
from metering.pollsters.pace import OVERLOADED, PASSING, asked_pause, pause
from sources.openstack.outbox import StoppedError
from sources.openstack.settings import OpenStackSettings
from sources.openstack.signing import signed_with
from sources.openstack.tally import Tally

_T = TypeVar("_T")
# Versions that are looked up in what a service says of itself; of others the catalog's address counts.
_VERSIONS: Final = {
    "compute": "2",
    "block-storage": "3",
    "image": "2",
    "shared-file-system": "2",
    "dns": "2",
    "identity": "3",
}
_LOGIN: Final = frozenset({401, 403})  # said of the login: trying again could lock it
_FIXED: Final = {"network": "/v2.0", "load-balancer": "/v2.0"}  # what addresses end in, or should


class AbsentError(Exception):
    """There is no such service, or it lacks an API (`what`)."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(reason)
        self.what = what


class CallError(Exception):
    """A call was refused (`status`), or got no answer (None)."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == 404


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One call, below a service's address or at one of its own."""

    url: str
    method: str = "GET"
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    microversion: str | None = None
    timeout: float | None = None  # s


def result_of(future: "Future[_T]") -> _T:
    """Wait for what a service's thread returns. Raises StoppedError."""
    try:
        return future.result()
    except CancelledError as error:
        raise StoppedError from error


class Service:
    """One service of a region. Its threads are what bounds the calls under way at once."""

    def __init__(
        self,
        cloud: CloudRegion,
        kind: str,
        settings: OpenStackSettings,
        tally: Tally,
        stopping: threading.Event,
    ) -> None:
        self.kind = kind
        self._settings = settings
        self._tally = tally
        self._stopping = stopping
        self._patient_until = 0.0  # monotonic, s
        self._keys = settings.radosgw_keys if kind == GATEWAY else None
        version = _VERSIONS.get(kind)
        listed = settings.radosgw_service_type if kind == GATEWAY else kind
        where: dict[str, Any] = {
            "service_type": listed,
            "service_name": settings.radosgw_service_name if kind == GATEWAY else None,
            "interface": cloud.get_interface(listed),
            "region_name": cloud.get_region_name(listed),
            "endpoint_override": cloud.get_endpoint(listed),
        }
        self._as_listed = Adapter(cloud.get_session(), **where)
        if version is not None:
            where |= {"min_version": version, "max_version": f"{version}.latest"}
        self._adapter = Adapter(cloud.get_session(), **where)
        self.concurrency = settings.concurrency
        self._pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix=kind)

    def submit(self, work: Callable[..., _T], *arguments: Any) -> "Future[_T]":
        """Run something that calls this service in one of its threads. Raises StoppedError."""
        try:
            return self._pool.submit(work, *arguments)
        except RuntimeError as error:  # closed meanwhile
            raise StoppedError from error

    def run(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Return what something returns that runs in one of its threads. Raises StoppedError."""
        return result_of(self.submit(work, *arguments))

    def close(self) -> None:
        """Start nothing any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def listed_address(self) -> str:
        """Return where the catalog says that it is. Raises AbsentError, CallError."""
        return self._found(self._as_listed)

    def address(self) -> str:
        """Return where its paths begin. Raises AbsentError, CallError."""
        found = self._found(self._adapter)
        if self.kind == "object-store":
            return found.partition("/v1")[0] + "/v1"
        if self.kind == GATEWAY:  # its admin API is beside those that the catalog knows
            return urljoin(found, "/").rstrip("/")
        ending = _FIXED.get(self.kind)
        return found + ending if ending and not found.endswith(("/v2", ending)) else found

    def _found(self, adapter: Adapter) -> str:
        found = self._insistent(adapter.get_endpoint)
        if not found:
            raise AbsentError(self.kind, "not in the catalog")
        return str(found).rstrip("/")

    def answer(self, request: Request) -> requests.Response:
        """Return the answer to a call. Raises CallError."""
        response: requests.Response = self._insistent(lambda: self._send(request))
        if response.status_code >= 400:
            said = " ".join(response.text[:200].split())
            reason = f"{request.method} {request.url}: {response.status_code} {said}"
            raise CallError(reason, response.status_code)
        return response

    def _send(self, request: Request) -> requests.Response:
        self._tally.count("calls")
        response: requests.Response = self._adapter.request(
            request.url,
            request.method,
            params=dict(request.params),
            headers={"Accept": "application/json", **request.headers},
            microversion=request.microversion,
            timeout=request.timeout or self._settings.timeout,
            raise_exc=False,
            **signed_with(self._keys),
        )
        return response

    def _insistent(self, attempt: Callable[[], Any]) -> Any:
        """Try until there is an answer that is not to be tried again.

        Raises CallError, StoppedError.
        """
        for number in range(1, self._settings.retries + 2):
            self._await_turn()
            asked = None
            try:
                found = attempt()
            except keystoneauth1.exceptions.CatalogException:
                return None
            except keystoneauth1.exceptions.ClientException as error:
                reason, status = str(error) or type(error).__name__, None
                if getattr(error, "http_status", 0) in _LOGIN:
                    break
            else:
                status = getattr(found, "status_code", None)
                if status not in PASSING:
                    return found
                reason = f"{status} {found.reason} from {found.url}"
                asked = asked_pause(found.headers.get("Retry-After"), time.time())
            if number <= self._settings.retries:
                self._tally.count("retries")
                self._rest(number, asked, status)
        self._tally.count("calls_failed")
        raise CallError(reason, status)

    def _rest(self, number: int, asked: float | None, status: int | None) -> None:
        settings = self._settings
        seconds = pause(number, settings.backoff_min, settings.backoff_max, random.random())
        if asked is not None:
            seconds = max(asked, seconds)
        if status in OVERLOADED:
            self._patient_until = max(self._patient_until, time.monotonic() + seconds)
        elif self._stopping.wait(seconds):
            raise StoppedError

    def _await_turn(self) -> None:
        """Wait while the service wants to be left alone. Raises StoppedError."""
        while (left := self._patient_until - time.monotonic()) > 0:
            if self._stopping.wait(left):
                raise StoppedError
        if self._stopping.is_set():
            raise StoppedError
