"""Polls what a dynamic pollster describes: a call to any service of the catalog."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from metering.pollsters.answers import AnswerError
from metering.pollsters.dynamic import Call, DynamicPollster, Extra
from metering.pollsters.readings import MISSHAPEN, Poll
from metering.pollsters.share import is_ours
from sources.openstack.poller import Poller, Unreadable
from sources.openstack.region import Region
from sources.openstack.service import AbsentError, CallError, Request

_REMEMBERED = 10_000  # answers to extra calls


class DynamicPoller(Poller):
    """A poller of one definition."""

    def __init__(
        self, region: Region, pollster: DynamicPollster, interval: float, several: bool
    ) -> None:
        super().__init__(region, pollster.name, interval, frozenset({pollster.name}), several)
        self._pollster = pollster
        self._answers: dict[str, tuple[float, Any]] = {}  # of extra calls, with their end (s)

    @property
    def _services(self) -> tuple[str, ...]:
        calls = (self._pollster.call, *(extra.call for extra in self._pollster.extras))
        return tuple(dict.fromkeys(call.endpoint_type for call in calls))

    def _read(self, poll: Poll) -> Iterator[dict[str, Any] | Unreadable]:
        call = self._pollster.call
        url: str | None = call.url_path
        while url is not None:
            try:
                answer = call.read(self._text(call, url))
                entries = call.page(answer)
            except AnswerError as error:
                yield Unreadable.by(url, error)
                return
            for entry in entries:
                yield from self._entry(entry, poll)
            last, url = url, call.next_url(answer)
            if url == last:  # a link to itself leads nowhere
                return

    def _entry(self, entry: Any, poll: Poll) -> Iterator[dict[str, Any] | Unreadable]:
        settings = self._settings
        try:
            if is_ours(self._pollster.resource(entry), settings.reader, settings.readers):
                yield from list(self._pollster.samples(entry, self._extra(entry), poll))
        except (*MISSHAPEN, ArithmeticError) as error:
            yield Unreadable.by(entry, error)

    def _extra(self, entry: Any) -> dict[str, Any]:
        """Return what further calls say of an entry. Raises MISSHAPEN."""
        captured: dict[str, Any] = {}
        by_name: dict[str, Any] = {}
        values = {
            "sample": entry,
            "extra_metadata_captured": captured,
            "extra_metadata_by_name": by_name,
        }
        for extra in self._pollster.extras:
            if extra.is_skipped(entry):
                continue
            for found in self._extra_entries(extra, extra.url(values)):
                value, metadata = extra.values.of(found), extra.metadata.of(found)
                if value is None:
                    continue
                captured[extra.name] = value
                known = {k: v for k, v in metadata.items() if v is not None or k not in captured}
                captured.update(known)
                by_name[extra.name] = {"value": value, "metadata": metadata}
        return captured

    def _extra_entries(self, extra: Extra, url: str) -> list[Any]:
        key = f"{extra.call.endpoint_type} {url}"
        until, found = self._answers.get(key, (0.0, None))
        if time.monotonic() >= until:
            try:
                answer = extra.call.read(self._text(extra.call, url))
            except (AbsentError, CallError) as error:  # the sample counts without it
                self._trouble = f"{extra.name}: {error}"
                return []
            found = extra.call.page(answer)
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            self._answers[key] = (time.monotonic() + extra.cache, found)
        return found or []

    def _text(self, call: Call, url: str) -> str:
        """Return what a service answers, at a path below its address or at one of its own.

        Raises AbsentError, CallError.
        """
        service = self.region.service(call.endpoint_type)
        address = service.run(service.listed_address)
        request = Request(
            url if urlsplit(url).netloc else urljoin(address + "/", url),
            headers=dict(call.headers),
            timeout=call.timeout,
        )
        try:
            text: str = service.run(service.answer, request).text
        except CallError as error:
            if error.missing:
                raise AbsentError(self.what, f"no {url} there") from error
            raise
        return text
