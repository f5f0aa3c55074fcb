"""What may be delivered now: in order per alarm and receiver, so many at once, and nothing forgotten."""

import dataclasses
import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.attempts import Outcome, attempted, resent
from metering.alarms.backlog import Backlog
from metering.alarms.transitions import Attempt, Delivery

AT = 1_795_000_000_000  # ms


def delivery(number: int, alarm: str = "a", action: str = "http://one/", **fields: Any) -> Delivery:
    plain: dict[str, Any] = {
        "id": f"{alarm}{number}{action}",
        "transition_id": f"{alarm}{number}",
        "alarm_id": alarm,
        "project_id": "p",
        "sequence": (AT + number) * 1000,
        "created_at": AT,
        "action": action,
        "receiver": action.split("/")[2],
        "body": "{}",
        "next_attempt_at": AT,
    }
    return Delivery(**plain | fields)


def backlog(*deliveries: Delivery, **limits: int) -> Backlog:
    plain = {"at_once": 100, "at_once_each": 100, "kept_each": 100}
    made = Backlog(**plain | limits)
    made.add(deliveries)
    return made


def after(one: Delivery, outcome: Outcome, at: int = AT, pause: float = 1.0) -> Delivery:
    return attempted(one, outcome, at, 0.1, pause, 60.0)[0]


OK = Outcome(status=200)
AWAY = Outcome("no answer")
GONE = Outcome("404 Not Found", 404)


def test_an_arrived_delivery_is_done_with_and_its_attempt_on_record() -> None:
    one, attempt = attempted(delivery(1), Outcome(status=204), AT + 5, 0.25, 1.0, 60.0)
    assert one == dataclasses.replace(
        delivery(1), state="delivered", attempts=1, last_status=204, version=(AT + 5) * 1000
    )
    assert attempt == Attempt(
        delivery_id=one.id, number=1, at=AT + 5, status=204, error="", seconds=0.25
    )


def test_a_failed_delivery_is_tried_again_later_and_for_the_last_time_when_it_is_old() -> None:
    one = after(delivery(1), Outcome("500 Internal Server Error", 500), AT + 5, pause=2.0)
    assert (one.state, one.attempts, one.last_status, one.next_attempt_at) == (
        "pending",
        1,
        500,
        AT + 2005,
    )
    again = after(one, AWAY, AT + 59_500, pause=2.0)
    assert (again.state, again.next_attempt_at, again.last_error) == (
        "pending",
        AT + 60_000,
        "no answer",
    )
    last = after(again, AWAY, AT + 60_000)
    assert (last.state, last.attempts) == ("dead", 3)


def test_what_is_hopeless_is_dead_at_once_and_goes_out_again_by_hand() -> None:
    dead = after(delivery(1), Outcome("that address is refused", hopeless=True))
    assert (dead.state, dead.attempts) == ("dead", 1)
    again = resent(dead, AT - 10)
    assert (again.state, again.next_attempt_at, again.version) == (
        "pending",
        AT - 10,
        dead.version + 1,
    )


def test_an_alarms_deliveries_to_a_receiver_go_one_transition_after_the_other() -> None:
    found = backlog(delivery(2), delivery(1), delivery(1, action="http://one/b"), delivery(1, "b"))
    first = list(found.start(AT))
    assert [(one.alarm_id, one.sequence // 1000 - AT) for one in first] == [
        ("a", 1),
        ("a", 1),
        ("b", 1),
    ]
    assert list(found.start(AT)) == []
    found.finish(after(first[0], OK))
    found.finish(after(first[2], OK))
    assert list(found.start(AT)) == []
    found.finish(after(first[1], OK))
    (last,) = found.start(AT)
    found.finish(after(last, OK))
    assert (len(found), found.next_at()) == (0, None)


def test_another_receiver_does_not_wait() -> None:
    found = backlog(delivery(1), delivery(2, action="http://two/"))
    assert len(list(found.start(AT))) == 2


def test_what_follows_a_failure_waits_for_it_however_long() -> None:
    found = backlog(delivery(1), delivery(2))
    (one,) = found.start(AT)
    found.finish(after(one, AWAY, pause=30.0))
    assert found.next_at() == AT + 30_000
    assert list(found.start(AT + 29_999)) == []
    (again,) = found.start(AT + 30_000)
    assert (again.id, again.attempts) == (one.id, 1)


def test_a_refused_url_holds_up_only_what_goes_to_it() -> None:
    found = backlog(
        delivery(1),
        delivery(1, action="http://one/b"),
        delivery(2),
        delivery(2, action="http://one/b"),
    )
    gone, there = found.start(AT)
    found.finish(after(gone, GONE, pause=30.0))
    assert list(found.start(AT)) == []  # the other of the same transition is under way
    found.finish(after(there, OK))
    (passing,) = found.start(AT)
    assert passing.id == delivery(2, action="http://one/b").id
    found.finish(after(passing, OK))
    (again,) = found.start(AT + 30_000)
    assert again.id == gone.id
    found.finish(after(again, OK, AT + 30_000))
    assert [one.id for one in found.start(AT + 30_000)] == [delivery(2).id]


def test_a_receiver_that_is_busy_does_not_keep_others_from_being_called() -> None:
    slow = [delivery(1, f"s{n}") for n in range(5)]
    found = backlog(*slow, delivery(9, "q", "http://two/"), at_once_each=2)
    first = list(found.start(AT))
    assert [one.alarm_id for one in first] == ["s0", "s1", "q"]
    found.finish(after(first[0], AWAY, pause=5.0))
    assert [one.alarm_id for one in found.start(AT)] == ["s2"]


def test_no_more_than_so_many_are_under_way() -> None:
    found = backlog(*[delivery(1, f"a{n}", f"http://h{n}/") for n in range(5)], at_once=3)
    first = list(found.start(AT))
    assert (len(first), found.under_way, found.next_at()) == (3, 3, None)
    found.finish(after(first[0], OK))
    assert found.next_at() == AT
    assert len(list(found.start(AT))) == 1


def test_what_is_sent_again_by_hand_goes_at_once_and_a_call_under_way_stays_what_it_is() -> None:
    found = backlog(delivery(1))
    (one,) = found.start(AT)
    found.put(resent(one, AT))
    assert list(found.start(AT)) == []
    waiting = after(one, AWAY, pause=30.0)
    found.finish(waiting)
    found.put(resent(waiting, AT + 1))
    (again,) = found.start(AT + 1)
    assert (again.id, again.next_attempt_at) == (one.id, AT + 1)
    found.put(delivery(1))  # written once more by its transition
    found.finish(after(again, OK))
    assert len(found) == 0


def test_an_earlier_one_that_comes_late_goes_first() -> None:
    found = backlog(delivery(2))
    found.put(delivery(1))
    assert [one.id for one in found.start(AT)] == [delivery(1).id]
    assert list(found.start(AT)) == []


def test_beyond_so_many_of_a_receiver_the_store_has_the_rest_until_there_is_room() -> None:
    found = backlog(delivery(1), delivery(2), kept_each=2)
    found.add([delivery(3), delivery(1, action="http://two/")])
    assert (len(found), found.is_short) == (3, False)
    one = next(found.start(AT))
    found.finish(after(one, OK))
    assert (len(found), found.is_short) == (2, True)
    found.add([delivery(4)])  # the third comes before it
    assert delivery(4).id not in found
    found.fill([delivery(2), delivery(3)])
    assert delivery(3).id in found
    found.finish(after(next(one for one in found.start(AT) if one.receiver == "one"), OK))
    assert found.is_short
    found.fill([delivery(3)])
    assert not found.is_short
    found.add([delivery(4)])
    assert delivery(4).id in found


def test_after_an_answer_that_was_cut_nothing_new_is_taken() -> None:
    found = backlog()
    found.fill([delivery(1)], whole=False)
    found.add([delivery(2, action="http://two/")])
    assert len(found) == 1
    found.fill([])
    found.add([delivery(2, action="http://two/")])
    assert len(found) == 2


OUTCOMES = (OK, OK, AWAY, GONE, Outcome("refused", hopeless=True))
MADE = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from("ab"),
        st.sampled_from(["http://one/", "http://one/b", "http://two/"]),
    ),
    unique=True,
    max_size=20,
)


@given(MADE, st.integers(0, 2**32))
def test_whatever_happens_each_is_settled_in_order_and_never_called_twice_at_once(
    made: list[tuple[int, str, str]], seed: int
) -> None:
    chance = random.Random(seed)
    coming = [delivery(*one) for one in made]
    unsettled = {one.id: one for one in coming}
    found = backlog(at_once=4, at_once_each=2)
    now, under_way = AT, dict[str, Delivery]()
    while unsettled:
        if coming and chance.random() < 0.5:
            found.add([coming.pop(chance.randrange(len(coming)))])
        for one in found.start(now):
            assert one.id not in under_way
            assert_may_go(one, [other for other in unsettled.values() if other.id in found])
            under_way[one.id] = one
        assert len(under_way) <= 4
        assert max(Counter(one.receiver for one in under_way.values()).values(), default=0) <= 2
        if under_way and chance.random() < 0.5:
            one = under_way.pop(chance.choice(sorted(under_way)))
            then = after(one, chance.choice(OUTCOMES), now, pause=chance.randrange(20))
            found.finish(then)
            unsettled[one.id] = then
            if then.state != "pending":
                del unsettled[one.id]
        elif not coming and not under_way:
            soonest = found.next_at()
            assert soonest is not None, "something was forgotten"
            now = max(now, soonest)
    assert (len(found), found.under_way) == (0, 0)


def assert_may_go(one: Delivery, others: list[Delivery]) -> None:
    for other in others:
        same = (other.alarm_id, other.receiver) == (one.alarm_id, one.receiver)
        if same and other.sequence < one.sequence:
            assert other.action != one.action
            earlier = [d for d in others if d.action == other.action and d.alarm_id == one.alarm_id]
            assert min(earlier, key=lambda d: d.sequence).last_status == 404
