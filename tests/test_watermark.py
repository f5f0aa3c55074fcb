"""The watermark of a reader: least of its feeds, never back, with the clock only where all is quiet."""

from metering.elements import Beat, FeedClock, Tick, Watermark

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
