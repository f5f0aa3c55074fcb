"""Calls http and https URLs, as Aodh does: its body, its headers.

Guarantee: at least once; the header idempotency-key is the delivery's id, the same at each attempt. The
    address that is connected to is the one that was checked. No redirect is followed, no cookie kept,
    no proxy asked, nothing of an answer read but its status.
Errors: none but unforeseen ones; the Outcome tells.
"""

import asyncio
import errno
import http
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import aiohttp
import yarl

from metering.alarms.actions import needs_trust, scrubbed, trust_id
from metering.alarms.addresses import Addresses
from metering.alarms.attempts import Outcome
from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery
from metering.alarms.trusts import TrustsError

_THREADS: Final = 8
_KEPT_OPEN: Final = 2.0  # s that a connection waits for the next call; few servers close it earlier
_LEGAL: Final = "!#$%&'()*+,/:;=?@[]~"  # in a path or a query, beside letters, digits and -._


class Tokens(Protocol):
    """Gives tokens for trusts; waits for Keystone, so it is asked in a thread."""

    def token(self, trust_id: str) -> str:
        """Return a token that acts for a trust's owner. Raises TrustsError."""

    def forget(self, trust_id: str) -> None:
        """Ask for a new one the next time."""


class RefusedAddressError(OSError):
    """An address that actions may not call."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the host's address is one that actions may not call")


class TlsError(Exception):
    """Certificates cannot be used; says which."""


class Webhooks:
    """Calls URLs, many at once. Of one event loop; to be opened there and closed."""

    def __init__(self, settings: Actions, tokens: Tokens | None = None) -> None:
        self._settings = settings
        self._addresses = Addresses(settings.refuse, settings.allow)
        self._tokens = tokens
        self._threads = ThreadPoolExecutor(_THREADS, "keystone")
        self._checked = _tls(settings, verify=True)
        self._unchecked = _tls(settings, verify=False)
        self._session: aiohttp.ClientSession | None = None

    async def open(self, agent: str) -> None:
        """Be ready to call; `agent` says who does."""
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEPT_OPEN, socket_factory=self._checked_socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            auto_decompress=False,
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Let go of every connection."""
        if self._session is not None:
            await self._session.close()
        self._threads.shutdown()

    async def send(self, delivery: Delivery) -> Outcome:
        """Call a delivery's URL once."""
        try:
            headers = await self._headers(delivery)
            status = await self._post(
                scrubbed(delivery.action).removeprefix("trust+"), delivery.body, headers
            )
        except TrustsError as error:
            return Outcome(str(error))
        except asyncio.TimeoutError:
            return Outcome(f"no answer in {self._settings.timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure(error)
        trust = trust_id(delivery.action)
        if status == http.HTTPStatus.UNAUTHORIZED and self._tokens and trust:
            self._tokens.forget(trust)  # it may have been revoked
        return _answer(status)

    async def _headers(self, delivery: Delivery) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "x-openstack-request-id": f"req-{delivery.id}",
            "idempotency-key": delivery.id,
        }
        trust = trust_id(delivery.action)
        if needs_trust(delivery.action):
            if self._tokens is None or trust is None:
                raise TrustsError("there is no trust, or no cloud (alarms.actions.cloud)")
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._tokens.token, trust)
            headers["x-auth-token"] = await asked
        return headers

    async def _post(self, url: str, body: str, headers: dict[str, str]) -> int:
        assert self._session is not None
        parts = urlsplit(url)
        tls = self._checked if _verifies(parts, self._settings.verify) else self._unchecked
        call = self._session.post(
            _as_written(parts), data=body.encode(), headers=headers, allow_redirects=False, ssl=tls
        )
        async with call as answer:
            return answer.status

    def _checked_socket(self, info: Any) -> socket.socket:
        """Return a socket to connect to an address, where that may be called."""
        family, kind, protocol, _, address = info
        if not self._addresses.permits(address[0]):
            raise RefusedAddressError
        return socket.socket(family, kind, protocol)


def _tls(settings: Actions, verify: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca and str(settings.ca))
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key)
    except OSError as error:  # ssl.SSLError is one
        raise TlsError(
            f"alarms.actions.ca, cert or key cannot be used: {error.strerror or error}"
        ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _verifies(parts: SplitResult, default: bool) -> bool:
    """Return whether a certificate must be good: Aodh's option in the URL, or else the default."""
    said = parse_qs(parts.query).get("aodh-alarm-ssl-verify")
    return default if not said else said[-1] != "0"


def _as_written(parts: SplitResult) -> yarl.URL:
    """Return a URL whose path and query are sent as they stand: there are signed ones."""
    plain = yarl.URL(f"{parts.scheme}://{parts.netloc}")
    return yarl.URL.build(
        scheme=parts.scheme,
        authority=plain.raw_authority,
        path=quote(parts.path or "/", safe=_LEGAL),
        query_string=quote(parts.query, safe=_LEGAL),
        encoded=True,
    )


def _answer(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status=status)
    name = http.HTTPStatus(status).phrase if status in _KNOWN else "unknown status"
    told = f"{status} {name}"
    return Outcome(f"{told}; redirects are not followed" if 300 <= status < 400 else told, status)


def _failure(error: Exception) -> Outcome:
    """Return what to tell of a failure: nothing of what the other side sent."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, RefusedAddressError):
        return Outcome(str(cause.strerror), hopeless=True)
    for kind, told in _TOLD:
        if isinstance(error, kind):
            return Outcome(told)
    if isinstance(error, ValueError):
        return Outcome("not a URL that can be called", hopeless=True)
    if isinstance(cause, OSError) and cause.errno:
        return Outcome(os.strerror(cause.errno))
    return Outcome(f"the call failed ({type(error).__name__})")


_TOLD: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientConnectorDNSError, "no such host"),
    (aiohttp.ClientSSLError, "TLS failed"),
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
    (aiohttp.ClientResponseError, "what answered does not speak HTTP"),
)
_KNOWN: Final = frozenset(map(int, http.HTTPStatus))
