"""Serving an application with waitress on a loopback address, in threads of this process."""

import dataclasses
import ipaddress
import socket
import threading
import time
from typing import Any, Final
from urllib.parse import urlsplit

import waitress
from flask import Flask
from waitress import wasyncore

_PATIENCE: Final = 5.0  # s; how long a request that is being served may still take


class ServingError(Exception):
    """An address cannot be listened on; says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs until it is closed."""

    address: str  # HOST:PORT as it came to be, also where port 0 was asked for
    _server: Any
    _thread: threading.Thread

    def close(self) -> None:
        """Finish the requests that are being served, then stop. Safe to call twice."""
        if not self._thread.is_alive():
            return
        self._server.task_dispatcher.shutdown(timeout=_PATIENCE)
        ended = time.monotonic() + _PATIENCE
        while not _sent(self._server) and time.monotonic() < ended:
            self._thread.join(0.01)
        everything = self._server._map  # waitress has no other way to let go of its connections
        trigger = self._server.trigger
        with trigger.lock:  # or a pull of another's has it closed before it is pulled here
            trigger.thunks.append(lambda: wasyncore.close_all(everything, ignore_all=True))
            trigger.pull_trigger()
        self._thread.join()


def _bodies(app: Flask) -> int:
    """Return how large a body is read in bytes: larger than the application's bound, so that its own
    answer is given, in its own shape."""
    bound: int | None = app.config.get("MAX_CONTENT_LENGTH")
    return 4 * bound if bound else 1024**3


def _sent(server: Any) -> bool:
    return not any(channel.total_outbufs_len for channel in [*server.active_channels.values()])


def check_loopback(listen: str) -> tuple[str, int]:
    """Return host and port of an address on this machine alone. Raises ServingError."""
    parts = urlsplit(f"//{listen}")
    host, port = parts.hostname or "", parts.port
    if port is None:
        raise ServingError(f"{listen}: must be HOST:PORT, such as 127.0.0.1:8777")
    if host == "localhost":
        return "127.0.0.1", port
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ServingError(
            f"{listen}: only a loopback address such as 127.0.0.1:{port} is taken; to serve other"
            " machines put a proxy that authenticates in front"
        )
    return host, port


def serve(app: Flask, listen: str, threads: int) -> Serving:
    """Serve the application until the returned handle is closed. Raises ServingError."""
    host, port = check_loopback(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ServingError(
            f"{listen}: cannot be listened on: {error.strerror}; stop what uses it, or set another"
        ) from error
    server = waitress.create_server(
        app,
        sockets=[listening],
        threads=threads,
        ident="streamgauge",
        max_request_body_size=app.config.get("MAX_CONTENT_LENGTH") or 1024**3,
    )
    thread = threading.Thread(target=server.run, name=f"serve {listen}", daemon=True)
    thread.start()
    shown = f"[{host}]" if family is socket.AF_INET6 else host
    return Serving(f"{shown}:{listening.getsockname()[1]}", server, thread)
