"""metering.timestamps: every form that OpenStack's services write."""

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.refusal import RefusedError
from metering.timestamps import parse_ms

AT = 1_795_376_852_071  # 2026-11-22T19:47:32.071Z
MOMENTS = st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(2299, 12, 30))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 19:47:32.071002",
        "2026-11-22T19:47:32.071002",
        "2026-11-22T19:47:32.071Z",
        "2026-11-22T19:47:32.071z",
        "2026-11-22T19:47:32.0710021Z",
        "2026-11-22T19:47:32.071+00:00",
        "2026-11-22T19:47:32.071002+0000",
        "2026-11-22T19:47:32.0719-00",
        "2026-11-22 20:47:32.071002+01:00",
        "2026-11-22 15:17:32.071002 -0430",
        "20261122T194732.071Z",
        " 2026-11-22 19:47:32,071 ",
    ],
)
def test_all_forms_of_a_time_are_the_same_time(text: str):
    assert parse_ms(text) == AT


def test_a_date_alone_is_its_midnight():
    assert parse_ms("2026-11-22") == AT - (19 * 3600 + 47 * 60 + 32) * 1000 - 71


def test_seconds_and_their_fraction_may_be_missing():
    assert parse_ms("2026-11-22T19:47Z") == AT - 32_071
    assert parse_ms("2026-11-22T19:47:32Z") == AT - 71


@pytest.mark.parametrize(
    "value",
    [
        None, 0, 1795376852.07, True, "", "now", "N/A", "1795376852", "2026", "20261122",
        "2026-W47-7", "2026-13-01", "2026-02-30T00:00:00", "2026-11-22T25:00:00Z",
        "2026-11-22T19:47:32+99:99", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "\ud800",
        "2026-11-22T19:47:32Z" * 100_000, [], {}, b"2026-11-22",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(value: object):
    with pytest.raises(RefusedError) as refused:
        parse_ms(value)
    assert refused.value.reason == "bad_timestamp"


@given(MOMENTS, OFFSETS, st.sampled_from("T "))
def test_parsing_what_was_written_gives_the_time_back(moment, offset, separator):
    aware = moment.replace(tzinfo=offset)
    whole = aware.astimezone(timezone.utc).replace(tzinfo=None)
    since = whole - datetime(1970, 1, 1)
    expected = since // timedelta(milliseconds=1)
    assert parse_ms(aware) == expected
    assert parse_ms(aware.isoformat(separator)) == expected
    assert parse_ms(whole.isoformat(separator)) == expected
    assert parse_ms(whole.isoformat(separator) + "Z") == expected


@given(st.text() | st.from_regex(r"\d{4}-?\d\d-?\d\d[T ]?[\d:.]*(Z|[+-]\d+)?", fullmatch=True))
def test_any_text_is_a_time_or_is_refused(text: str):
    with contextlib.suppress(RefusedError):
        assert isinstance(parse_ms(text), int)
