"""The signature Ceilometer's agents put on a sample when they share a secret with us.

Source: Ceilometer's publisher/utils: HMAC-SHA256, keyed with telemetry_secret, over each name and
    value of the sample but the signature itself, in the order of names, nested names joined by ":".
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

_FIELD = "message_signature"


def signature(sample: Mapping[str, Any], secret: str) -> str:
    """Return the signature of a sample, in hex digits."""
    digest = hmac.new(secret.encode("utf-8"), digestmod=hashlib.sha256)
    for name, value in _pairs(sample):
        if name != _FIELD:
            digest.update(f"{name}{value}".encode())
    return digest.hexdigest()


def is_signed(sample: Mapping[str, Any], secret: str) -> bool:
    """Return whether a sample carries the signature that the secret gives it."""
    given = sample.get(_FIELD)
    return isinstance(given, str) and hmac.compare_digest(
        given.encode("utf-8", "replace"), signature(sample, secret).encode()
    )


def _pairs(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in sorted(mapping):
        value = mapping[name]
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{name}:")
        else:
            yield f"{prefix}{name}", value
