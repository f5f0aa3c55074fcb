"""The URLs of actions: which are taken, and where a trust stands in them."""

import pytest

from metering.alarms.actions import (
    SCHEMES,
    parts_of,
    receiver_of,
    scrubbed,
    trust_id,
    with_trust,
)
from metering.alarms.faults import DefinitionError


@pytest.mark.parametrize(
    "action",
    [
        "log://",
        "test://",
        "http://host:8004/v1/signal?x=1#y",
        "https://host/?aodh-alarm-ssl-verify=0",
        "trust+http://host/",
        "trust+https://host/",
        "trust+heat://?stack_id=s&asg_id=g",
        "pubsub://topic",
        "amqp://exchange/topic",
    ],
)
def test_an_action_is_taken(action: str) -> None:
    assert parts_of(action).scheme in SCHEMES


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("ftp://host/", "Unsupported action ftp://host/"),
        ("http://", "Unable to parse action"),
        ("http://host:port/", "Unable to parse action"),
        ("http://[::1/", "Unable to parse action"),
        ("nothing", "Unsupported action nothing"),
        ("", "Unsupported action"),
        ("zaqar://?topic=x", "there is no Zaqar"),
        ("trust+zaqar://?queue_name=x", "there is no Zaqar"),
    ],
)
def test_an_action_is_refused(action: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as error:
        parts_of(action)
    assert reason in error.value.faultstring


@pytest.mark.parametrize("action", ["trust+http://host:1/a?b=c", "trust+heat://?stack_id=s"])
def test_a_trust_is_put_in_found_and_scrubbed(action: str) -> None:
    first, other = with_trust(action, "T", True), with_trust(action, "T", False)
    rest = action.partition("://")[2]
    assert first.endswith(f"://T:delete@{rest}")
    assert other.endswith(f"://T@{rest}")
    assert trust_id(first) == trust_id(other) == "T"
    assert scrubbed(first) == scrubbed(other) == scrubbed(action) == action
    assert trust_id(action) is None


@pytest.mark.parametrize(
    ("action", "receiver"),
    [
        ("http://Host/a?b", "host:80"),
        ("https://user:secret@host/", "host:443"),
        ("http://[fe80::1]:8080/", "fe80::1:8080"),
        ("trust+https://T:delete@host:8004/v1", "host:8004"),
        ("trust+heat://T@", "heat"),
        ("pubsub://topic", "pubsub"),
        ("amqp://exchange/topic", "amqp"),
        ("log://", "log"),
    ],
)
def test_a_receiver_is_a_host_with_its_port_or_all_there_is_of_a_kind(
    action: str, receiver: str
) -> None:
    assert receiver_of(action) == receiver


def test_what_is_no_trust_stays() -> None:
    assert scrubbed("http://user:secret@host/") == "http://user:secret@host/"
    assert trust_id("http://user@host/") is None
