"""From payloads to samples, events and refusals: everything a feed can bring, a batch at a time.

Shape: bodies (bytes) -> Decoded: tables of metering.schema's SAMPLES, EVENTS and INVALID.
Errors: what can't be taken becomes a row of INVALID with its reason; the rest of its message and
    batch goes on.
"""

import dataclasses
from datetime import datetime, timezone
from typing import Any

import msgspec
import pyarrow as pa
import xxhash

from metering import batches
from metering.cloudevent import event_notification, is_event
from metering.config import Decode
from metering.definitions.events import Event, EventDefinitions
from metering.definitions.meters import MeterDefinitions
from metering.draft import Draft
from metering.envelope import inner_text, notification, parse_body, parse_json
from metering.metadata import json_text
from metering.notification import Notification
from metering.polled import TELEMETRY, MetadataTexts, Polled, polled_samples, polled_table
from metering.published import (
    is_publication,
    is_published,
    is_published_event,
    plain_sample,
    published_event,
    raw_text,
)
from metering.refusal import RefusedError
from metering.samples import draft_sample
from metering.signature import is_signed


@dataclasses.dataclass(slots=True)
class Decoded:
    """What a batch of payloads held. `newest` is its newest event time (ms), None without any."""

    samples: pa.Table
    events: pa.Table
    invalid: pa.Table
    newest: int | None


class Decoder:
    """Decodes batches of payloads by the configuration's definitions and bounds."""

    def __init__(self, config: Decode) -> None:
        """Raises DefinitionError."""
        self._config = config
        self._meters = MeterDefinitions.load(config.meters, config.compute_notifications)
        self._events = EventDefinitions.load(config.events, drop_unmatched=config.drop_unmatched)
        secret = config.telemetry_secret
        self._secret = secret.get_secret_value() if secret else None
        self._texts = MetadataTexts()

    def decode(self, feed: str, bodies: list[bytes], now: int) -> Decoded:
        """Decode payloads of one feed that arrived at `now` (ms)."""
        batch = _Batch(feed, now, self._config)
        for body in bodies:
            try:
                self._take(body, batch)
            except RefusedError as error:
                batch.refuse(error, body)
        table, odd = polled_table(batch.polled, self._texts, now // 1000, batch.newest_allowed)
        for sample in odd:
            self._take_samples([msgspec.to_builtins(_readable(sample))], batch)
        return batch.decoded(table)

    def _take(self, body: bytes, batch: "_Batch") -> None:
        if len(body) > self._config.max_payload_bytes:
            raise RefusedError("too_large", f"{len(body)} bytes")
        text = inner_text(body)
        if text is None:
            message = parse_body(body)
            content = xxhash.xxh64_intdigest(body)
        else:
            if self._secret is None:
                polled = polled_samples(text)
                if polled is not None:
                    batch.polled += polled
                    return
            message = parse_json(text)
            content = xxhash.xxh64_intdigest(text.encode("utf-8", "surrogatepass"))
        self._take_message(message, content, batch)

    def _take_message(self, message: Any, content: int, batch: "_Batch") -> None:
        if isinstance(message, list) and message and is_event(message[0]):
            self._take_events(message, batch)
        elif isinstance(message, list):
            self._take_published(message, batch)
        elif not isinstance(message, dict):
            raise RefusedError("bad_envelope", f"{type(message).__name__} is no message")
        elif is_event(message):
            self._take_events([message], batch)
        elif "counter_name" in message or is_published(message):
            self._take_published([message], batch)
        elif "event_type" not in message and "payload" not in message:
            raise RefusedError("bad_envelope", "neither a notification, an event nor a sample")
        elif message.get("event_type") in TELEMETRY:
            payload = message.get("payload")
            samples = payload.get("samples") if isinstance(payload, dict) else payload
            if not isinstance(samples, list):
                raise RefusedError("missing_field", "payload.samples")
            self._take_samples(samples, batch)
        elif is_publication(message.get("payload")):
            self._take_published(message["payload"], batch)
        else:
            self._take_notification(notification(message), content, batch)

    def _take_notification(self, taken: Notification, content: int, batch: "_Batch") -> None:
        batch.check_time(taken.generated)
        drafts, faults = self._meters.samples(taken)
        for draft in drafts:
            try:
                batch.check_time(draft.timestamp)
            except RefusedError as error:
                faults.append(error)
            else:
                batch.drafts.append(draft)
        event = self._events.event(taken)
        if event is not None:
            raw = (
                msgspec.json.encode(taken.body) if taken.priority in self._config.store_raw else b""
            )
            batch.add_event(event, content, raw.decode())
        for fault in faults:
            batch.refuse(fault, msgspec.json.encode(taken.body))

    def _take_events(self, events: list[Any], batch: "_Batch") -> None:
        for event in events:
            try:
                taken = event_notification(event)
                # The same event in another mode or batch is other bytes.
                content = xxhash.xxh64_intdigest(json_text(taken.body).encode())
                self._take_notification(taken, content, batch)
            except RefusedError as error:
                batch.refuse(error, msgspec.json.encode(event))

    def _take_published(self, messages: list[Any], batch: "_Batch") -> None:
        """Take samples, in either form, and events as Ceilometer's publishers send them."""
        for message in messages:
            if not is_published_event(message):
                self._take_samples([plain_sample(message)], batch)
                continue
            try:
                event = published_event(message)
                batch.check_time(event.generated)
                content = xxhash.xxh64_intdigest(json_text(message).encode())
                batch.add_event(event, content, raw_text(message))
            except RefusedError as error:
                batch.refuse(error, msgspec.json.encode(message))

    def _take_samples(self, samples: list[Any], batch: "_Batch") -> None:
        for sample in samples:
            try:
                draft = draft_sample(sample)
                if self._secret is not None and not is_signed(sample, self._secret):
                    raise RefusedError("bad_signature", "message_signature")
                batch.check_time(draft.timestamp)
                batch.drafts.append(draft)
            except RefusedError as error:
                batch.refuse(error, msgspec.json.encode(sample))


class _Batch:
    """What one call of decode gathers."""

    def __init__(self, feed: str, now: int, config: Decode) -> None:
        self.feed = feed
        self.now = now
        self.newest_allowed = now + int(config.max_ahead * 1000)
        self.polled: list[Polled] = []
        self.drafts: list[Draft] = []
        self._events = batches.EventRows(now // 1000)
        self._invalid = batches.InvalidRows(feed, now // 1000, config.invalid_payload_bytes)

    def check_time(self, timestamp: int) -> None:
        if timestamp > self.newest_allowed:
            # How far ahead depends on the clock, and would name the same refusal anew each time.
            time = datetime.fromtimestamp(timestamp / 1000, timezone.utc)
            raise RefusedError("future_timestamp", f"{time.isoformat()} lies too far ahead")

    def add_event(self, event: Event, content: int, raw: str) -> None:
        self._events.add(event, content, raw)

    def refuse(self, error: RefusedError, payload: bytes) -> None:
        self._invalid.add(error, payload)

    def decoded(self, polled: pa.Table) -> Decoded:
        drafted = batches.sample_table(self.drafts, self.now // 1000)
        samples = batches.together([polled, drafted])
        events = self._events.table()
        return Decoded(samples, events, self._invalid.table(), batches.newest(samples, events))


def _readable(sample: Polled) -> dict[str, Any]:
    """Return a fast-path sample as the object it was sent as, for a closer look."""
    fields = {name: getattr(sample, name) for name in sample.__struct_fields__}
    fields["resource_metadata"] = parse_json(bytes(sample.resource_metadata))
    return fields
