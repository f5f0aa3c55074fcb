"""Time constraints: within which moments an alarm is evaluated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.constraints import constraints_from, turn, within
from metering.alarms.faults import DefinitionError
from metering.timestamps import parse_ms as moment


def constraint(**fields: Any) -> dict[str, Any]:
    return {"name": "night", "start": "0 23 * * *", "duration": 10_800} | fields


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-11-22T22:59:59.999", False),
        ("2026-11-22T23:00:00", True),
        ("2026-11-23T02:00:00", True),
        ("2026-11-23T02:00:00.001", False),
    ],
)
def test_a_constraint_holds_from_its_start_to_its_end(at: str, holds: bool) -> None:
    assert within(constraints_from([constraint()]), moment(at)) is holds


def test_a_start_is_in_its_time_zone_in_summer_and_winter() -> None:
    found = constraints_from([constraint(timezone="Europe/Ljubljana", duration=60)])
    assert within(found, moment("2026-11-22T22:00:30"))
    assert within(found, moment("2026-07-22T21:00:30"))
    assert not within(found, moment("2026-07-22T22:00:30"))


def test_any_constraint_will_do_and_none_is_always() -> None:
    noon = constraint(name="noon", start="0 12 * * *", duration=0)
    found = constraints_from([constraint(), noon])
    assert within(found, moment("2026-11-22T12:00:00"))
    assert not within(found, moment("2026-11-22T12:00:01"))
    assert within((), moment("2026-11-22T12:00:01"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"start": "soon"}, "start"),
        ({"start": "0 0 30 2 *"}, "start"),
        ({"start": "99 * * * *"}, "start"),
        ({"timezone": "Mars/Olympus"}, "Timezone Mars/Olympus is not valid"),
        ({"timezone": "../etc/passwd"}, "is not valid"),
        ({"duration": -1}, "greater or equal to 0"),
        ({"name": None}, "Mandatory field missing."),
        ({"x": 1}, "Unknown attribute: x"),
    ],
)
def test_a_bad_constraint_is_told(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(DefinitionError) as error:
        constraints_from([constraint(**fields)])
    assert reason in error.value.faultstring


def test_names_are_unique() -> None:
    with pytest.raises(DefinitionError, match="names must be unique"):
        constraints_from([constraint(), constraint()])


def test_a_constraint_is_served_as_it_is_read() -> None:
    (one,) = constraints_from([constraint()])
    assert one.to_json() == constraint(
        description="Time constraint at 0 23 * * * lasting for 10800 seconds", timezone=""
    )
    (again,) = constraints_from([one.to_json()])
    assert again.to_json() == one.to_json()


@given(
    st.integers(moment("2026-01-01T00:00:00"), moment("2026-12-31T00:00:00")),
    st.sampled_from(["0 23 * * *", "*/5 * * * *", "30 2 * * 0", "0 0 1 * *"]),
    st.integers(0, 10_000),
    st.sampled_from(["", "Europe/Ljubljana", "Asia/Kolkata"]),
    st.integers(0, 10**6),
)
def test_nothing_turns_before_it_is_said_to(
    at: int, start: str, duration: int, timezone: str, share: int
) -> None:
    found = constraints_from([constraint(start=start, duration=duration, timezone=timezone)])
    until = turn(found, at)
    assert until is not None
    assert until > at
    between = at + (until - 1 - at) * share // 10**6
    assert within(found, between) is within(found, at)
    assert turn((), at) is None
