"""Alarms on the health of a load balancer's members: the rule, and the look at a stub of Octavia."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.members import MemberWatch
from metering.alarms.evaluation_members import Member, PoolsError, member_from
from sinks.pool_members import PoolMembers
from sinks.trusts import Keystone
from tests.alarms.transcript import START, Step, Stream, define, expect, restart, run, tick
from tests.servers.cloud import Answer, StubCloud
from tests.servers.rabbitmq import wait_until

POOL = "/load-balancer/v2.0/lbaas/pools/pool/members"
RULE = {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "group"}
HEALTH: dict[str, Any] = {
    "type": "loadbalancer_member_health",
    "loadbalancer_member_health_rule": RULE,
    "alarm_actions": ["trust+heat://"],
}
DATA = {"type": "loadbalancer_member_health", "stack_id": "stack", "asg_id": "group"}


def member(name: str, status: str, project: str = "p", created: int = START) -> Member:
    return Member(name, f"{name}-name", "10.0.0.1", project, status, created)


def told(*members: Member, pool: str = "pool") -> Step:
    """The pool's members are like this."""
    return lambda stream: stream.book.take_members(pool, members)


def gone(stream: Stream) -> None:
    """There is no such pool."""
    stream.book.take_members("pool", None)


def test_a_member_in_error_is_told_and_so_is_its_end() -> None:
    stream = run(
        define(**HEALTH),
        tick("05:00"),
        tick("05:01"),
        expect(),
        told(member("m", "ONLINE")),
        tick("05:02"),
        expect(("unknown -> ok", "Transition to ok due to 0 unhealthy members of pool pool")),
        told(member("m", "ERROR"), member("n", "ONLINE")),
        tick("06:02"),
        expect(("ok -> alarm", "Transition to alarm due to 1 unhealthy members of pool pool")),
        told(pool="another"),
        tick("06:03"),
        told(member("n", "ONLINE")),
        tick("07:02"),
        expect("alarm -> ok"),
        gone,
        tick("08:02"),
        expect(("ok -> unknown", "Transition to insufficient data due to pool pool not being there")),
    )  # fmt: skip
    unhealthy = {"id": "m", "name": "m-name", "address": "10.0.0.1"}
    assert stream.made[1].reason_data == DATA | {"unhealthy_members": [unhealthy]}
    assert stream.made[1].actions == ("trust+heat://",)


def test_a_member_that_is_beginning_and_one_of_another_project_do_not_count() -> None:
    run(
        define(**HEALTH, scope="p"),
        tick("05:00"),
        told(
            member("new", "ERROR", created=START + 240_000), member("other", "ERROR", project="q")
        ),
        tick("05:01"),
        expect("unknown -> ok"),
        tick("06:01"),
        told(member("new", "ERROR", created=START + 240_000)),
        tick("06:02"),
        expect("ok -> alarm"),
    )


def test_a_new_process_keeps_the_state_until_members_are_looked_at() -> None:
    run(
        define(**HEALTH),
        tick("05:00"),
        told(member("m", "ERROR")),
        tick("05:01"),
        expect("unknown -> alarm"),
        restart(),
        tick("05:02"),
        tick("05:03"),
        expect(),
        told(member("m", "ONLINE")),
        tick("05:04"),
        expect("alarm -> ok"),
    )


def test_a_disabled_alarm_has_no_pool_looked_at() -> None:
    stream = Stream()
    stream.run(define(**HEALTH), tick("05:00"))
    assert stream.book.pools() == ["pool"]
    stream.run(define(**HEALTH, enabled=False), tick("05:01"))
    assert stream.book.pools() == []


@pytest.fixture
def cloud() -> Iterator[StubCloud]:
    """A stub of a cloud with a pool of two members, listed one by one."""
    stub = StubCloud(["load-balancer"])
    page = f"{stub.url}{POOL}"
    said = {"address": "10.0.0.1", "project_id": "p", "created_at": "2026-11-18T12:00:00"}
    ones = [
        {"id": "m", "name": "m-name", "operating_status": "ERROR", **said},
        {"id": "n", "name": "n-name", "operating_status": "ONLINE", **said},
    ]
    links = [{"rel": "previous", "href": ""}, {"rel": "next", "href": f"{page}/second"}]
    stub.other[POOL] = {"members": ones[:1], "members_links": links}
    stub.other[f"{POOL}/second"] = {"members": ones[1:]}
    yield stub
    stub.close()


@pytest.fixture
def members(cloud: StubCloud, tmp_path: Path) -> PoolMembers:
    """Whoever lists the stub's members."""
    file = tmp_path / "clouds.yaml"
    file.write_text(cloud.clouds_yaml("stub"))
    return PoolMembers(Keystone("stub", file, 10.0))


def test_the_members_of_a_pool_are_listed(members: PoolMembers) -> None:
    assert members("pool") == [member("m", "ERROR"), member("n", "ONLINE")]


def test_a_pool_that_is_not_there_and_a_cloud_that_fails_are_told_apart(
    cloud: StubCloud, members: PoolMembers
) -> None:
    cloud.fault = lambda request: Answer({}, 404) if "lbaas" in request.path else None
    assert members("pool") is None
    cloud.fault = lambda request: Answer({}, 403) if "lbaas" in request.path else None
    with pytest.raises(PoolsError, match="the load balancers answered 403"):
        members("pool")
    cloud.close()
    with pytest.raises(PoolsError, match="the load balancers do not answer"):
        members("pool")


def test_a_member_that_does_not_say_when_it_was_created_is_an_old_one() -> None:
    assert member_from({"id": "m"}) == Member("m", "", "", "", "", 0)


def test_pools_are_looked_at_beside_the_stream_and_again_after_a_failure() -> None:
    stream = Stream()
    stream.run(define(**HEALTH), tick("05:00"), tick("05:01"))
    answers: list[Sequence[Member] | PoolsError] = [PoolsError("away"), [member("m", "ERROR")]]

    def look(pool: str) -> Sequence[Member] | None:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, PoolsError):
            raise answer
        return answer

    watch = MemberWatch(stream.book, look, threading.Event(), every=0.1)
    watch.start()
    moments = itertools.count(2000)

    def is_alarmed() -> bool:
        stream.run(tick(f"05:{next(moments) / 1000}"))
        return stream.states() == {"a": "alarm"}

    wait_until(is_alarmed, "the alarm", 60)
    watch.close()
    assert watch.failure is None


def test_what_is_unforeseen_ends_the_service() -> None:
    stream, ended = Stream(), threading.Event()
    stream.run(define(**HEALTH), tick("05:00"))

    def look(pool: str) -> Sequence[Member] | None:
        raise ValueError(pool)

    watch = MemberWatch(stream.book, look, ended)
    watch.start()
    assert ended.wait(60)
    watch.close()
    assert repr(watch.failure) == "ValueError('pool')"
