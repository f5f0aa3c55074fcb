"""The bridge: notifications of a RabbitMQ, on to a Google Pub/Sub topic. `streamgauge bridge`.

Guarantee, Errors: of jobs.forwarding. A delivery is acknowledged to RabbitMQ only once Pub/Sub has
    confirmed its message.
"""

import dataclasses
import threading
from pathlib import Path

from jobs.faults import ConfigError
from jobs.forwarding import Forwarder, ForwardingError, Tell, rabbitmq_feed
from jobs.signals import stopped_by_signals
from metering.config import Config
from sources.feed import FeedError
from sources.pubsub_access import Access
from sources.pubsub_settings import checked_endpoint
from sources.pubsub_topic import Topic
from sources.rabbitmq import RabbitFeed


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """From where to where; None is what there is only one of, or what google-auth finds."""

    topic: str
    project: str | None
    endpoint: str | None
    credentials: Path | None
    feed: str | None  # name of a rabbitmq feed of the configuration
    aside: Path  # folder for messages that Pub/Sub cannot take


def run_bridge(config: Config, way: Way, tell: Tell) -> int:
    """Forward until SIGINT or SIGTERM; return the exit code. Raises ForwardingError, ConfigError."""
    settings = RabbitFeed.Settings.model_validate(rabbitmq_feed(config, way.feed))
    stop = threading.Event()
    try:
        topic = Topic(way.topic, _access(way))
        feed = RabbitFeed(settings)
        bridge = Forwarder(feed, topic, way.aside, stop, tell)
        with stopped_by_signals(stop):
            tell(f"forwarding {feed.name} to {topic.name}")
            bridge.open()
            bridge.run()
    except FeedError as error:
        raise ForwardingError(str(error)) from error
    topic.close()
    tell("stopped")
    return 0


def _access(way: Way) -> Access:
    """Raises ConfigError."""
    try:
        endpoint = way.endpoint and checked_endpoint(way.endpoint)
    except ValueError as error:
        raise ConfigError([f"--endpoint: {error}"]) from error
    return Access(way.project, endpoint, way.credentials)
