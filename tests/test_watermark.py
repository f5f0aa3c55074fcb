"""The watermark of a reader: least of its feeds, never back, with the clock only where all is quiet.

And that over readers: the least of theirs, without those that are dead.
"""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from metering.elements import (
    PATIENCE,
    Beat,
    CommonTick,
    FeedClock,
    LeastWatermark,
    Tick,
    Watermark,
)

MINUTE = 60_000


def beat(minute: float, *clocks: FeedClock) -> Beat:
    return Beat(int(minute * MINUTE), list(clocks))


def feed(name: str, idle: bool = False) -> FeedClock:
    return FeedClock(name, disorder=60.0, idle=idle)


def mark(tick: Tick) -> float | None:
    return None if tick.watermark is None else tick.watermark / MINUTE


def test_there_is_none_before_the_first_message_of_every_feed() -> None:
    watermark = Watermark()
    assert mark(watermark.tick(beat(10, feed("a"), feed("b")))) is None
    watermark.saw("a", 5 * MINUTE)
    assert mark(watermark.tick(beat(11, feed("a"), feed("b")))) is None
    watermark.saw("b", 7 * MINUTE)
    assert mark(watermark.tick(beat(12, feed("a"), feed("b")))) == 4


def test_it_never_goes_back() -> None:
    watermark = Watermark()
    watermark.saw("a", 9 * MINUTE)
    assert mark(watermark.tick(beat(10, feed("a")))) == 8
    watermark.saw("a", 3 * MINUTE)
    assert mark(watermark.tick(beat(11, feed("a")))) == 8


def test_an_idle_feed_moves_with_the_clock_and_a_slow_one_does_not() -> None:
    watermark = Watermark()
    watermark.saw("a", 2 * MINUTE)
    assert mark(watermark.tick(beat(60, feed("a")))) == 1
    assert mark(watermark.tick(beat(61, feed("a", idle=True)))) == 60


def test_a_clock_ahead_of_ours_closes_nothing_early() -> None:
    watermark = Watermark()
    watermark.saw("a", 500 * MINUTE)
    assert mark(watermark.tick(beat(10, feed("a")))) == 9


def test_two_readers_of_a_process_have_a_watermark_each() -> None:
    watermark = Watermark()
    watermark.saw("a", 9 * MINUTE)
    watermark.saw("b", 3 * MINUTE)
    assert mark(watermark.tick(Beat(10 * MINUTE, [feed("a")], reader=0, readers=2))) == 8
    assert mark(watermark.tick(Beat(10 * MINUTE, [feed("b")], reader=1, readers=2))) == 2


def seconds(number: int) -> int:
    return number * 1000


def ticking(least: LeastWatermark, ticks: int, start: int, *readers: tuple[int, int]) -> None:
    """Have readers, each with the watermark it stays at, tick every second so many times."""
    for number in range(ticks):
        for reader, reached in readers:
            least.take(Tick(start + seconds(number), reached, reader, 2))


def test_a_slow_reader_holds_the_watermark_as_long_as_it_ticks() -> None:
    least = LeastWatermark()
    ticking(least, 5000, 0, (0, 70), (1, 20))
    assert least.reached == 20


def test_a_reader_that_ticks_and_has_no_watermark_yet_holds_it() -> None:
    least = LeastWatermark()
    for number in range(5000):
        least.take(Tick(seconds(number), 70, 0, 2))
        least.take(Tick(seconds(number), None, 1, 2))
    assert least.reached is None


def test_a_dead_reader_holds_it_for_fifteen_minutes_of_the_others_ticks() -> None:
    least = LeastWatermark()
    ticking(least, 1, 0, (0, 70), (1, 20))
    ticking(least, PATIENCE // 1000 - 1, seconds(1), (0, 70))
    assert least.reached == 20
    ticking(least, 1, PATIENCE, (0, 70))
    assert least.reached == 70


def test_a_reader_that_never_came_is_waited_for_as_long() -> None:
    least = LeastWatermark()
    ticking(least, PATIENCE // 1000, 0, (0, 70))
    assert least.reached is None
    ticking(least, 1, PATIENCE, (0, 70))
    assert least.reached == 70


def test_a_dead_reader_counts_again_when_it_ticks_and_nothing_goes_back() -> None:
    least = LeastWatermark()
    ticking(least, 1, 0, (0, 70), (1, 20))
    ticking(least, PATIENCE // 1000, seconds(1), (0, 70))
    ticking(least, 10, PATIENCE + seconds(1), (1, 30), (0, 90))
    assert least.reached == 70
    ticking(least, 1, PATIENCE + seconds(11), (1, 80), (0, 90))
    assert least.reached == 80


def test_a_pause_of_all_readers_is_nobodys_death() -> None:
    least = LeastWatermark()
    ticking(least, 1, 0, (0, 70), (1, 20))
    assert least.take(Tick(10 * PATIENCE, 70, 0, 2)) == 20


TICKS = st.lists(
    st.builds(
        Tick,
        now=st.integers(0, 3 * PATIENCE),
        watermark=st.none() | st.integers(0, 10**6),
        reader=st.integers(0, 2),
        readers=st.just(3),
    ),
    max_size=60,
)


@given(TICKS)
def test_the_watermark_over_readers_never_goes_back(ticks: list[Tick]) -> None:
    least = LeastWatermark()
    reached = [mark for tick in ticks if (mark := least.take(tick)) is not None]
    assert reached == sorted(reached)


@given(TICKS)
def test_it_is_never_beyond_every_readers_own(ticks: list[Tick]) -> None:
    least = LeastWatermark()
    seen: list[int] = []
    for tick in ticks:
        seen += [] if tick.watermark is None else [tick.watermark]
        reached = least.take(tick)
        assert reached is None or reached <= max(seen)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6)), max_size=60))
def test_while_all_tick_it_is_the_greatest_least_that_there_was(
    steps: list[tuple[int, int]],
) -> None:
    least, last, wanted = LeastWatermark(), {}, None
    for reader, reached in steps:
        last[reader] = reached
        if len(last) == 3:
            wanted = max(min(last.values()), wanted or 0)
        assert least.take(Tick(0, reached, reader, 3)) == wanted


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_of_one_reader_it_is_its_own(marks: list[int]) -> None:
    least = LeastWatermark()
    assert [least.take(Tick(0, mark)) for mark in marks] == list(itertools.accumulate(marks, max))


def test_readers_together_tick_as_often_as_one() -> None:
    common = CommonTick()
    told = [common.take(Tick(at, 70 - at % 3, at % 2, 2)) for at in (0, 1, 400, 501, 999, 1001)]
    assert told == [Tick(0, None), None, None, Tick(501, 69), None, Tick(1001, 69)]


def test_a_clock_that_is_set_back_goes_on_ticking() -> None:
    common = CommonTick()
    common.take(Tick(1_000_000, 70, 0, 2))
    assert common.take(Tick(500_000, 60, 1, 2)) == Tick(500_000, 60)


@given(st.lists(st.integers(0, 10**6)))
def test_every_tick_of_one_reader_is_told(times: list[int]) -> None:
    common = CommonTick()
    assert [common.take(Tick(now, None)) for now in times] == [Tick(now, None) for now in times]
