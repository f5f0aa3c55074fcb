"""A TCP relay in front of a server, for tests: what the server answers can be held back, as if lost."""

import contextlib
import socket
import threading
from collections.abc import Iterator

_CHUNK = 65_536


class Relay:
    """Relays connections to a port of loopback; while it `holds`, no answer comes back."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answers = threading.Event()
        self._answers.set()
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Bring no answers any more."""
        self._answers.clear()

    def release(self) -> None:
        """Bring answers again, those that were held back first."""
        self._answers.set()

    def close(self) -> None:
        """End every connection, and take no more."""
        self.release()
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):  # ended already
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._behind))
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one of them is gone
            while some := one.recv(_CHUNK):
                if other in self._open[::2]:  # a client's
                    self._answers.wait()
                other.sendall(some)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Give a relay to this port."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()
