"""Usage windows say what the oracle says, whatever the order, the repetition and the cut."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.usage.histories import (
    History,
    Script,
    Tick,
    histories_and_scripts,
    history,
    script,
    seeded,
    watermark_of,
)
from tests.usage.oracle import Row, usage
from tests.usage.stream import Stream


def expected(past: History, arrivals: Script) -> list[Row]:
    return _sorted(usage(past.samples, watermark_of(arrivals), past.settings))


def told(stream: Stream) -> list[Row]:
    stream.all_told()
    return _sorted(stream.usage_rows())


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[:9])  # what a row is of; the rest may be None


def run(past: History, arrivals: Script, ticks_apart: bool = True) -> Stream:
    stream = Stream(past.settings)
    stream.run(arrivals, ticks_apart)
    return stream


@given(histories_and_scripts(), st.booleans())
def test_any_order_and_repetition_gives_what_the_oracle_says(
    drawn: tuple[History, Script], ticks_apart: bool
) -> None:
    past, arrivals = drawn
    assert told(run(past, arrivals, ticks_apart)) == expected(past, arrivals)


@given(histories_and_scripts(), st.randoms(use_true_random=False))
def test_cutting_batches_anywhere_changes_nothing(
    drawn: tuple[History, Script], rng: random.Random
) -> None:
    past, arrivals = drawn
    cut: Script = []
    for step in arrivals:
        if isinstance(step, Tick) or len(step) < 2:
            cut.append(step)
        else:
            place = rng.randrange(1, len(step))
            cut += [step[:place], step[place:]]
    assert told(run(past, cut)) == told(run(past, arrivals))


@given(histories_and_scripts(), st.randoms(use_true_random=False))
def test_a_job_killed_anywhere_goes_on_as_if_it_had_not_been(
    drawn: tuple[History, Script], rng: random.Random
) -> None:
    past, arrivals = drawn
    stream = Stream(past.settings)
    for step in arrivals:
        stream.run([step])
        if rng.random() < 0.3:
            stream.again()
    assert told(stream) == expected(past, arrivals)


@given(histories_and_scripts())
def test_worked_out_again_from_the_store_alone_gives_the_same_bytes(
    drawn: tuple[History, Script],
) -> None:
    past, arrivals = drawn
    stream = run(past, arrivals)
    there = told(stream)
    stream.rows.clear()
    stream.again()
    assert told(stream) == there


def test_what_is_final_is_told_by_itself() -> None:
    past, arrivals = seeded(3)
    stream = run(past, arrivals)
    stream.run([Tick(stream.now + n, stream.watermark) for n in range(1, 4)])
    final = [row for row in expected(past, arrivals) if row.final]
    assert final
    assert [row for row in _sorted(stream.usage_rows()) if row.final] == final


def test_ten_thousand_histories_agree_with_the_oracle() -> None:
    rng = random.Random(7)
    for turn in range(40):
        many, settings = [], history(rng).settings
        for number in range(250):
            for sample in history(rng).samples:
                many.append(sample._replace(resource_id=f"{number} {sample.resource_id}"))
        past = History(tuple(many), settings)
        arrivals = script(rng, past)
        there = told(run(past, arrivals, ticks_apart=turn % 2 == 0))
        assert there == expected(past, arrivals)
