"""What holds for alarms of every type: the same transcripts, with each type's own way to breach and to clear."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from metering.alarms.evaluation_members import Member
from tests.alarms.transcript import (
    START,
    Step,
    Stream,
    came,
    came_late,
    define,
    delete,
    event,
    happened,
    sample,
    tick,
    way,
)

RULE: dict[str, Any] = {"threshold": 50.0, "comparison_operator": "gt"}
METRIC = RULE | {"aggregation_method": "mean", "granularity": 60}
ONE = METRIC | {"metric": "cpu", "resource_id": "r", "resource_type": "instance"}
GROUP = METRIC | {
    "metric": "cpu",
    "resource_type": "instance",
    "query": '{"=": {"server_group": "g"}}',
}
Way = Callable[[int], tuple[Step, ...]]  # what leads there in a minute


@dataclasses.dataclass(frozen=True)
class Kind:
    """A type of alarm: its definition, those it looks at, and what leads to `alarm` and to `ok`."""

    fields: dict[str, Any]
    breach: Way
    clear: Way
    others: tuple[dict[str, Any], ...] = ()
    clears: bool = True  # an event alarm does not


def busy(minute: int, volume: float) -> tuple[Step, ...]:
    one = sample(f"{minute}:10", volume, metadata={"user_metadata.server_group": "g"})
    return tick(f"{minute}:05", lag=60), came(one), tick(f"{minute}:15", lag=60)


def high(minute: int) -> tuple[Step, ...]:
    return busy(minute, 90)


def low(minute: int) -> tuple[Step, ...]:
    return busy(minute, 10)


def silence(minute: int) -> tuple[Step, ...]:
    return (*busy(minute - 2, 90), tick(f"{minute}:15"))


def stops(event_type: str) -> Way:
    def happens(minute: int) -> tuple[Step, ...]:
        one = event(f"{minute}:10", event_type, server="r")
        return tick(f"{minute}:05", lag=60), happened(one), tick(f"{minute}:15", lag=60)

    return happens


def unanswered(minute: int) -> tuple[Step, ...]:
    return (*stops("begin")(minute - 2), tick(f"{minute}:15"))


def health(status: str) -> Way:
    def looked(minute: int) -> tuple[Step, ...]:
        one = Member("m", "m", "10.0.0.1", "p", status, START - 3_600_000)
        return (
            tick(f"{minute}:05", lag=60),
            lambda stream: stream.book.take_members("pool", [one]),
            tick(f"{minute}:15", lag=60),
        )

    return looked


def of(kind: str, rule: Any, breach: Way = high, clear: Way = low, **more: Any) -> Kind:
    fields = {"type": kind, f"{kind}_rule": rule}
    return Kind(fields, breach, clear, **more)


LEAF = {"type": "gnocchi_resources_threshold", **ONE}
BELOW = {
    "alarm_id": "b", "name": "b", "type": "composite", "composite_rule": {"or": [LEAF]},
}  # fmt: skip
POOL = {"pool_id": "pool", "stack_id": "s", "autoscaling_group_id": "g"}
ANSWERED = {
    "event_type": "begin", "followed_by": {"event_type": "end"}, "same": ["server"], "within": 60,
}  # fmt: skip
KINDS = {
    "threshold": of("threshold", {"meter_name": "cpu", **RULE}),
    "one resource": of("gnocchi_resources_threshold", ONE),
    "a group": of("gnocchi_aggregation_by_resources_threshold", GROUP),
    "metrics": of("gnocchi_aggregation_by_metrics_threshold", METRIC | {"metrics": ["citjcHU="]}),
    "composite": of("composite", {"and": [LEAF, {"or": [LEAF, LEAF]}]}),
    "composite of composites": of(
        "composite", {"and": [{"type": "alarm", "alarm_id": "b"}, LEAF]}, others=(BELOW,)
    ),
    "combination": of(
        "combination", {"operator": "and", "alarm_ids": ["b", "b2"]},
        others=(BELOW, BELOW | {"alarm_id": "b2", "name": "b2"}),
    ),
    "event": of("event", {"event_type": "x.*"}, stops("x.y"), stops("x.z"), clears=False),
    "absence of samples": of("absence", {"meter_name": "cpu", "within": 60}, silence),
    "absence of an answer": of("absence", ANSWERED, unanswered, stops("end")),
    "members": of("loadbalancer_member_health", POOL, health("ERROR"), health("ONLINE")),
}  # fmt: skip
every = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
measured = pytest.mark.parametrize(
    "name", ["threshold", "one resource", "a group", "metrics", "composite"]
)


def played(kind: Kind, *script: Step, **fields: Any) -> list[str]:
    """Return the transitions of the alarm, of which others are not looked at."""
    stream = Stream()
    stream.run(*(define(**other) for other in kind.others))
    stream.run(define(**kind.fields | fields), tick("00:30", lag=60), tick("00:31", lag=60))
    stream.run(*script)
    return [way(one) for one in stream.made if one.alarm_id == "a"]


def reached(made: list[str]) -> str:
    """Return the state that was reached last."""
    return made[-1].split(" -> ")[1] if made else "unknown"


@every
def test_a_breach_and_its_end(kind: Kind) -> None:
    breached = played(kind, *kind.breach(5))
    assert reached(breached) == "alarm"
    cleared = played(kind, *kind.breach(5), *kind.clear(6))
    assert reached(cleared) == ("ok" if kind.clears else "alarm")


@every
def test_actions_are_repeated_while_it_breaches(kind: Kind) -> None:
    again = [step for minute in (6, 7) for step in kind.breach(minute)]
    quiet = played(kind, *kind.breach(5), *again)
    loud = played(
        kind, *kind.breach(5), *again, alarm_actions=["log://"], repeat_actions=True
    )  # fmt: skip
    assert [one for one in loud if one.startswith("alarm -> alarm")]
    assert [one for one in loud if not one.startswith(("alarm -> alarm", "ok -> ok"))] == quiet


@every
def test_outside_its_time_constraints_it_is_not_evaluated(kind: Kind) -> None:
    first_half = {"name": "n", "start": "0 * * * *", "duration": 600}
    constrained = {"time_constraints": [first_half]}
    assert reached(played(kind, *kind.breach(5), **constrained)) == "alarm"
    assert played(kind, *kind.breach(15), *kind.clear(16), **constrained) == []


@every
def test_an_edit_in_flight_keeps_the_state_and_evaluation_goes_on(kind: Kind) -> None:
    edited = define(**kind.fields, severity="critical", description="edited")
    found = played(kind, *kind.breach(5), edited, *kind.clear(6))
    assert found == played(kind, *kind.breach(5), *kind.clear(6))


@every
def test_a_deletion_in_flight_ends_it(kind: Kind) -> None:
    before = played(kind, *kind.breach(5))
    gone = (delete(), tick("05:20", lag=60), tick("05:21", lag=60))
    assert played(kind, *kind.breach(5), *gone, *kind.clear(6), *kind.breach(9)) == before


def of_two(name: str) -> dict[str, Any]:
    """Return a definition that looks at two periods."""
    fields = KINDS[name].fields
    if name == "composite":
        return {"type": "composite", "composite_rule": {"or": [LEAF | {"evaluation_periods": 2}]}}
    rule = f"{fields['type']}_rule"
    return fields | {rule: fields[rule] | {"evaluation_periods": 2}}


@measured
def test_mixed_periods_leave_what_is_known(name: str) -> None:
    found = played(
        KINDS[name], *low(4), *low(5), tick("05:30", lag=300), *high(6), **of_two(name)
    )  # fmt: skip
    # By Aodh's rule a composite's mixed periods count as the opposite of what the newest says.
    assert found == ["unknown -> ok"]


@measured
def test_late_data_counts_in_its_own_period(name: str) -> None:
    late = sample("05:05", 900, metadata={"user_metadata.server_group": "g"})
    script = (*low(4), *low(5), *high(6))
    after = (came_late(late), tick("06:16", lag=60), tick("06:17", lag=60), tick("06:18", lag=60))
    assert played(KINDS[name], *script, *after, **of_two(name)) == ["unknown -> ok", "ok -> alarm"]


@measured
def test_missing_data_is_unknown_once_the_watermark_has_passed(name: str) -> None:
    kind = KINDS[name]
    assert played(kind, *high(5), tick("20:00", lag=1000)) == ["unknown -> alarm"]
    assert played(kind, *high(5), tick("20:00", lag=60)) == ["unknown -> alarm", "alarm -> unknown"]
