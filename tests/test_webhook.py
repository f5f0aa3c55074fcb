"""Webhooks as Aodh sends them, and what they may not reach."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metering.alarms.attempts import Outcome
from metering.alarms.settings import Actions
from metering.alarms.transitions import Delivery
from metering.alarms.trusts import TrustsError
from sinks.webhook import TlsError, Tokens, Webhooks
from tests.servers.receiver import BABBLE, DRIP, HANG, RESET, Receiver, receiving

BODY = '{"alarm_name":"high","current":"alarm"}'
HERE = ["127.0.0.0/8", "::1/128"]
REFUSED = Outcome("the host's address is one that actions may not call", hopeless=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def delivery(action: str) -> Delivery:
    return Delivery(
        id="0d7f",
        transition_id="t",
        alarm_id="a",
        project_id="p",
        sequence=1,
        created_at=0,
        action=action,
        receiver="r",
        body=BODY,
    )


def send(
    *actions: str,
    lookup: Callable[..., Any] | None = None,
    tokens: Tokens | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Return what becomes of calls, one after the other; `lookup` answers instead of the resolver."""

    async def calls() -> list[Outcome]:
        if lookup is not None:
            asyncio.get_running_loop().getaddrinfo = lookup  # type: ignore[method-assign]
        webhooks = Webhooks(Actions(**{"allow": HERE, "timeout": 5.0} | settings), tokens)
        await webhooks.open("streamgauge/1.0")
        try:
            return [await webhooks.send(delivery(action)) for action in actions]
        finally:
            await webhooks.close()

    return asyncio.run(calls())


def test_the_body_and_headers_are_aodhs_and_the_key_names_the_delivery(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/scale?x=1") == [Outcome(status=200)]
    (call,) = receiver.calls
    assert (call.path, call.body) == ("/scale?x=1", BODY.encode())
    assert call.headers == {
        "host": f"localhost:{receiver.port}",
        "user-agent": "streamgauge/1.0",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "x-openstack-request-id": "req-0d7f",
        "idempotency-key": "0d7f",
    }


def test_a_signed_url_is_sent_as_it_was_written(receiver: Receiver) -> None:
    signed = "/v1/signal/arn%3Aopenstack%3A%2Fstacks/x?Timestamp=2026-11-22T10%3A00%3A00Z&Signature=a%2Bb%2Fc%3D&y=+"
    send(f"http://user:p%40ss@127.0.0.1:{receiver.port}{signed}")
    (call,) = receiver.calls
    assert call.path == signed
    assert call.headers["authorization"] == "Basic dXNlcjpwQHNz"


def test_what_is_no_part_of_a_url_cannot_add_a_header(receiver: Receiver) -> None:
    send(f"{receiver.url}/a b\r\nX-Roles: admin?ü#fragment")
    (call,) = receiver.calls
    assert call.path == "/a%20bX-Roles:%20admin?%C3%BC"
    assert "x-roles" not in call.headers


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (500, "500 Internal Server Error"),
        (404, "404 Not Found"),
        (299, ""),
        (599, "599 unknown status"),
    ],
)
def test_the_status_decides(receiver: Receiver, answer: int, told: str) -> None:
    receiver.answers = lambda _: answer
    assert send(receiver.url) == [Outcome(told, answer)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = lambda call: 200 if call.path == "/redirected" else status
    (outcome,) = send(receiver.url)
    assert (outcome.status, outcome.error.endswith("; redirects are not followed")) == (
        status,
        True,
    )
    assert [call.path for call in receiver.calls] == ["/"]


def test_one_that_hangs_or_answers_for_ever_is_left_in_time(receiver: Receiver) -> None:
    for answer in (HANG, DRIP):
        receiver.answers = lambda _, answer=answer: answer
        assert send(receiver.url, timeout=0.3) == [Outcome("no answer in 0.3 s")]


def test_one_that_resets_or_is_not_there_is_told(receiver: Receiver) -> None:
    receiver.answers = lambda _: RESET
    (reset,) = send(receiver.url)
    assert (reset.status, reset.hopeless) == (0, False)
    assert reset.error in (
        "Connection reset by peer",
        "the connection was closed without an answer",
    )
    receiver.stop()
    assert send(receiver.url) == [Outcome("Connection refused")]
    assert send("http://nobody.invalid/") == [Outcome("no such host")]


def test_nothing_is_told_of_what_does_not_speak_http(receiver: Receiver) -> None:
    receiver.answers = lambda _: BABBLE
    assert send(receiver.url) == [Outcome("what answered does not speak HTTP")]
    assert send(receiver.url.replace("http", "https")) == [Outcome("TLS failed")]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://localhost/",
        "https://localhost/",
    ],
)
def test_this_machine_and_metadata_are_refused(url: str) -> None:
    assert send(url, allow=[]) == [REFUSED]


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost."])
def test_no_way_of_writing_an_address_leads_here(receiver: Receiver, host: str) -> None:
    (outcome,) = send(f"http://{host}:{receiver.port}/", allow=[])
    assert outcome.hopeless or outcome.error == "no such host"
    assert receiver.calls == []


def answering(*addresses: str) -> Callable[..., Any]:
    """Return a resolver that answers each question with the next of these, and the last for ever."""
    left = list(addresses)

    async def lookup(host: str, port: int, **_: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found.split()]

    return lookup


def test_a_name_that_leads_here_is_refused(receiver: Receiver) -> None:
    url = f"http://innocent.example:{receiver.port}/"
    assert send(url, lookup=answering("127.0.0.1"), allow=[]) == [REFUSED]
    assert send(url, lookup=answering("169.254.169.254 127.0.0.1"), allow=[]) == [REFUSED]
    assert receiver.calls == []


def test_a_name_that_changes_its_address_is_checked_at_each_connection(receiver: Receiver) -> None:
    lookup = answering("127.0.0.1", "127.0.0.2")
    urls = [f"http://rebinding{n}.example:{receiver.port}/" for n in range(2)]
    assert send(*urls, lookup=lookup, refuse=["127.0.0.2"], allow=[]) == [
        Outcome(status=200),
        REFUSED,
    ]
    assert len(receiver.calls) == 1


def test_of_a_names_addresses_only_those_are_called_that_may_be(receiver: Receiver) -> None:
    url = f"http://both.example:{receiver.port}/"
    lookup = answering("127.0.0.2 127.0.0.1")
    assert send(url, lookup=lookup, refuse=["127.0.0.2"], allow=[]) == [Outcome(status=200)]


def test_https_needs_a_certificate_that_is_trusted(certificates: Path) -> None:
    untrusted = Outcome("its certificate is not trusted")
    with receiving(certificates=certificates) as found:
        other_name = found.url.replace("localhost", "127.0.0.1")
        assert send(found.url) == [untrusted]
        assert send(found.url, ca=certificates / "other-ca.pem") == [untrusted]
        assert send(other_name, ca=certificates / "ca.pem") == [untrusted]
        assert send(found.url, ca=certificates / "ca.pem") == [Outcome(status=200)]
        assert len(found.calls) == 1


def test_the_url_says_whether_a_certificate_is_looked_at_or_else_the_configuration(
    certificates: Path,
) -> None:
    with receiving(certificates=certificates) as found:
        strict = f"{found.url}/?aodh-alarm-ssl-verify=1"
        lax = f"{found.url}/?aodh-alarm-ssl-verify=0"
        outcomes = send(strict, lax) + send(strict, found.url, verify=False)
        assert [one.status for one in outcomes] == [0, 200, 0, 200]
        assert found.calls[0].path == "/?aodh-alarm-ssl-verify=0"


def test_our_own_certificate_is_shown_where_it_is_asked_for(certificates: Path) -> None:
    ours = {"cert": certificates / "client.pem", "key": certificates / "client.key"}
    with receiving(certificates=certificates, mutual=True) as found:
        (anonymous,) = send(found.url, ca=certificates / "ca.pem")
        (known,) = send(found.url, ca=certificates / "ca.pem", **ours)
    assert (anonymous.status, known) == (0, Outcome(status=200))


def test_a_certificate_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"alarms\.actions\.ca, cert or key .*: No such file"):
        Webhooks(Actions(ca=tmp_path / "none.pem"))


def test_a_trust_without_a_cloud_is_told(receiver: Receiver) -> None:
    assert send(f"trust+http://T:delete@localhost:{receiver.port}/") == [
        Outcome("there is no trust, or no cloud (alarms.actions.cloud)")
    ]
    assert receiver.calls == []


class CountedTokens:
    """Makes tokens, another one each time it is asked for a new one."""

    def __init__(self) -> None:
        self.made = 1

    def token(self, trust_id: str) -> str:
        if trust_id == "gone":
            raise TrustsError("no token from Keystone")
        return f"{trust_id}-{self.made}"

    def forget(self, trust_id: str) -> None:
        self.made += 1


def test_a_token_goes_with_a_trust_and_another_after_it_was_refused(receiver: Receiver) -> None:
    receiver.answers = lambda call: 401 if call.headers["x-auth-token"] == "T-1" else 200
    url = f"trust+http://T:delete@localhost:{receiver.port}/signal"
    outcomes = send(url, url, url.replace("T:delete", "gone"), tokens=CountedTokens())
    assert outcomes == [
        Outcome("401 Unauthorized", 401),
        Outcome(status=200),
        Outcome("no token from Keystone"),
    ]
    assert [(call.path, call.headers["x-auth-token"]) for call in receiver.calls] == [
        ("/signal", "T-1"),
        ("/signal", "T-2"),
    ]
    assert "authorization" not in receiver.calls[0].headers
