"""Covering a range with windows."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.tiling import Span, tiled

HOUR, DAY = 3_600_000, 86_400_000  # ms
BOTH = [(HOUR, 0), (DAY, 0)]


@pytest.mark.parametrize(
    ("low", "high", "since", "until", "spans"),
    [
        (0, 2 * DAY, BOTH, 9 * DAY, [(0, 2 * DAY, DAY)]),
        (0, 2 * DAY, [], 9 * DAY, [(0, 2 * DAY, 0)]),
        (5, 5, BOTH, 9 * DAY, []),
        (1, HOUR + 1, BOTH, 9 * DAY, [(1, HOUR + 1, 0)]),
        (1, 2 * HOUR, BOTH, 9 * DAY, [(1, HOUR, 0), (HOUR, 2 * HOUR, HOUR)]),
        (
            HOUR,
            DAY * 2 + HOUR * 2 + 7,
            BOTH,
            9 * DAY,
            [
                (HOUR, DAY, HOUR),
                (DAY, 2 * DAY, DAY),
                (2 * DAY, 2 * DAY + 2 * HOUR, HOUR),
                (2 * DAY + 2 * HOUR, 2 * DAY + 2 * HOUR + 7, 0),
            ],
        ),
        (0, 3 * DAY, BOTH, DAY + HOUR, [(0, DAY, DAY), (DAY, DAY + HOUR, HOUR), (DAY + HOUR, 3 * DAY, 0)]),
        (0, 3 * DAY, BOTH, 0, [(0, 3 * DAY, 0)]),
        (0, 2 * DAY, [(HOUR, 5), (DAY, DAY)], 9 * DAY, [(0, HOUR, 0), (HOUR, DAY, HOUR), (DAY, 2 * DAY, DAY)]),
    ],
)  # fmt: skip
def test_the_longest_windows_come_first_and_shorter_ones_beside_them(
    low: int,
    high: int,
    since: list[tuple[int, int]],
    until: int,
    spans: list[tuple[int, int, int]],
) -> None:
    assert tiled(low, high, since, until) == [Span(*span) for span in spans]


times = st.integers(-1000, 1000)
periods = st.sampled_from((3, 6, 7, 24))


@given(times, times, st.dictionaries(periods, times), times)
def test_every_moment_is_covered_once_by_whole_windows_that_may_be_used(
    low: int, high: int, since: dict[int, int], until: int
) -> None:
    spans = tiled(low, high, list(since.items()), until)
    assert all(before.end == after.start for before, after in itertools.pairwise(spans))
    assert (spans[0].start, spans[-1].end) == (low, high) if low < high else spans == []
    for start, end, period in spans:
        assert start < end
        if period:
            assert (start % period, end % period) == (0, 0)
            assert end <= until
            assert start >= since[period]
