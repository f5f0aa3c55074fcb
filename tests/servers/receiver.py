"""A receiver of webhooks that answers, fails, hangs and resets as it is told, and keeps what it got."""

import contextlib
import dataclasses
import http.server
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from tests.servers.rabbitmq import free_port, wait_until

RESET: Final = "reset"
HANG: Final = "hang"
DRIP: Final = "drip"  # a byte now and then, for ever
BABBLE: Final = "babble"  # what is no HTTP

Answer = int | str  # a status, or one of the above


@dataclasses.dataclass(frozen=True)
class Call:
    """One request, as it came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    answer: Answer

    @property
    def json(self) -> dict[str, Any]:
        """The body, read."""
        found: dict[str, Any] = orjson.loads(self.body)
        return found

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self.headers["idempotency-key"]


class Receiver:
    """An HTTP server of a test on loopback; `answers` decides on each call, 200 where it says nothing.

    What hangs does so until `release` or the end.
    """

    def __init__(self, answers: Callable[[Call], Answer] | None = None) -> None:
        self.answers = answers or (lambda _: 200)
        self.port = free_port()
        self.calls: list[Call] = []
        self.released = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Where it is, without a slash."""
        return f"{self.scheme}://localhost:{self.port}"

    @property
    def arrived(self) -> list[Call]:
        """The calls that were answered with success."""
        return [call for call in self.calls if call.answer == 200]

    def start(self, certificates: Path | None = None, mutual: bool = False) -> None:
        """Listen, by TLS where there are certificates; `mutual` asks for the caller's too."""
        server = self._server = _Server(("127.0.0.1", self.port), _handler(self))
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
            context.load_verify_locations(certificates / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.scheme = "https"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; connections are refused then."""
        self.released.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def await_calls(self, count: int, seconds: float = 20.0) -> None:
        """Wait until so many calls have come."""
        wait_until(lambda: len(self.calls) >= count, f"{count} calls, got {self.calls}", seconds)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent: broken connections are what tests are about."""


def _handler(receiver: Receiver) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.path, headers, self.rfile.read(length), 0)
            call = dataclasses.replace(call, answer=receiver.answers(call))
            receiver.calls.append(call)
            self._answer(call.answer)

        def _answer(self, answer: Answer) -> None:
            if answer == RESET:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
            elif answer == HANG:
                receiver.released.wait(60)
                self.close_connection = True
            elif answer == BABBLE:
                self.wfile.write(b"SSH-2.0-secret\r\n")
                self.close_connection = True
            elif answer == DRIP:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not receiver.released.wait(0.05):
                    self.wfile.write(b"x")
            else:
                self.send_response(int(answer))
                if 300 <= int(answer) < 400:
                    self.send_header("Location", f"{receiver.url}/redirected")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    return Handler


@contextlib.contextmanager
def receiving(
    answers: Callable[[Call], Answer] | None = None,
    certificates: Path | None = None,
    mutual: bool = False,
) -> Iterator[Receiver]:
    """Give a receiver that listens."""
    receiver = Receiver(answers)
    receiver.start(certificates, mutual)
    try:
        yield receiver
    finally:
        receiver.stop()
