"""A private RabbitMQ for tests and benchmarks: own node, folders, ports and certificates.

Source: Debian's rabbitmq-server; its wrapper changes user, so the script behind it is started.
"""

import contextlib
import dataclasses
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import amqp
import pytest

from tests.servers.certificates import make_certificates

SCRIPTS: Final = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"
START_SECONDS: Final = 90.0
UNCONFIRMED: Final = 500  # messages that may await their confirm


def find_rabbitmq() -> Path | None:
    """Return the server's start script, or None where RabbitMQ is not installed."""
    return next(iter(sorted(Path("/").glob(SCRIPTS.lstrip("/")))), None)


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on now.

    Below those that outgoing connections take by themselves: one of them may have it a moment later.
    """
    for port in random.Random().sample(range(20_000, 32_000), 1000):
        with contextlib.closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("a thousand ports are all in use")


@dataclasses.dataclass
class RabbitServer:
    """One broker that can be stopped, killed and started again on the same ports and data."""

    folder: Path
    certificates: Path | None = None  # of tests.servers.certificates; turns the TLS listener on
    port: int = dataclasses.field(default_factory=free_port)
    tls_port: int = dataclasses.field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.node = f"streamgauge-{os.getpid()}-{self.port}@localhost"
        self._script = find_rabbitmq()
        self._epmd_port, self._dist_port = free_port(), free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where to connect, with RabbitMQ's own first user."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        """Where to connect by TLS."""
        return f"amqps://guest:guest@localhost:{self.tls_port}/"

    def start(self) -> None:
        """Start and wait until logins are served."""
        self._write_config()
        self._start_epmd()
        log = (self.folder / "server.log").open("ab")
        assert self._script is not None, "rabbitmq-server is not installed"
        self._server = subprocess.Popen(
            [str(self._script)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self._await_login()

    def stop(self, kill: bool = False) -> None:
        """Stop in order, or at once with `kill`; what it was told to keep stays on disk."""
        if self._server is not None:
            self._signal_group(self._server, signal.SIGKILL if kill else signal.SIGTERM)
            self._server = None
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait()
            self._epmd = None

    def _signal_group(self, process: subprocess.Popen[bytes], number: int) -> None:
        # The start script and the Erlang machine share a session of their own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        wait_until(lambda: not _group_alive(process.pid), "the broker's processes to end")

    def _start_epmd(self) -> None:
        # Our own port mapper, in the foreground: else Erlang leaves a daemon behind.
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: _listening(self._epmd_port), "epmd to listen")

    def _await_login(self) -> None:
        wait_until(self._serves_login, "rabbitmq to serve logins", START_SECONDS)

    def _serves_login(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise AssertionError((self.folder / "server.log").read_text()[-4000:])
        try:
            connect(self.url).close()
        except (OSError, amqp.exceptions.AMQPError):
            return False
        return True

    def _write_config(self) -> None:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "log.file.level = warning",
            "disk_free_limit.absolute = 50MB",
            "collect_statistics_interval = 60000",
        ]
        if self.certificates is not None:
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {self.certificates / 'ca.pem'}",
                f"ssl_options.certfile = {self.certificates / 'server.pem'}",
                f"ssl_options.keyfile = {self.certificates / 'server.key'}",
                "ssl_options.verify = verify_none",
            ]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "enabled_plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": str(self.folder),  # the Erlang cookie lives there
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
        }
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own}


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Any, what: str, seconds: float = 30.0) -> None:
    """Return once `condition()` holds. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


def connect(url: str) -> amqp.Connection:
    """Return an open connection to `url`; close it."""
    parts = urlsplit(url)
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port}",
        userid=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        virtual_host=unquote(parts.path[1:]) or "/",
        connect_timeout=10,
    )
    connection.connect()
    return connection


def publish(url: str, exchange: str, routing_key: str, bodies: Iterable[bytes]) -> int:
    """Publish `bodies`, persistent, and return their number once the broker has confirmed all."""
    with connect(url) as connection:
        channel = connection.channel()
        channel.confirm_select()
        unconfirmed: set[int] = set()

        def confirm(tag: int, multiple: bool) -> None:
            unconfirmed.difference_update(
                [each for each in unconfirmed if each <= tag] if multiple else (tag,)
            )

        channel.events["basic_ack"].add(confirm)
        sent = 0
        for sent, body in enumerate(bodies, 1):
            unconfirmed.add(sent)
            message = amqp.Message(body, content_type="application/json", delivery_mode=2)
            channel.basic_publish(message, exchange, routing_key)
            while len(unconfirmed) >= UNCONFIRMED:
                connection.drain_events(timeout=30)
        while unconfirmed:
            connection.drain_events(timeout=30)
    return sent


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of certificates made for this run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def rabbitmq(
    tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[RabbitServer]:
    """The run's shared broker, with TLS; nobody stops it. Tests use exchanges and queues of their own."""
    server = _installed(RabbitServer(tmp_path_factory.mktemp("rabbitmq"), certificates))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def second_rabbitmq(tmp_path: Path) -> Iterator[RabbitServer]:
    """A broker of one test alone, not started yet, which the test is free to start and stop."""
    server = _installed(RabbitServer(tmp_path / "rabbitmq"))
    yield server
    server.stop()


def _installed(server: RabbitServer) -> RabbitServer:
    if find_rabbitmq() is None:
        pytest.skip("RabbitMQ is not installed; `make services` installs it")
    return server
