"""Moving a message in time: every timestamp in its text by the same whole seconds."""

import functools
import re
from datetime import datetime, timedelta
from typing import Final

from metering.envelope import parse_body
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

# A date and time that is a whole JSON string, also within JSON that is text in JSON (\" around it).
# The fraction and the offset from UTC stay as they are.
_STAMP: Final = re.compile(
    rb'(?<=")\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?=(?:[.,]\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?\\*")'
)


def shifted(text: bytes, seconds: int) -> bytes:
    """Return a message with every timestamp moved; the rest of it stays byte for byte.

    Dates without a time, times as numbers, and years like 9999 stay. Signatures of samples no longer match.
    """
    return _STAMP.sub(lambda match: _moved(match[0], seconds), text) if seconds else text


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
