"""Polls a kind of resource: its listing, page by page, and what each resource says of itself."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from metering.pollsters.answers import AnswerError, entries_of, next_query
from metering.pollsters.gateway import gateway_user
from metering.pollsters.kinds import Detail, Kind, Reading, Thing
from metering.pollsters.readings import MISSHAPEN, Poll, samples_of, thing_of
from metering.pollsters.share import is_ours
from metering.pollsters.storage import PAGE
from sources.openstack.poller import Poller, Unreadable
from sources.openstack.region import Region
from sources.openstack.service import AbsentError, CallError, Request, Service


class Known:
    """The resources of a kind as last listed, for the pollers that ask each of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.things: list[Thing] = []
        self.until = float("-inf")  # monotonic, s


class KindPoller(Poller):
    """A poller of one of the shipped kinds."""

    def __init__(
        self,
        region: Region,
        kind: Kind,
        known: Known,
        interval: float,
        meters: frozenset[str],
        several: bool,
    ) -> None:
        super().__init__(region, kind.name, interval, meters & kind.meters, several)
        self._kind = kind
        self._known = known

    @property
    def _services(self) -> tuple[str, ...]:
        return self._kind.services

    def _read(self, poll: Poll) -> Iterator[dict[str, Any] | Unreadable]:
        if self._kind.detail is not None:
            yield from self._asked(self._kind.detail, poll)
            return
        for thing in self._listed(poll):
            if isinstance(thing, Unreadable):
                yield thing
            else:
                yield from self._samples(Reading(thing), poll)

    def _samples(self, reading: Reading, poll: Poll) -> Iterable[dict[str, Any] | Unreadable]:
        try:
            return samples_of(self._kind, reading, poll)
        except MISSHAPEN as error:
            answer = reading.thing.entry if reading.answer is None else reading.answer
            return [Unreadable.by(answer, error)]

    def _listed(self, poll: Poll) -> Iterator[Thing | Unreadable]:
        """Yield this reader's things. Raises AbsentError, CallError."""
        settings = self._settings
        for entry in self._entries():
            if isinstance(entry, Unreadable):
                yield entry
                continue
            try:
                thing = thing_of(self._kind, entry, poll)
            except MISSHAPEN as error:
                yield Unreadable.by(entry, error)
            else:
                if is_ours(thing.id, settings.reader, settings.readers):
                    yield thing

    def _entries(self) -> Iterator[Any]:
        """Yield the entries of the whole list. Raises AbsentError, CallError."""
        listing = self._kind.listing
        service = self.region.service(listing.service)
        address = service.run(service.address)
        for query in listing.queries:
            yield from self._pages(service, address, dict(parse_qsl(query)))

    def _pages(self, service: Service, address: str, query: dict[str, str]) -> Iterator[Any]:
        """Yield the entries of every page. Raises AbsentError, CallError."""
        listing = self._kind.listing
        path = listing.path.partition("?")[0]
        params: dict[str, str] | None = query
        if listing.limit:
            query["limit"] = str(self._settings.page)
        last: dict[str, str] | None = None
        while params is not None and params != last:  # a link to itself leads nowhere
            request = Request(
                address + path,
                params=params,
                headers=dict(listing.headers),
                microversion=listing.microversion,
            )
            last, params = params, None
            text = self._page(service, request)
            try:
                answer = orjson.loads(text)
                yield from entries_of(answer, listing.entries)
                params = next_query(answer, listing.key)
            except (AnswerError, orjson.JSONDecodeError) as error:
                yield Unreadable.by(text.decode(errors="replace"), error)

    def _page(self, service: Service, request: Request) -> bytes:
        try:
            content: bytes = service.run(service.answer, request).content
        except CallError as error:
            if error.missing:
                raise AbsentError(self.what, f"no {self._kind.listing.path} there") from error
            raise
        return content

    def _asked(self, detail: Detail, poll: Poll) -> Iterator[dict[str, Any] | Unreadable]:
        """Yield the samples of each thing's own answer."""
        service = self.region.service(detail.service)
        address = service.run(service.address)
        things, strays = self._kept(poll)
        yield from strays

        def ask(thing: Thing) -> Reading | Unreadable | CallError:
            return self._reading(service, detail, address, thing)

        for found in self._side_by_side(service, ask, things):
            if isinstance(found, Reading):
                yield from self._samples(found, poll)
            elif isinstance(found, Unreadable):
                yield found
            elif not found.missing:
                self._trouble = str(found)

    def _kept(self, poll: Poll) -> tuple[list[Thing], list[Unreadable]]:
        """Return the things as last listed, and what was unreadable where they are listed anew."""
        with self._known.lock:
            if time.monotonic() < self._known.until:
                return self._known.things, []
            found = list(self._listed(poll))
            self._known.things = [each for each in found if isinstance(each, Thing)]
            self._known.until = time.monotonic() + self._settings.discovery
            return self._known.things, [each for each in found if isinstance(each, Unreadable)]

    def _reading(
        self, service: Service, detail: Detail, address: str, thing: Thing
    ) -> Reading | Unreadable | CallError:
        """Ask a thing for what it says of itself, in pages where there is a marker."""
        path = detail.path.format(
            id=thing.id,
            account=self._settings.reseller_prefix,
            user=gateway_user(thing.id, self._settings.radosgw_implicit_tenants),
        )
        parts = urlsplit(path)
        params = dict(parse_qsl(parts.query))
        found: list[Any] = []
        while True:
            request = Request(
                address + parts.path,
                detail.method,
                params,
                dict(detail.headers),
                detail.microversion,
            )
            try:
                response = service.answer(request)
                answer = orjson.loads(response.content) if response.content else None
            except CallError as error:
                return Reading(thing) if error.status in detail.silent else error
            except orjson.JSONDecodeError as error:
                return Unreadable.by(response.text, error)
            if detail.marker is None:
                return Reading(thing, answer, response.headers)
            found += answer or []
            if not answer or len(answer) < PAGE:
                return Reading(thing, found, response.headers)
            params["marker"] = answer[-1][detail.marker]
