"""A connection to one broker: TLS, login, exchanges, queues and bindings, up to consuming.

py-amqp does this part; it reads no byte beyond the frame it waits for, so that afterwards its
socket can be handed over as it stands.
Errors: AwayError for whatever may be better at the next try.
"""

import dataclasses
import socket
import ssl

import amqp
from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed

from sources.rabbitmq_settings import Address, RabbitSettings

CHANNEL = 1


class AwayError(Exception):
    """The broker cannot be used for now; the text says what is wrong."""


@dataclasses.dataclass(slots=True)
class Consuming:
    """A socket on which deliveries are about to arrive, and what was agreed."""

    socket: socket.socket
    heartbeat: float  # s
    frame_max: int  # bytes
    bindings: list[tuple[str, str, str]]  # queue, exchange, routing key
    notes: list[str]  # what is not as it was asked for


def connect(settings: RabbitSettings, address: Address) -> Consuming:
    """Return a consuming connection to `address`. Raises AwayError."""
    connection = connection_to(settings, address)
    try:
        connection.connect()
        return _consume(settings, connection)
    except (AMQPError, OSError) as error:
        connection.collect()
        raise AwayError(f"{address}: {explain(error)}") from error


def explain(error: Exception) -> str:
    """Return one clause that says what went wrong, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); see tls.ca"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, AMQPError):
        text = f"{error.reply_code or ''} {error.reply_text}".strip()
        login = isinstance(error, AccessRefused) and "Login" in text
        return f"the broker refused the user or password ({text})" if login else text
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def connection_to(settings: RabbitSettings, address: Address) -> amqp.Connection:
    """Return a connection to `address`, not connected yet."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    password = address.password
    return amqp.Connection(
        host=f"{host}:{address.port}",
        userid=address.user,
        password=password.get_secret_value() if password else "",
        login_method="PLAIN",
        virtual_host=address.vhost,
        ssl=_tls(settings, address) if address.scheme == "amqps" else False,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.connect_timeout,
        write_timeout=settings.connect_timeout,
        heartbeat=settings.heartbeat,
        # A peer that takes no bytes for two heartbeats is gone.
        socket_settings={socket.TCP_USER_TIMEOUT: 2000 * settings.heartbeat},
        client_properties={"connection_name": f"streamgauge {settings.name or settings.type}"},
    )


def _tls(settings: RabbitSettings, address: Address) -> dict[str, object]:
    tls = settings.tls
    own = {"certfile": str(tls.cert), "keyfile": str(tls.key or tls.cert)} if tls.cert else {}
    trust = {"ca_certs": str(tls.ca)} if tls.ca else {}
    if not tls.verify:
        return {**own, **trust, "cert_reqs": ssl.CERT_NONE}
    return {**own, **trust, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": address.host}


def _consume(settings: RabbitSettings, connection: amqp.Connection) -> Consuming:
    channel = connection.channel(CHANNEL)
    notes: list[str] = []
    declare_queues(channel, settings, notes)
    bindings = [
        binding
        for exchange in settings.exchanges
        for binding in _bind_exchange(channel, settings, exchange, notes)
    ]
    channel.basic_qos(0, settings.prefetch, False)
    for queue in settings.queues().values():
        # Without an answer: else py-amqp could meet deliveries before the second answer.
        channel.basic_consume(queue, consumer_tag=queue, nowait=True)
    return Consuming(
        _detach(connection), connection.heartbeat, connection.frame_max, bindings, notes
    )


def declare_queues(channel: amqp.Channel, settings: RabbitSettings, notes: list[str]) -> None:
    """Declare our queues; `notes` is told which are used as they are. Raises AMQPError."""
    arguments = {} if settings.queue_type == "classic" else {"x-queue-type": settings.queue_type}
    for queue in settings.queues().values():
        try:
            channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        except (PreconditionFailed, AccessRefused) as error:
            # There with other flags, or not ours to declare: used as it is, if it is there.
            channel.queue_declare(queue, passive=True)
            notes.append(f"queue {queue} is used as it is ({error.reply_text})")


def _bind_exchange(
    channel: amqp.Channel, settings: RabbitSettings, exchange: str, notes: list[str]
) -> list[tuple[str, str, str]]:
    bindings = [
        (queue, exchange, f"{topic}.{priority}")
        for topic, queue in settings.queues().items()
        for priority in settings.priorities
    ]
    try:
        _declare_exchange(channel, settings, exchange)
        for queue, _, key in bindings:
            channel.queue_bind(queue, exchange, key, nowait=True)
        channel.queue_bind(*bindings[-1])  # answered once all before it are done
    except (NotFound, AccessRefused) as error:
        notes.append(f"exchange {exchange} is not bound ({error.reply_text})")
        return []
    return bindings


def _declare_exchange(channel: amqp.Channel, settings: RabbitSettings, exchange: str) -> None:
    try:
        channel.exchange_declare(
            exchange, "topic", durable=settings.durable_exchanges, auto_delete=False
        )
    except (PreconditionFailed, AccessRefused):
        # There with other flags, or not ours to declare: only bound to, if it is there.
        channel.exchange_declare(exchange, "topic", passive=True)


def _detach(connection: amqp.Connection) -> socket.socket:
    """Take the socket out of the library's hands, which then closes nothing."""
    taken: socket.socket = connection.transport.sock
    connection.transport.sock = None
    connection.collect()
    taken.setblocking(False)
    return taken
