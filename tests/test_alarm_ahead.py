"""Alarms where others write samples: what was read from the store comes by the stream afterwards, and counts once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.book import AlarmBook
from metering.batches import sample_table, touched_by
from metering.draft import Draft
from metering.elements import Tick
from tests.alarms.histories import LAG, RESOURCES, Round, rules
from tests.alarms.transcript import REPEAT, START, Stream, alarm, at, came, define, sample, ways
from tests.test_alarm_laws import state

STEP = 10_000  # ms between rounds
SUM = {
    "type": "threshold",
    "threshold_rule": {
        "meter_name": "cpu",
        "statistic": "sum",
        "comparison_operator": "gt",
        "threshold": 15.0,
        "period": 600,
    },
}


def tick(stream: Stream, now: int, mark: int | None) -> None:
    """Tell the time, and have the book read what changed."""
    stream.book.begin()
    stream.now = now
    stream.take(stream.book.tick(Tick(now, mark)))
    stream.book.begin()


class Apart(Stream):
    """A book whose samples others write: what is passed on comes later than it is stored."""

    def open(self) -> None:
        self.book = AlarmBook(self.shelf, REPEAT, self.now, ahead=True)
        self.under_way: list[list[Draft]] = []

    def write(self, *samples: Draft) -> None:
        self.shelf.samples_ += samples
        self.under_way.append(list(samples))

    def come(self, most: int) -> None:
        some, self.under_way = self.under_way[:most], self.under_way[most:]
        self.book.begin()
        for partials in self.book.matched([sample_table(one, 0) for one in some if one]):
            self.take(self.book.take(partials))


def test_a_sample_that_a_new_alarm_has_read_does_not_count_again_when_it_comes() -> None:
    stream = Apart()
    stream.write(sample("00:10", 10))
    stream.shelf.define(alarm(**SUM))
    tick(stream, at("00:20"), None)  # reads the alarm, and the sample
    stream.come(1)
    tick(stream, at("00:30"), None)
    assert ways(stream.made) == ["unknown -> ok"]
    stream.write(sample("00:40", 6))
    stream.come(1)
    tick(stream, at("00:50"), None)
    assert ways(stream.made) == ["unknown -> ok", "ok -> alarm"]


def test_a_series_that_was_read_again_counts_what_comes_after_it_alone() -> None:
    stream = Apart()
    stream.shelf.define(alarm(**SUM))
    tick(stream, at("00:01"), None)
    stream.write(sample("00:10", 10))
    late = sample("00:05", 1)
    stream.shelf.samples_.append(late)
    stream.book.touch(touched_by([late]))
    tick(stream, at("00:20"), None)  # reads the series: 10 and 1, before 10 has come
    stream.come(1)
    stream.write(sample("00:30", 4))
    stream.come(1)
    tick(stream, at("00:40"), None)
    assert ways(stream.made) == ["unknown -> ok"]
    stream.write(sample("00:41", 1))
    stream.come(1)
    tick(stream, at("00:50"), None)
    assert ways(stream.made) == ["unknown -> ok", "ok -> alarm"]


def test_what_was_read_is_forgotten_once_nothing_of_it_can_be_under_way() -> None:
    stream = Apart()
    stream.write(sample("00:10", 10))
    stream.shelf.define(alarm(**SUM))
    tick(stream, at("00:20"), None)
    for minutes in (16, 32, 48):
        tick(stream, START + minutes * 60_000, None)
    ahead = stream.book._ahead
    assert ahead is not None
    partials = stream.book.partials([sample_table([sample("00:10", 10)], 0)])
    assert ahead.fresh(partials).num_rows == partials.num_rows == 1


def of_one_period(rule: Any) -> Any:
    """Return a rule that looks at one period: of several that disagree, what was before counts as well."""
    if isinstance(rule, dict):
        return {k: 1 if k == "evaluation_periods" else of_one_period(v) for k, v in rule.items()}
    return [of_one_period(one) for one in rule] if isinstance(rule, list) else rule


class Behind(Apart):
    """Rounds that others have stored, and their ticks behind them: told later, in their order."""

    def open(self) -> None:
        super().open()
        self.rounds: list[Round] = []

    def store(self, each: Round) -> None:
        self.write(*each.samples)
        self.rounds.append(each)

    def told(self, most: int, marked: bool) -> None:
        some, self.rounds = self.rounds[:most], self.rounds[most:]
        for each in some:
            self.come(1)
            tick(self, each.now, mark(each.now) if marked else None)


def mark(now: int) -> int:
    """Return the watermark (ms) of a round's tick."""
    return now - LAG * 1000


@st.composite
def dense_streams(draw: st.DrawFn) -> list[Round]:
    """Draw rounds that leave no period of no resource without samples: the state is what the newest say."""
    volumes = st.integers(-40, 40).map(lambda quarter: quarter / 4)
    rounds = []
    for number in range(draw(st.integers(6, 30))):
        begin = START + number * STEP
        times = [begin + 1 + place * 1000 for place in range(len(RESOURCES) * 2)]
        made = [
            sample("00:00", draw(volumes), resource_id=RESOURCES[nth % 3])._replace(timestamp=when)
            for nth, when in enumerate(times)
        ]
        rounds.append(Round(made, begin + STEP))
    return rounds


@given(rules(mixed=False).map(of_one_period), dense_streams(), st.booleans(), st.data())
def test_the_state_is_that_of_one_process_once_all_has_come(
    rule: dict[str, Any], rounds: list[Round], marked: bool, data: st.DataObject
) -> None:
    """An alarm that is created meanwhile reads samples that are under way, and the time is behind them."""
    created = data.draw(st.integers(0, len(rounds) - 1))
    whole, behind = Stream(), Behind()
    for number, each in enumerate(rounds):
        if number == created:
            whole.run(define(**rule))
            behind.run(define(**rule))
        whole.run(came(*each.samples))
        tick(whole, each.now, mark(each.now) if marked else None)
        behind.store(each)
        behind.told(data.draw(st.integers(0, len(behind.rounds))), marked)
    behind.told(len(behind.rounds), marked)
    last = rounds[-1].now
    for stream in (whole, behind):
        tick(stream, last + 1, mark(last) if marked else None)
    assert state(behind) == state(whole)
