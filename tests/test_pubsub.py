"""The Pub/Sub feed against a real server of the protocol."""

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pydantic
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import from_grpc_status
from google.rpc.error_details_pb2 import ErrorInfo
from hypothesis import given
from hypothesis import strategies as st

from metering.config import Decode
from metering.decode import Decoder
from sources.backoff import pause
from sources.feed import FeedError, Payloads
from sources.pubsub import PubSubFeed
from sources.pubsub_leases import Leases
from sources.pubsub_link import sorted_out
from sources.pubsub_settings import PubSubSettings
from tests.servers.pubsub import PROJECT, PubSubPlace, PubSubServer
from tests.servers.rabbitmq import free_port, wait_until

pytestmark = pytest.mark.server

_numbers = itertools.count(1)


class Lane:
    """A topic and a subscription of one test's own, and the feeds that read it."""

    def __init__(self, place: PubSubPlace, **options: Any) -> None:
        self.place = place
        self.name = f"lane{next(_numbers)}"
        self.options = {"ack_deadline_seconds": 10, **options}
        self.feeds: list[PubSubFeed] = []
        self.create()

    def create(self) -> None:
        self.place.subscribe(self.name, self.name, **self.options)

    def feed(self, **changes: Any) -> PubSubFeed:
        given = {
            "project": PROJECT,
            "subscriptions": [self.name],
            "endpoint": self.place.endpoint,
            "backoff_min": 0.05,
            "backoff_max": 0.2,
        }
        feed = PubSubFeed(PubSubSettings.model_validate(given | changes))
        self.feeds.append(feed)
        feed.open()
        return feed

    def publish(self, *messages: Any) -> None:
        self.place.publish(self.name, messages)


@pytest.fixture
def lanes() -> Iterator[Callable[..., Lane]]:
    made: list[Lane] = []

    def make(place: PubSubPlace, **options: Any) -> Lane:
        made.append(Lane(place, **options))
        return made[-1]

    yield make
    for feed in itertools.chain.from_iterable(lane.feeds for lane in made):
        feed.close()


@pytest.fixture
def lane(pubsub: PubSubPlace, lanes: Callable[..., Lane]) -> Lane:
    return lanes(pubsub)


@pytest.fixture
def own_lane(pstest: PubSubServer, lanes: Callable[..., Lane]) -> Lane:
    return lanes(pstest)


def taken(feed: PubSubFeed, count: int, seconds: float = 30.0) -> list[Payloads]:
    """Poll until so many bodies have come, and return them."""
    parts: list[Payloads] = []

    def enough() -> bool:
        part = feed.poll(0.1)
        parts.extend([part] if part else [])
        return sum(len(each.bodies) for each in parts) >= count

    wait_until(enough, f"{count} messages", seconds)
    return parts


def bodies(parts: list[Payloads]) -> list[bytes]:
    return [body for part in parts for body in part.bodies]


def stored(feed: PubSubFeed, parts: list[Payloads]) -> None:
    """Acknowledge, and wait until Pub/Sub has been told."""
    for part in parts:
        feed.ack(part.receipt)
    wait_until(lambda: feed.status()["unacknowledged"] == 0, "everything to be acknowledged")


def told(feed: PubSubFeed) -> str:
    return feed.status()["last_error"] or ""


def numbered(count: int) -> list[bytes]:
    return [b"message %d" % number for number in range(count)]


def test_every_message_comes_once_and_no_more_once_it_is_acknowledged(lane: Lane) -> None:
    lane.publish(*numbered(3000))
    feed = lane.feed()
    parts = taken(feed, 3000)
    assert sorted(bodies(parts)) == sorted(numbered(3000))
    stored(feed, parts)
    assert feed.status() == {
        "connected": True,
        "last_error": None,
        "subscriptions": [f"projects/{PROJECT}/subscriptions/{lane.name}"],
        "unacknowledged": 0,
        "acknowledged_too_late": 0,
    }
    feed.close()
    assert lane.place.pull(lane.name) == []


def test_what_was_not_acknowledged_is_given_back_at_once(lane: Lane) -> None:
    lane.publish(*numbered(20))
    feed = lane.feed(pulls=1)
    parts = taken(feed, 20)
    feed.ack(parts[0].receipt)
    feed.close()
    feed.close()
    left = sorted(bodies(parts[1:]))
    again = taken(lane.feed(), len(left), seconds=5)
    assert sorted(bodies(again)) == left


def test_a_feed_reads_several_subscriptions(lane: Lane, lanes: Callable[..., Lane]) -> None:
    other = lanes(lane.place)
    full = f"projects/{PROJECT}/subscriptions/{other.name}"
    feed = lane.feed(subscriptions=[lane.name, full], pulls=2)
    lane.publish(b"one")
    other.publish(b"other")
    parts = taken(feed, 2)
    assert sorted(bodies(parts)) == [b"one", b"other"]
    stored(feed, parts)


def test_messages_stay_ours_while_they_wait_for_their_sink(own_lane: Lane) -> None:
    """Their subscription would have them again after 2 s."""
    server = own_lane.place
    assert isinstance(server, PubSubServer)
    own_lane.place.subscribe(own_lane.name, "impatient", ack_deadline_seconds=2)
    own_lane.publish(*numbered(50))
    feed = own_lane.feed(subscriptions=["impatient"], extend_after=0.5, ack_deadline=10)
    parts = taken(feed, 50)
    held_until = time.monotonic() + 4
    while time.monotonic() < held_until:
        assert feed.poll(0.2) is None
    counts = server.counts()
    assert counts["modacks"] >= 50
    assert counts["deliveries"] == 50
    stored(feed, parts)


def test_messages_that_wait_to_be_polled_stay_ours_too_and_no_more_are_pulled(
    own_lane: Lane,
) -> None:
    server = own_lane.place
    assert isinstance(server, PubSubServer)
    own_lane.place.subscribe(own_lane.name, "impatient", ack_deadline_seconds=2)
    large = [b"%03d" % number + b"x" * 10**6 for number in range(60)]
    own_lane.publish(*large)
    feed = own_lane.feed(subscriptions=["impatient"], extend_after=0.5, ack_deadline=10, pulls=1)
    parts = taken(feed, 10)  # the first answer; now the feed knows how large messages are
    wait_until(lambda: server.counts()["modacks"] >= 28, "deadlines to be extended twice")
    assert feed.status()["unacknowledged"] == 14  # an answer more, of 4 MiB
    assert server.counts()["deliveries"] == 14
    parts += taken(feed, 50)
    assert sorted(bodies(parts)) == sorted(large)
    stored(feed, parts)


def test_messages_of_one_ordering_key_come_in_their_order(
    pubsub: PubSubPlace, lanes: Callable[..., Lane]
) -> None:
    lane = lanes(pubsub, enable_message_ordering=True)
    keys = ("a", "b", "c")
    lane.publish(
        *(
            {"data": b"%s %d" % (key.encode(), number), "ordering_key": key}
            for number in range(10)
            for key in keys
        )
    )
    feed = lane.feed()
    came: list[bytes] = []
    while len(came) < 30:
        (part,) = taken(feed, 1)
        came += part.bodies
        feed.ack(part.receipt)
    for key in keys:
        own = [body for body in came if body.startswith(key.encode())]
        assert own == [b"%s %d" % (key.encode(), number) for number in range(10)]


def test_an_exactly_once_subscription_is_acknowledged_again_until_it_is_taken(
    pstest: PubSubServer, lanes: Callable[..., Lane]
) -> None:
    lane = lanes(pstest, enable_exactly_once_delivery=True)
    lane.publish(*numbered(5))
    feed = lane.feed()
    parts = taken(feed, 5)
    pstest.fail(
        "Acknowledge",
        grpc.StatusCode.FAILED_PRECONDITION,
        times=2,
        reason="TRANSIENT_FAILURE_UNORDERED_ACK_ID",
    )
    stored(feed, parts)
    assert pstest.counts()["acks"] == 5
    assert feed.status()["acknowledged_too_late"] == 0


def test_an_acknowledgement_that_comes_too_late_is_counted_and_the_message_comes_again(
    pstest: PubSubServer, lanes: Callable[..., Lane]
) -> None:
    lane = lanes(pstest, enable_exactly_once_delivery=True, ack_deadline_seconds=1)
    lane.publish(b"slow")
    feed = lane.feed(extend_after=60)
    first = taken(feed, 1)
    pstest.fail(
        "Acknowledge",
        grpc.StatusCode.FAILED_PRECONDITION,
        reason="PERMANENT_FAILURE_INVALID_ACK_ID",
    )
    stored(feed, first)
    assert feed.status()["acknowledged_too_late"] == 1
    again = taken(feed, 1)
    assert bodies(again) == [b"slow"]
    stored(feed, again)
    assert pstest.counts()["acks"] == 1


def test_acknowledgements_that_fail_for_a_while_are_told_and_tried_again(
    own_lane: Lane,
) -> None:
    server = own_lane.place
    assert isinstance(server, PubSubServer)
    own_lane.publish(*numbered(5))
    feed = own_lane.feed()
    parts = taken(feed, 5)
    server.fail("Acknowledge", grpc.StatusCode.UNAVAILABLE, times=2)
    for part in parts:
        feed.ack(part.receipt)
        feed.ack(part.receipt)
    wait_until(lambda: "UNAVAILABLE: told to" in told(feed), "the trouble to be told")
    wait_until(lambda: told(feed) == "", "the trouble to be over")
    assert feed.status()["unacknowledged"] == 0
    assert server.counts()["acks"] == 5


def test_a_server_that_goes_away_is_told_and_joined_again(own_lane: Lane) -> None:
    server = own_lane.place
    assert isinstance(server, PubSubServer)
    feed = own_lane.feed()
    own_lane.publish(b"before")
    stored(feed, taken(feed, 1))
    server.stop()
    wait_until(lambda: not feed.status()["connected"], "the loss to be told")
    wait_until(lambda: "UNAVAILABLE" in told(feed), "the reason to be told")
    assert feed.poll(0.01) is None
    server.start()
    own_lane.create()
    own_lane.publish(b"after")
    parts = taken(feed, 1)
    assert bodies(parts) == [b"after"]
    wait_until(lambda: feed.status()["connected"], "the feed to connect again")
    stored(feed, parts)


def test_a_subscription_that_is_not_there_is_named_and_read_once_it_is(lane: Lane) -> None:
    feed = lane.feed(subscriptions=["later"])
    name = f"projects/{PROJECT}/subscriptions/later"
    wait_until(lambda: f"{name}: NOT_FOUND" in told(feed), "it to be named")
    assert not feed.status()["connected"]
    lane.place.subscribe(lane.name, "later", ack_deadline_seconds=10)
    lane.publish(b"now")
    parts = taken(feed, 1)
    assert bodies(parts) == [b"now"]
    stored(feed, parts)
    wait_until(lambda: feed.status()["connected"], "the feed to be well")


def test_nobody_there_is_no_error_at_the_start() -> None:
    feed = PubSubFeed(
        PubSubSettings.model_validate(
            {
                "subscriptions": ["any"],
                "project": PROJECT,
                "endpoint": f"http://127.0.0.1:{free_port()}",
            }
        )
    )
    feed.open()
    wait_until(lambda: "UNAVAILABLE" in told(feed), "it to be told")
    assert feed.poll(0.01) is None
    feed.close()
    assert feed.status()["last_error"] == "closed"


def test_a_cloudevent_in_binary_mode_arrives_as_a_structured_one(lane: Lane) -> None:
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/racks/7",
        "ce-type": "com.example.used",
        "content-type": "application/json",
    }
    lane.publish(
        {"data": b'{"seconds": 3}', "attributes": attributes},
        {"data": b"plain", "attributes": {"origin": "elsewhere"}},
    )
    feed = lane.feed()
    parts = taken(feed, 2)
    event, plain = sorted(bodies(parts), reverse=True)
    assert plain == b"plain"
    assert json.loads(event) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/racks/7",
        "type": "com.example.used",
        "datacontenttype": "application/json",
        "data": {"seconds": 3},
    }
    stored(feed, parts)


def test_a_payload_that_is_refused_never_reaches_the_dead_letter_topic(
    pstest: PubSubServer, lanes: Callable[..., Lane]
) -> None:
    pstest.subscribe("dead", "dead", ack_deadline_seconds=10)
    topic = f"projects/{PROJECT}/topics/dead"
    policy = {"dead_letter_topic": topic, "max_delivery_attempts": 5}
    lane = lanes(pstest, dead_letter_policy=policy)
    before = pstest.settings_of(lane.name)
    lane.publish(b"no JSON", b"5")
    parts = taken(feed := lane.feed(), 2)
    decoded = Decoder(Decode()).decode("pubsub", bodies(parts), int(time.time() * 1000))
    assert sorted(decoded.invalid["payload"].to_pylist()) == [b"5", b"no JSON"]
    stored(feed, parts)
    feed.close()
    counts = pstest.counts()  # of all topics
    assert (counts["published"], counts["deliveries"], counts["acks"]) == (2, 2, 2)
    assert pstest.settings_of(lane.name) == before
    assert before.dead_letter_policy.dead_letter_topic == topic


def test_credentials_that_cannot_be_had_stop_the_feed_with_what_to_do(tmp_path: Path) -> None:
    def opened(**settings: Any) -> None:
        given = {"subscriptions": ["name"], "project": "p", **settings}
        PubSubFeed(PubSubSettings.model_validate(given)).open()

    missing = tmp_path / "none.json"
    with pytest.raises(FeedError, match=rf"feed pubsub: no Google credentials from {missing}: "):
        opened(credentials=missing)
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(FeedError, match=rf"feed pubsub: no Google credentials from {broken}: "):
        opened(credentials=broken)
    with pytest.raises(FeedError, match=r"which project is subscriptions/name in\? Set project"):
        opened(project=None, endpoint="http://127.0.0.1:1")


def test_an_emulator_is_found_in_the_environment(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", lane.place.address)
    lane.publish(b"one")
    feed = lane.feed(endpoint=None)
    parts = taken(feed, 1)
    assert bodies(parts) == [b"one"]
    stored(feed, parts)


def test_credentials_say_which_project_and_are_for_tls(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "theirs",
        "client_email": "streamgauge@theirs.example.org",
        "private_key": key.decode(),
        "token_uri": "http://127.0.0.1:1/token",
    }
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    settings = {
        "subscriptions": ["name"],
        "credentials": file,
        "endpoint": f"127.0.0.1:{free_port()}",
    }
    feed = PubSubFeed(PubSubSettings.model_validate(settings))
    feed.open()
    assert feed.status()["subscriptions"] == ["projects/theirs/subscriptions/name"]
    wait_until(lambda: "UNAVAILABLE" in told(feed), "nobody there to be told")
    feed.close()


@pytest.mark.parametrize(
    "change",
    [
        {"subscriptions": []},
        {"subscriptions": ["x"]},
        {"subscriptions": ["projects/p/topics/name"]},
        {"endpoint": "https://pubsub.example.org"},
        {"endpoint": "host:port"},
        {"ack_deadline": 5},
        {"pulls": 0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        PubSubSettings.model_validate({"subscriptions": ["name"], **change})


CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
REASONS = ["TRANSIENT_FAILURE_X", "PERMANENT_FAILURE_INVALID_ACK_ID", "PERMANENT_FAILURE_OTHER"]
_ids = st.text("abc", min_size=1, max_size=3)


@given(
    st.sampled_from(CODES),
    st.lists(_ids, unique=True),
    st.dictionaries(_ids, st.sampled_from(REASONS)),
)
def test_each_refused_acknowledgement_is_tried_again_or_lost(
    code: grpc.StatusCode, ack_ids: list[str], reasons: dict[str, str]
) -> None:
    info = ErrorInfo(metadata=reasons)
    again, lost = sorted_out(ack_ids, from_grpc_status(code, "", error_info=info))
    assert again | lost == set(ack_ids)
    assert not again & lost
    named = {ack_id for ack_id in ack_ids if ack_id in reasons}
    assert again & named == {ack_id for ack_id in named if reasons[ack_id] == REASONS[0]}
    others = set(ack_ids) - named
    assert others <= again or others <= lost


def test_a_lease_is_due_until_its_last_message_is_settled() -> None:
    leases = Leases()
    first = leases.add("s", ["a", "b"], due=5)
    second = leases.add("t", ["c"], due=9)
    assert leases.due(now=4, again=14) == []
    (due,) = leases.due(now=6, again=16)
    assert (due.subscription, due.ack_ids) == ("s", ["a", "b"])
    assert leases.settle([first, second], left={"b"}) == [first]
    assert leases.settle([second], left=set()) == []
    assert leases.ack_ids([first, second]) == {"s": ["b"]}
    assert leases.messages() == 1
    assert [lease.ack_ids for lease in leases.due(now=17, again=27)] == [["b"]]


@given(st.integers(1, 10**6), st.floats(0.01, 10), st.floats(10, 100))
def test_pauses_grow_up_to_their_bound(failures: int, least: float, most: float) -> None:
    assert least / 2 <= pause(failures, least, most) <= most
    assert pause(1, least, most) <= least


def test_data_that_is_no_json_survives_the_way(lane: Lane) -> None:
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "content-type": "application/json"}
    lane.publish({"data": b"\xff", "attributes": attributes})
    (part,) = parts = taken(feed := lane.feed(), 1)
    assert base64.b64decode(json.loads(part.bodies[0])["data_base64"]) == b"\xff"
    stored(feed, parts)
