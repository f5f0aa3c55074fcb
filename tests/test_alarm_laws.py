"""What holds of alarms whatever comes: the cut and the order of bundles, kills, and a dry run."""

import itertools
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.book_trial import Past, trial
from metering.alarms.buckets_partials import rows_of
from metering.alarms.states import UNKNOWN
from metering.batches import sample_table
from metering.draft import Draft
from metering.elements import Tick
from metering.schema import EVENTS
from tests.alarms.histories import (
    LAG,
    Round,
    calm_streams,
    gnocchis,
    rules,
    streams,
    thresholds,
)
from tests.alarms.transcript import START, Stream, alarm, came, define, restart, way, ways


def started(rule: dict[str, Any]) -> Stream:
    stream = Stream()
    stream.shelf.lag = LAG * 1000
    stream.run(define(**rule))
    stream.take(stream.book.tick(Tick(stream.now, None)))
    stream.book.begin()
    return stream


def tick(stream: Stream, now: int) -> None:
    stream.now = now
    stream.take(stream.book.tick(Tick(now, now - LAG * 1000)))
    stream.book.begin()


def state(stream: Stream) -> str:
    """Return the alarm's state; it is unknown until there is a transition."""
    return stream.states().get("a", UNKNOWN)


def play(stream: Stream, rounds: list[Round]) -> list[str]:
    """Return the state after each tick."""
    seen = []
    for each in rounds:
        stream.run(came(*each.samples))
        tick(stream, each.now)
        seen.append(state(stream))
    return seen


@given(rules(), streams(), st.randoms(use_true_random=False))
def test_the_state_does_not_depend_on_how_the_stream_is_cut_and_ordered(
    rule: dict[str, Any], rounds: list[Round], rng: random.Random
) -> None:
    whole, cut = started(rule), started(rule)
    wanted = play(whole, rounds)
    found = []
    for each in rounds:
        samples = list(each.samples)
        rng.shuffle(samples)
        while samples:
            size = rng.randint(1, len(samples))
            cut.run(came(*samples[:size]))
            samples = samples[size:]
        tick(cut, each.now)
        found.append(state(cut))
    assert found == wanted


@given(st.one_of(thresholds(), gnocchis()), calm_streams())
def test_what_is_held_back_as_it_changes_no_state_changes_nothing_later_either(
    rule: dict[str, Any], rounds: list[Round]
) -> None:
    holding, adding = started(rule), started(rule)
    for each in rounds:
        for some in (each.samples[:4], each.samples[4:]):
            partials = holding.book.partials([sample_table(some, 0)] if some else [])
            holding.take(holding.book.take(partials))
            adding.take(adding.book.take_rows(rows_of(partials)))
        for stream in (holding, adding):
            tick(stream, each.now)
    assert told(holding) == told(adding)


def told(stream: Stream) -> list[tuple[Any, ...]]:
    return [(way(one), one.reason, one.reason_data, one.at, one.seen) for one in stream.made]


@given(rules(mixed=False), streams(in_order=True), st.data())
def test_a_kill_between_samples_and_their_transitions_loses_none(
    rule: dict[str, Any], rounds: list[Round], data: st.DataObject
) -> None:
    """Not of composites with mixed periods: by Aodh's rule these come to something else when evaluated again.

    Nor where a silence ended, in the samples whose transitions were not written, that no tick came in: a
    new process does not read that far back.
    """
    whole, killed = started(rule), started(rule)
    play(whole, rounds)
    at = data.draw(st.integers(0, len(rounds) - 1))
    play(killed, rounds[:at])
    before = list(killed.made), dict(killed.shelf.stored)
    killed.run(came(*rounds[at].samples))
    killed.made, killed.shelf.stored = before
    killed.shelf.unsure = min((one.timestamp for one in rounds[at].samples), default=None)
    restart()(killed)
    killed.run(came())  # what is stored is not redelivered
    tick(killed, rounds[at].now)
    play(killed, rounds[at + 1 :])
    assert ways(killed.made) == ways(whole.made)


@given(rules(), streams(in_order=True))
def test_a_dry_run_makes_the_transitions_that_were_made(
    rule: dict[str, Any], rounds: list[Round]
) -> None:
    coming = [on_the_second(one) for each in rounds for one in each.samples]
    end = rounds[-1].now + 1_800_000
    live = started(rule)
    live.made.clear()
    of_second = {at: list(some) for at, some in itertools.groupby(coming, key=when)}
    for now in range(START + 1000, end, 1000):
        tick(live, now)
        if now in of_second:
            live.run(came(*of_second[now]))
    past = Past(sample_table(coming, 0), EVENTS.empty_table(), [], LAG * 1000)
    found = trial(alarm(**rule), past, START, end)
    assert [(way(one), one.reason, one.at) for one in found] == [
        (way(one), one.reason, one.at) for one in live.made
    ]


def on_the_second(one: Draft) -> Draft:
    return one._replace(timestamp=-(-one.timestamp // 1000) * 1000)


def when(one: Draft) -> int:
    return one.timestamp
