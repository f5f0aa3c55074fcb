"""A proxy in front of the API for tests: it ends TLS, wants a client's certificate and a password."""

import base64
import contextlib
import http.client
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

USER: Final = "agent"
PASSWORD: Final = "only-in-tests"
_WANTED: Final = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Proxy(http.server.ThreadingHTTPServer):
    """Hands requests on that have the password; counts those it refused."""

    daemon_threads = True

    def __init__(self, certificates: Path, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind = behind  # a port of loopback
        self.refused = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        context.load_verify_locations(certificates / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)


class _Request(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        """Hand a request on and its answer back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != _WANTED:
            self.server.refused += 1
            self._answer(401, b"")
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        with contextlib.closing(connection):
            kind = self.headers["Content-Type"]
            connection.request("POST", self.path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            self._answer(answer.status, answer.read())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def proxy(certificates: Path, behind: int) -> Iterator[Proxy]:
    """Run one at https://localhost for a while."""
    with Proxy(certificates, behind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
