"""Moving a message in time: every timestamp in its text by the same whole seconds.

What is moved is another message, so its message ids change too: moved twice by different amounts, a
message is two, and none of their samples conflict.
"""

import functools
import re
import uuid
from datetime import datetime, timedelta
from typing import Final

import xxhash

from metering.envelope import parse_body
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

# A date and time that is a whole JSON string, also within JSON that is text in JSON (\" around it).
# The fraction and the offset from UTC stay as they are.
_STAMP: Final = re.compile(
    rb'(?<=")\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?=(?:[.,]\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?\\*")'
)
_ID: Final = re.compile(rb'(?<="message_id)(\\*":\s*\\*")([^"\\]+)')


def shifted(text: bytes, seconds: int) -> bytes:
    """Return a message with every timestamp moved, and message ids that go with it.

    Dates without a time, times as numbers, and years like 9999 stay. Signatures of samples no longer match.
    """
    if not seconds:
        return text
    moved = _STAMP.sub(lambda match: _moved(match[0], seconds), text)
    return _ID.sub(lambda match: match[1] + _renamed(match[2], seconds), moved)


def _renamed(message_id: bytes, seconds: int) -> bytes:
    seed = seconds % 2**64
    return str(uuid.UUID(int=xxhash.xxh128_intdigest(message_id, seed), version=4)).encode()


@functools.lru_cache(maxsize=4096)
def _moved(stamp: bytes, seconds: int) -> bytes:
    separator = chr(stamp[10])
    if not b"1900" < stamp < b"2300":  # stands for "never" or "for ever"
        return stamp
    try:
        moment = datetime.fromisoformat(stamp.decode()) + timedelta(seconds=seconds)
    except ValueError:  # no such day
        return stamp
    return moment.isoformat(separator).encode()


def message_time(body: bytes) -> float | None:
    """Return the timestamp (s) of a notification or sample, in any form; None where unreadable."""
    try:
        message = parse_body(body)
        stamp = message.get("timestamp") if isinstance(message, dict) else None
        return None if stamp is None else parse_ms(stamp) / 1000
    except RefusedError:
        return None
