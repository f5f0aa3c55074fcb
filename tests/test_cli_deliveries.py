"""`streamgauge alarm deliveries`, `delivery show` and `resend` against the real API, over HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.main import main
from metering.alarms.attempts import Outcome, attempted
from metering.alarms.transitions import Delivery
from metering.config import Config
from store.alarm_states import write_transitions
from store.client import Store
from store.deliveries import pending_deliveries, write_attempts
from tests.api import RecordingSpool
from tests.delivering import AT, transition
from webapi.app import create_app
from webapi.serving import serve

Ask = Callable[..., Any]


@pytest.fixture
def ask(store: Store, capsys: pytest.CaptureFixture[str]) -> Iterator[Ask]:
    serving = serve(create_app(Config(), store, RecordingSpool(), dict), "127.0.0.1:0", 2)

    def call(*arguments: str) -> Any:
        code = main(["--api-url", f"http://{serving.address}", *arguments, "-f", "json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)

    yield call
    serving.close()


@pytest.fixture
def dead(store: Store) -> list[Delivery]:
    """Two deliveries of alarm `a` that are dead, and one that is pending."""
    made = write_transitions(
        store, [transition(n, "a", "http://host/", at=AT + n) for n in (1, 2, 3)]
    )
    never = Outcome("never", hopeless=True)
    ended = [attempted(one, never, AT + 10, 0.25, 1.0, 60.0) for one in made[:2]]
    write_attempts(store, ended)
    return [one for one, _ in ended]


def test_deliveries_are_listed(ask: Ask, dead: list[Delivery]) -> None:
    rows = ask("alarm", "deliveries", "a", "--state", "dead")
    assert [(row["delivery_id"], row["attempts"], row["last_error"]) for row in rows] == [
        (dead[1].id, 1, "never"),
        (dead[0].id, 1, "never"),
    ]
    assert len(ask("alarm", "deliveries", "a")) == 3
    assert len(ask("alarm", "deliveries", "a", "--limit", "1")) == 1


def test_one_delivery_is_shown_with_its_attempts(ask: Ask, dead: list[Delivery]) -> None:
    found = ask("alarm", "delivery", "show", "a", dead[0].id)
    assert (found["state"], found["body.alarm_id"]) == ("dead", "a")
    assert [one["error"] for one in found["attempts_made"]] == ["never"]


def test_one_or_all_that_are_dead_are_sent_again(
    ask: Ask, store: Store, dead: list[Delivery]
) -> None:
    assert ask("alarm", "resend", "a", dead[1].id) == {"resent": 1}
    assert ask("alarm", "resend", "a", "--dead") == {"resent": 1}
    assert ask("alarm", "resend", "a", "--dead") == {"resent": 0}
    found, _ = pending_deliveries(store, 0, 10)
    assert [one.sequence - AT * 1000 for one in found] == [1, 2, 3]


@pytest.mark.parametrize("arguments", [(), ("x", "--dead")])
def test_what_to_send_again_must_be_said_one_way(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(["alarm", "resend", "a", *arguments]) == 2
    assert capsys.readouterr().err == "alarm resend: give either ids or --dead\n"
