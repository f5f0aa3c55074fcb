"""pubsub:// and amqp:// against real servers, log:// and test://."""

import dataclasses
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pydantic
import pytest

from metering.alarms.attempts import Outcome
from metering.alarms.settings import Actions, AmqpActions, PubSubActions
from metering.alarms.transitions import Delivery
from sinks.exchanges import Exchanges
from sinks.log_action import Kept, Logged
from sinks.topics import Topics
from store.client import Store
from tests.delivering import delivering, transition
from tests.servers.pubsub import PROJECT, PubSubPlace, PubSubServer
from tests.servers.rabbitmq import RabbitServer, connect

_numbers = itertools.count(1)
BODY = '{"alarm_name":"high","current":"alarm"}'


def delivery(action: str, number: int = 1) -> Delivery:
    return Delivery(
        id=f"id-{number}",
        transition_id="t",
        alarm_id="a",
        project_id="p",
        sequence=number,
        created_at=0,
        action=action,
        receiver="r",
        body=BODY,
    )


@pytest.fixture
def topic() -> str:
    return f"alarms{next(_numbers)}"


def topics(endpoint: str, *names: str, timeout: float = 10.0) -> Topics:
    return Topics(PubSubActions(topics=[*names], project=PROJECT, endpoint=endpoint), timeout)


@pytest.mark.server
def test_a_transition_is_published_to_its_topic(pubsub: PubSubPlace, topic: str) -> None:
    pubsub.subscribe(topic, f"{topic}-s", ack_deadline_seconds=10)
    found = topics(pubsub.endpoint, topic)
    assert found.send(delivery(f"pubsub://{topic}")) == Outcome()
    found.close()
    (message,) = pubsub.pull(f"{topic}-s")
    assert message.data == BODY.encode()
    assert message.ordering_key == "a"
    assert dict(message.attributes) == {
        "idempotency-key": "id-1",
        "alarm_id": "a",
        "x-openstack-request-id": "req-id-1",
    }


@pytest.mark.server
def test_only_named_topics_are_published_to_unless_any_is(pubsub: PubSubPlace, topic: str) -> None:
    pubsub.subscribe(topic, f"{topic}-s", ack_deadline_seconds=10)
    refused = topics(pubsub.endpoint, "other").send(delivery(f"pubsub://{topic}"))
    assert refused == Outcome(
        f"no alarm may publish to {topic} (alarms.actions.pubsub.topics)", hopeless=True
    )
    found = topics(pubsub.endpoint, "*")
    full = f"pubsub://projects/{PROJECT}/topics/{topic}"
    assert found.send(delivery(full)) == Outcome()
    found.close()
    assert len(pubsub.pull(f"{topic}-s")) == 1


@pytest.mark.server
def test_a_topic_that_is_not_there_and_a_failure_are_told(pstest: PubSubServer, topic: str) -> None:
    found = topics(pstest.endpoint, "*")
    missing = found.send(delivery(f"pubsub://{topic}"))
    assert (missing.status, missing.hopeless) == (404, False)
    assert missing.error.startswith(f"{topic}: NOT_FOUND")
    pstest.subscribe(topic, f"{topic}-s", ack_deadline_seconds=10)
    pstest.fail("Publish", grpc.StatusCode.UNAVAILABLE)
    assert found.send(delivery(f"pubsub://{topic}")) == Outcome(f"{topic}: UNAVAILABLE: told to")
    assert found.send(delivery(f"pubsub://{topic}")) == Outcome()
    pstest.stop()
    gone = topics(pstest.endpoint, "*", timeout=0.5).send(delivery(f"pubsub://{topic}"))
    assert gone.error
    found.close()


def test_credentials_that_are_not_there_are_told(tmp_path: Path) -> None:
    settings = PubSubActions(topics=["*"], credentials=tmp_path / "none.json")
    outcome = Topics(settings, 1.0).send(delivery("pubsub://topic"))
    assert outcome.error.startswith(f"no Google credentials from {tmp_path / 'none.json'}")


class Lane:
    """An exchange and a queue of one test's own."""

    def __init__(self, server: RabbitServer) -> None:
        self.server = server
        self.exchange = f"alarms{next(_numbers)}"
        with connect(server.url) as connection:
            channel = connection.channel()
            channel.exchange_declare(self.exchange, "topic", auto_delete=False)
            channel.queue_declare(self.exchange, durable=True, auto_delete=False)
            channel.queue_bind(self.exchange, self.exchange, "scale")

    def exchanges(self, *names: str, timeout: float = 10.0, **settings: Any) -> Exchanges:
        plain = {"url": self.server.url, "exchanges": [*names] or [self.exchange]}
        return Exchanges(AmqpActions(**plain | settings), timeout)

    def messages(self) -> list[Any]:
        with connect(self.server.url) as connection:
            channel = connection.channel()
            return list(iter(lambda: channel.basic_get(self.exchange, no_ack=True), None))


@pytest.fixture
def lane(rabbitmq: RabbitServer) -> Iterator[Lane]:
    found = Lane(rabbitmq)
    yield found
    with connect(rabbitmq.url) as connection:
        connection.channel().queue_delete(found.exchange)


@pytest.mark.server
def test_a_transition_is_published_to_its_exchange_and_confirmed(lane: Lane) -> None:
    found = lane.exchanges()
    for number in (1, 2):
        assert found.send(delivery(f"amqp://{lane.exchange}/scale", number)) == Outcome()
    found.close()
    first, second = lane.messages()
    assert (first.body, first.content_type, first.delivery_mode) == (
        BODY.encode(),
        "application/json",
        2,
    )
    assert (first.message_id, second.message_id) == ("id-1", "id-2")
    assert first.headers == {"x-openstack-request-id": "req-id-1"}


@pytest.mark.server
def test_what_no_queue_takes_and_what_may_not_be_published_to_is_told(lane: Lane) -> None:
    found = lane.exchanges(lane.exchange, "missing")
    nowhere = found.send(delivery(f"amqp://{lane.exchange}/elsewhere"))
    assert (nowhere.status, nowhere.error) == (
        404,
        f"{lane.exchange}: elsewhere comes back: 312 NO_ROUTE",
    )
    missing = found.send(delivery("amqp://missing/scale"))
    assert missing.error.startswith("missing: 404 ")
    assert "no exchange 'missing'" in missing.error
    assert found.send(delivery(f"amqp://{lane.exchange}/scale")) == Outcome()
    refused = found.send(delivery("amqp://nova/notifications.info"))
    assert refused == Outcome(
        "no alarm may publish to nova (alarms.actions.amqp.exchanges)", hopeless=True
    )
    found.close()


@pytest.mark.server
def test_a_broker_that_comes_back_is_joined_again(second_rabbitmq: RabbitServer) -> None:
    second_rabbitmq.start()
    lane = Lane(second_rabbitmq)
    found = lane.exchanges("*")
    action = f"amqp://{lane.exchange}/scale"
    assert found.send(delivery(action)) == Outcome()
    second_rabbitmq.stop()
    assert found.send(delivery(action)).error
    away = found.send(delivery(action))
    assert away.error == f"{lane.exchange}: Connection refused"
    second_rabbitmq.start()
    with connect(second_rabbitmq.url) as connection:
        channel = connection.channel()
        channel.exchange_declare(lane.exchange, "topic", auto_delete=False)
        channel.queue_bind(lane.exchange, lane.exchange, "scale")
    assert found.send(delivery(action, 2)) == Outcome()
    found.close()
    assert [message.message_id for message in lane.messages()] == ["id-1", "id-2"]


@pytest.mark.server
def test_a_broker_by_tls_must_be_trusted(rabbitmq: RabbitServer, certificates: Path) -> None:
    lane = Lane(rabbitmq)
    action = f"amqp://{lane.exchange}/scale"
    trusting = lane.exchanges(url=rabbitmq.tls_url, ca=certificates / "ca.pem")
    assert trusting.send(delivery(action)) == Outcome()
    trusting.close()
    wary = lane.exchanges(url=rabbitmq.tls_url, ca=certificates / "other-ca.pem")
    assert "its certificate is not trusted" in wary.send(delivery(action)).error
    assert len(lane.messages()) == 1


@pytest.mark.parametrize(
    "url", ["http://u:p@host/", "amqp://host/", "amqp://user@host/", "amqp:///vhost"]
)
def test_an_address_of_a_broker_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="amqp\\(s\\)://user:password@host"):
        AmqpActions.model_validate({"url": url})
    assert "secret" not in repr(AmqpActions.model_validate({"url": "amqp://u:secret@host/"}))


def test_log_writes_a_line_that_nothing_can_be_smuggled_into(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with delivering(store, {"log": Logged()}) as bench:
        bench.change(transition(1, "a", "log://", alarm_name="high\nroot logged in"))
        bench.await_states(delivered=1)
    lines = [record.getMessage() for record in caplog.records if record.name == "sinks.log_action"]
    assert lines == ["alarm 'high\\nroot logged in' (a, low) went from ok to alarm: 'transition 1'"]


def test_test_keeps_what_it_is_given_for_tests(store: Store) -> None:
    kept = Kept()
    with delivering(store, {"test": kept}) as bench:
        deliveries = bench.change(*(transition(number, "a", "test://") for number in (1, 2)))
        bench.await_states(delivered=2)
    assert list(kept.deliveries) == [
        dataclasses.replace(one, next_attempt_at=one.created_at) for one in deliveries
    ]
    assert Actions().pubsub.topics == Actions().amqp.exchanges == []
