"""The demo: a fleet that follows from the clock and a seed, and recordings moved to now."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.config import Decode
from metering.decode import Decoder
from sources.demo import Corpus, DemoFeed, DemoSettings
from sources.feed import FeedError
from sources.fleet import BATCH, METERS, Fleet
from sources.fleet_instances import build_instances
from sources.shift import message_time

CORPUS = Path(__file__).parents[1] / "etc" / "demo" / "corpus"
NOW = 1_795_000_000
POLL = NOW // 10
TIMES = st.integers(0, 4_000_000_000)
METER = {meter.name: meter for meter in METERS}


def inner(body: bytes) -> dict[str, Any]:
    return json.loads(json.loads(body)["oslo.message"])


def samples_of(bodies: list[bytes]) -> Iterator[dict[str, Any]]:
    for body in bodies:
        yield from inner(body)["payload"]["samples"]


def test_a_fleet_sends_the_same_for_the_same_poll_and_seed():
    assert Fleet(seed=3).messages(POLL) == Fleet(seed=3).messages(POLL)
    assert Fleet(seed=4).messages(POLL) != Fleet(seed=3).messages(POLL)


def test_a_larger_fleet_keeps_the_instances_of_a_smaller_one():
    few, many = (build_instances(count, 1) for count in (3, 300))
    assert [each.id for each in few] == [each.id for each in many[:3]]
    assert len({each.id for each in many}) == 300
    assert len({each.project for each in many}) == 5
    assert {each.host for each in many} == {f"compute-{n:02d}" for n in range(1, 7)}


def test_each_poll_sends_every_series_once_besides_repeats_of_the_same_bytes():
    fleet = Fleet(instances=60, meters=20, interval=10)
    times = Counter(body for poll in range(POLL, POLL + 12) for body in fleet.messages(poll))
    of_poll = [body for body in times if message_time(body) == NOW]
    found = list(samples_of(of_poll))
    assert Counter((s["counter_name"], s["resource_id"]) for s in found) == {
        (s["counter_name"], s["resource_id"]): 1 for s in found
    }
    assert len(found) == 60 * 20
    assert {s["counter_name"] for s in found} == {meter.name for meter in METERS[:20]}
    assert len({s["message_id"] for s in found}) == len(found)
    assert max(len(inner(body)["payload"]["samples"]) for body in of_poll) == BATCH
    assert set(times.values()) == {1, 2}


def test_now_and_then_a_message_is_late_but_never_early():
    fleet = Fleet(instances=2)
    late: Counter[int] = Counter()
    for poll in range(POLL, POLL + 200):
        for body in fleet.messages(poll):
            moment = message_time(body)
            assert moment is not None
            late[poll - int(moment) // 10] += 1
    assert set(late) <= {0, 1, *range(3, 10)}  # one poll late: a repeat
    assert late[0] > 30 * sum(late[delay] for delay in range(3, 10)) > 0


@given(number=st.integers(0, 99), time=TIMES, step=st.integers(1, 100_000))
def test_a_counter_grows_unless_the_instance_was_rebooted(number, time, step):
    each = build_instances(100, 1)[number]
    for name in ("cpu", "network.incoming.bytes", "disk.device.read.requests"):
        volume = METER[name].volume
        before, after = volume(each, time, 10), volume(each, time + step, 10)
        assert before >= 0
        if each.booted(time + step) <= time:
            assert after >= before
    assert 0 < each.load(time) < 1


@given(number=st.integers(0, 99), time=TIMES)
def test_a_delta_is_what_its_counter_grew_by(number, time):
    each = build_instances(100, 1)[number]
    counter = METER["network.incoming.bytes"].volume
    delta = METER["network.incoming.bytes.delta"].volume(each, time, 10)
    before = 0 if each.booted(time) > time - 10 else counter(each, time - 10, 10)
    assert delta == counter(each, time, 10) - before >= 0


def test_some_instances_are_rebooted_within_the_hour():
    rebooted = [each for each in build_instances(100, 1) if each.booted(NOW) > NOW - 3600]
    assert 0 < len(rebooted) < 30


def recorded(**fields: Any) -> bytes:
    message = {"message_id": ID % 1, "timestamp": "2026-01-01 10:00:00.5", **fields}
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


ID = "00000000-0000-4000-8000-%012d"


def test_a_repeat_has_other_ids_but_the_same_projects_and_is_as_of_now():
    bare = (ID % 2).replace("-", "")
    corpus = Corpus.of(
        [
            recorded(_context_project_id=bare, payload={"id": ID % 3, "owner": ID % 2}),
            recorded(payload={"id": ID % 3, "hex": (ID % 3).replace("-", ""), "name": ID % 2}),
        ]
    )
    one, other, again = (inner(corpus.message(number, NOW)) for number in (10, 11, 12))
    assert one["_context_project_id"] == bare
    assert one["payload"]["owner"] == other["payload"]["name"] == ID % 2
    assert one["payload"]["id"] == other["payload"]["id"]
    assert other["payload"]["hex"] == other["payload"]["id"].replace("-", "")
    ids = [each["payload"]["id"] for each in (one, again)]
    ids += [each["message_id"] for each in (one, again)]
    assert len({*ids, ID % 1, ID % 3}) == 6
    assert one["timestamp"] == "2026-11-18 11:06:39.5"


class Clock:
    """A clock that moves when someone sleeps."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def opened(clock: Clock, **settings: Any) -> DemoFeed:
    chosen = {"corpus": None, "instances": 3, "meters": 2, **settings}
    feed = DemoFeed(DemoSettings(**chosen), clock, clock.sleep)
    feed.open()
    return feed


def sent_until(feed: DemoFeed, clock: Clock, end: float) -> list[tuple[float, list[bytes]]]:
    sent = []
    while clock.now < end:
        payloads = feed.poll(min(7, end - clock.now))
        if payloads is not None:
            feed.ack(payloads.receipt)
            sent.append((round(clock.now, 2), payloads.bodies))
    return sent


def test_the_demo_sends_the_fleet_s_polls_when_they_are_due():
    clock = Clock(NOW + 3)
    fleet = Fleet(3, 2)
    sent = sent_until(opened(clock), clock, NOW + 29)
    assert [each for each in sent if each[1]] == [
        (NOW + 3 if n == 0 else NOW + 10 * n, fleet.messages(POLL + n)) for n in range(3)
    ]


def test_a_demo_started_again_goes_on_as_if_it_had_never_stopped(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(recorded(message_id=ID % n) for n in range(7)))
    clock = Clock()
    whole = sent_until(opened(clock, corpus=tmp_path), clock, NOW + 60)
    clock = Clock()
    first = sent_until(opened(clock, corpus=tmp_path), clock, NOW + 23)
    second = sent_until(opened(clock, corpus=tmp_path), clock, NOW + 60)
    bodies = [{body for _, part in sent for body in part} for sent in (whole, first, second)]
    assert bodies[0] == bodies[1] | bodies[2]
    assert len({inner(body)["message_id"] for body in bodies[0]}) == len(bodies[0])


def test_a_stalled_demo_leaves_out_what_is_long_past():
    clock = Clock()
    feed = opened(clock)
    clock.now += 86_400
    sent = sent_until(feed, clock, clock.now + 1)
    expected = [b for p in range(POLL + 8640 - 6, POLL + 8641) for b in Fleet(3, 2).messages(p)]
    assert [body for _, part in sent for body in part] == expected


def test_a_folder_without_recordings_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(FeedError, match=r"finds no recorded notifications.*or to null"):
        opened(Clock(), corpus=tmp_path)


def test_everything_the_demo_sends_in_minutes_can_be_metered():
    clock = Clock()
    feed = opened(clock, corpus=CORPUS, instances=5, meters=len(METERS), rate=16)
    sent = sent_until(feed, clock, NOW + 120)
    bodies = [body for _, part in sent for body in part]
    decoded = Decoder(Decode()).decode("demo", bodies, int(clock.now * 1000))
    assert decoded.invalid.to_pylist() == []
    assert decoded.events.num_rows > 1000
    meters = set(decoded.samples["meter"].to_pylist())
    assert meters >= {meter.name for meter in METERS} | {"volume.size", "image.size"}


def test_no_recorded_id_is_left_in_a_repeat_but_those_of_projects_and_users():
    feed = opened(Clock(), corpus=CORPUS)
    corpus = feed._corpus
    ids = re.compile(rb"(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])")
    before = {found for text in corpus.messages for found in ids.findall(text)}
    after = {
        found
        for number in range(len(corpus.messages))
        for found in ids.findall(corpus.message(len(corpus.messages) * 9 + number, NOW))
    }
    assert {found.replace(b"-", b"") for found in before & after} <= corpus.staying
    assert len(before) == len(after)
