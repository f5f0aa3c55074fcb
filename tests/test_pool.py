"""The pool that delivers: at least once, in order, whatever receivers do. Time is moved by hand."""

import dataclasses
import itertools
import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from metering.alarms.attempts import Outcome, resent
from metering.alarms.transitions import Delivery
from sinks.senders import NotConfigured
from store.alarm_states import mend_transitions, write_transitions
from store.client import Store, StoreAwayError
from store.deliveries import insert_deliveries
from tests.delivering import AT, Bench, delivering, transition
from tests.servers.rabbitmq import wait_until
from tests.servers.receiver import DRIP, HANG, RESET, Answer, Call, receiving

ALARMS = ("a", "b", "c")


def numbers(calls: Sequence[Call], alarm: str) -> list[int]:
    """Return which of an alarm's transitions came, in order."""
    told = [call.json for call in calls]
    return [one["reason_data"]["number"] for one in told if one["alarm_id"] == alarm]


def without_repeats(found: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(found))


def test_a_transition_is_delivered_and_on_record(store: Store) -> None:
    with receiving() as receiver, delivering(store) as bench:
        (one,) = bench.change(transition(1, "a", f"{receiver.url}/x"))
        bench.await_states(delivered=1)
        (call,) = receiver.calls
    assert call.json == {
        "alarm_name": "the alarm a",
        "alarm_id": "a",
        "severity": "low",
        "previous": "ok",
        "current": "alarm",
        "reason": "transition 1",
        "reason_data": {"type": "threshold", "count": 1, "most_recent": 2.5, "number": 1},
    }
    assert call.key == one.id
    assert bench.rows("id, attempts, last_status, last_error, version") == [
        (one.id, 1, 200, "", AT * 1000)
    ]
    assert bench.rows("delivery_id, number, status, error", "delivery_attempts") == [
        (one.id, 1, 200, "")
    ]


def test_after_ten_minutes_of_absence_all_arrive_once_and_in_order(store: Store) -> None:
    with receiving() as receiver, delivering(store) as bench:
        receiver.stop()
        for number in range(1, 11):
            bench.change(
                *(
                    transition(number, one, f"{receiver.url}/{one}", at=bench.clock.now)
                    for one in ALARMS
                )
            )
            tried = len(bench.rows("*", "delivery_attempts"))
            bench.pass_(60)
            bench.await_attempts(tried + 3)
        assert bench.rows("DISTINCT status, error", "delivery_attempts") == [
            (0, "Connection refused")
        ]
        receiver.start()
        bench.pass_(60)
        bench.await_states(delivered=30)
        for one in ALARMS:
            assert numbers(receiver.calls, one) == list(range(1, 11))


@pytest.mark.parametrize(
    "pattern", [(500, 200), (RESET, 503, 200), (404, 200), (HANG, 200), (DRIP, 500, 200)], ids=str
)
def test_a_receiver_that_fails_now_and_then_gets_each_in_order(
    store: Store, pattern: tuple[Answer, ...]
) -> None:
    answers = itertools.cycle(pattern)
    with receiving(lambda _: next(answers)) as receiver, delivering(store, timeout=0.3) as bench:
        for number, one in itertools.product(range(1, 5), ALARMS):
            bench.change(transition(number, one, receiver.url))

        def all_arrived() -> bool:
            bench.pass_(60)
            return bench.states() == {"delivered": 12}

        wait_until(all_arrived, "all to arrive", 60)
        for one in ALARMS:
            assert numbers(receiver.arrived, one) == [1, 2, 3, 4]
            came = numbers(receiver.calls, one)
            assert came == sorted(came)
        keys = Counter(call.key for call in receiver.calls)
        assert Counter(key for (key,) in bench.rows("delivery_id", "delivery_attempts")) == keys


def test_who_hangs_slows_nobody_else(store: Store) -> None:
    with receiving(lambda _: HANG) as slow, receiving() as quick, delivering(store) as bench:
        for number in range(40):
            bench.change(transition(1, f"s{number}", slow.url))
        slow.await_calls(8)
        for number in range(20):
            bench.change(transition(number, "q", f"{quick.url}/"))
        bench.await_states(pending=40, delivered=20)
        assert numbers(quick.calls, "q") == list(range(20))
        assert len(slow.calls) == 8  # that may be under way to one host
        assert bench.pool.status() == {"waiting": 32, "under_way": 8}
        slow.answers = lambda _: 200
        slow.released.set()
        slow.await_calls(40)


def test_a_url_that_is_gone_holds_up_no_other_of_its_host(store: Store) -> None:
    with (
        receiving(lambda call: 404 if call.path == "/gone" else 200) as receiver,
        delivering(store) as bench,
    ):
        for number in (1, 2, 3):
            bench.change(transition(number, "a", f"{receiver.url}/gone", f"{receiver.url}/there"))
        bench.await_states(pending=3, delivered=3)
        there = [call for call in receiver.calls if call.path == "/there"]
        assert numbers(there, "a") == [1, 2, 3]
        assert numbers([call for call in receiver.calls if call.path == "/gone"], "a") == [1]


def test_what_still_fails_when_it_is_old_is_dead_and_lets_others_pass(store: Store) -> None:
    with receiving(lambda _: 500) as receiver, delivering(store, give_up_after=100) as bench:
        bench.change(transition(1, "a", receiver.url))
        bench.await_rows("attempts", [(1,)])
        bench.pass_(50)
        bench.await_rows("attempts", [(2,)])
        bench.change(transition(2, "a", receiver.url, at=bench.clock.now))
        bench.pass_(60)
        bench.await_rows(
            "state::String, attempts, last_status", [("dead", 3, 500), ("pending", 1, 500)]
        )
        receiver.answers = lambda _: 200
        bench.pass_(60)
        bench.await_states(dead=1, delivered=1)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_dead_goes_out_again_by_hand(elsewhere: bool, store: Store) -> None:
    """Of another process' hand the pool hears from the store."""
    with receiving() as receiver, delivering(store, give_up_after=100) as bench:
        receiver.stop()
        (one,) = bench.change(transition(1, "a", receiver.url))
        bench.pass_(200)
        bench.await_states(dead=1)
        (dead,) = bench.rows("attempts, version")
        receiver.start()
        again = resent(dataclasses.replace(one, attempts=dead[0], version=dead[1]), bench.clock.now)
        insert_deliveries(store, [again])
        if elsewhere:
            bench.pass_(60)
        else:
            bench.pool.offer([again])
        bench.await_states(delivered=1)
        assert [call.key for call in receiver.calls] == [one.id]
        numbers_ = [row[0] for row in bench.rows("number", "delivery_attempts")]
        assert numbers_ == list(range(1, dead[0] + 2))


def test_what_may_never_be_called_is_dead_at_once_with_its_reason(store: Store) -> None:
    others = {"pubsub": NotConfigured("alarms.actions.pubsub.topics")}
    with delivering(store, others, allow=[]) as bench:
        bench.change(transition(1, "a", "http://169.254.169.254/", "pubsub://topic"))
        bench.await_rows(
            "state::String, attempts, last_error",
            [
                ("dead", 1, "not configured here (alarms.actions.pubsub.topics)"),
                ("dead", 1, "the host's address is one that actions may not call"),
            ],
        )


def test_a_restart_delivers_what_was_left_before_what_is_new(store: Store) -> None:
    with receiving(lambda _: 500) as receiver, delivering(store) as bench:
        bench.change(*(transition(number, "a", receiver.url) for number in (1, 2)))
        bench.await_rows("attempts", [(0,), (1,)])
        receiver.answers = lambda _: 200
        bench.pass_(60)
        bench.await_states(delivered=2)
        receiver.answers = lambda _: 500
        bench.change(*(transition(number, "a", receiver.url) for number in (3, 4)))
        wait_until(lambda: len(receiver.calls) == 4, "a failure")
        bench.pool.close()
        receiver.answers = lambda _: 200
        deliveries = write_transitions(store, [transition(5, "a", receiver.url)])
        bench.pass_(60)
        bench.again()
        bench.pool.offer(deliveries)
        bench.await_states(delivered=5)
        assert numbers(receiver.arrived, "a") == [1, 2, 3, 4, 5]


def test_what_a_crash_tore_apart_is_delivered_too(store: Store) -> None:
    with receiving() as receiver:
        write_transitions(store, [transition(1, "a", receiver.url)])
        store.command(f"TRUNCATE TABLE {store.name}.deliveries")
        store.command(f"TRUNCATE TABLE {store.name}.alarm_states")
        mend_transitions(store)
        with delivering(store) as bench:
            bench.await_states(delivered=1)
        assert numbers(receiver.calls, "a") == [1]


def test_what_is_offered_twice_is_called_once(store: Store) -> None:
    with receiving() as receiver, delivering(store) as bench:
        deliveries = bench.change(transition(1, "a", receiver.url))
        bench.pool.offer(deliveries)
        bench.await_states(delivered=1)
        bench.pool.offer(deliveries)
        bench.change(transition(2, "a", receiver.url))
        bench.await_states(delivered=2)
        assert numbers(receiver.calls, "a") == [1, 2]


def test_more_than_fits_into_memory_goes_out_from_the_store_in_order(store: Store) -> None:
    with receiving() as receiver, receiving() as other, delivering(store, kept_a_host=10) as bench:
        receiver.stop()
        for number in range(1, 31):
            bench.change(*(transition(number, one, receiver.url) for one in ("a", "b")))
        assert bench.pool.status()["waiting"] <= 10
        bench.change(transition(1, "x", other.url))
        wait_until(lambda: len(other.calls) == 1, "another receiver's")
        receiver.start()

        def all_arrived() -> bool:
            bench.pass_(60)
            return bench.states() == {"delivered": 61}

        wait_until(all_arrived, "all to arrive", 60)
        assert numbers(receiver.calls, "a") == numbers(receiver.calls, "b") == list(range(1, 31))


class AwayStore(Store):
    """A store that takes no attempts while it is told so."""

    away = False

    def insert(self, table: str, rows: object) -> None:
        if self.away and table == "delivery_attempts":
            raise StoreAwayError("away")
        super().insert(table, rows)  # type: ignore[arg-type]


def test_a_store_that_is_away_stops_no_call_and_learns_all_later(store: Store) -> None:
    away = AwayStore(store.database)
    away.away = True
    with receiving() as receiver, delivering(away) as bench:
        for number in (1, 2, 3):
            bench.change(transition(number, "a", receiver.url))
        receiver.await_calls(3)
        assert bench.states() == {"pending": 3}
        away.away = False
        bench.await_states(delivered=3)
        assert numbers(receiver.calls, "a") == [1, 2, 3]
    away.close()


class Crashing:
    """Fails as nothing should."""

    def send(self, delivery: Delivery) -> Outcome:
        raise RuntimeError("unforeseen")

    def close(self) -> None:
        pass


def test_what_is_unforeseen_ends_the_pool_and_is_raised_to_who_offers(store: Store) -> None:
    write_transitions(store, [transition(1, "a", "log://")])
    bench = Bench(store, {"log": Crashing()})
    bench.pool.start()
    assert bench.pool.ended.wait(20)
    with pytest.raises(RuntimeError, match="unforeseen"):
        bench.pool.offer([])
    bench.pool.close()
    assert bench.states() == {"pending": 1}


def test_closing_lets_calls_end_and_leaves_the_rest_pending(store: Store) -> None:
    answered = threading.Event()

    def answer(call: Call) -> Answer:
        answered.wait(20)
        return 200

    with receiving(answer) as receiver:
        bench = Bench(store)
        bench.pool.start()
        bench.change(*(transition(number, "a", receiver.url) for number in (1, 2)))
        wait_until(lambda: bench.pool.status()["under_way"] == 1, "a call to be under way")
        closing = threading.Thread(target=bench.pool.close)
        closing.start()
        answered.set()
        closing.join(20)
        assert not closing.is_alive()
    assert bench.rows("sequence, state::String") == [
        (AT * 1000 + 1, "delivered"),
        (AT * 1000 + 2, "pending"),
    ]
