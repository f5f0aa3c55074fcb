"""Why a payload or a sample is refused: the reasons, and the error that carries one."""

from typing import Final

REASONS: Final = {
    "too_large": "the payload is larger than decode.max_payload_bytes",
    "not_utf8": "the payload is not UTF-8 text",
    "bad_json": "the payload is not JSON, or is nested too deeply",
    "bad_envelope": "neither an oslo.messaging envelope, a notification, a CloudEvent nor a sample",
    "missing_field": "a required field is missing or empty",
    "bad_field": "a field has the wrong type or form",
    "bad_volume": "the volume is no finite number",
    "bad_type": "the sample type is not gauge, delta or cumulative",
    "bad_timestamp": "the timestamp does not parse",
    "future_timestamp": "the timestamp lies too far ahead (decode.max_ahead)",
    "bad_signature": "the message signature does not match decode.telemetry_secret",
    "definition_failed": "a meter or event definition could not be applied to this notification",
    "conflict": "the same message id came with other content; the smaller volume counts",
}


class RefusedError(Exception):
    """One payload, notification or sample cannot be taken; it goes to `invalid` and the rest on."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}")
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
