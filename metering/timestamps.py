"""Times as OpenStack's services write them, to UTC milliseconds.

Units: milliseconds since the epoch, what is finer is cut off.
"""

import re
from datetime import datetime, timedelta, timezone
from typing import Final, NoReturn

from metering.refusal import RefusedError

_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=timezone.utc)
# What the store's DateTime64 can hold; a time outside is a mistake of its sender.
EARLIEST: Final = -2_208_988_800_000  # 1900-01-01
LATEST: Final = 10_413_791_999_999  # 2299-12-31T23:59:59.999

# Forms that datetime.fromisoformat doesn't take (before 3.11: Z, +0000, odd fractions).
_FORM: Final = re.compile(
    r"\s*(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?"
    r"\s*(Z|([+-])(\d\d)(?::?(\d\d))?)?\s*",
    re.ASCII | re.IGNORECASE,
)


def parse_ms(value: object) -> int:
    """Return a time as UTC milliseconds; one without an offset is UTC.

    Takes ISO 8601 text (date and time, or a date alone) and datetimes; a number is no time.
    Raises RefusedError("bad_timestamp").
    """
    if isinstance(value, str):
        moment = _moment(value)
    elif isinstance(value, datetime):
        moment = value
    else:
        _refuse(value)
    since = moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)
    ms = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    if not EARLIEST <= ms <= LATEST:
        _refuse(value)
    return ms


def iso(ms: int) -> str:
    """Return a time (ms) as services write it: naive UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


def _moment(text: str) -> datetime:
    # The two dashes keep out week dates and bare numbers, which fromisoformat takes from 3.11 on.
    if text[4:8:3] == "--":
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass  # another form, perhaps
    return _other_form(text)


def _other_form(text: str) -> datetime:
    match = _FORM.fullmatch(text) if len(text) < 100 else None
    if match is None:
        _refuse(text)
    year, month, day, hour, minute, second, fraction, zone, sign, hours, minutes = match.groups()
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros
        )
        if zone and sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
            return moment.replace(tzinfo=timezone(offset if sign == "+" else -offset))
    except ValueError:
        _refuse(text)
    return moment


def _refuse(value: object) -> NoReturn:
    raise RefusedError("bad_timestamp", f"{str(value)[:60]!r} is no time")
