"""Where Google Pub/Sub is and who we are there: endpoint, credentials, project.

Errors: FeedError for credentials that are not there or cannot be read.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any, Final

import google.auth
import grpc
from google.auth.exceptions import GoogleAuthError

from sources.feed import FeedError

# A peer that is silent for long is asked; one that is away is tried again within seconds.
_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_PLAIN: Final = "http://"


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """What an operator says of it; None is what google-auth finds."""

    project: str | None
    endpoint: str | None  # http://HOST:PORT is without TLS and credentials
    credentials: Path | None


def open_transport(kind: Any, access: Access) -> tuple[Any, str | None]:
    """Return a transport of a class of google-cloud-pubsub's, and the project. Raises FeedError."""
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    endpoint = access.endpoint or (emulator and _PLAIN + emulator)
    if endpoint and endpoint.startswith(_PLAIN):
        channel = grpc.insecure_channel(endpoint.removeprefix(_PLAIN), options=_OPTIONS)
        return kind(channel=channel), access.project
    credentials, project = _credentials(access.credentials)

    def open_channel(host: str, options: Any = (), **rest: Any) -> grpc.Channel:
        return kind.create_channel(host, options=[*options, *_OPTIONS], **rest)

    place = {"host": endpoint} if endpoint else {}
    transport = kind(credentials=credentials, channel=open_channel, **place)
    return transport, access.project or project


def full_name(kind: str, name: str, project: str | None) -> str:
    """Return projects/PROJECT/KIND/NAME. Raises FeedError."""
    if name.startswith("projects/"):
        return name
    if not project:
        raise FeedError(f"which project is {kind}/{name} in? Set project, or give its full name")
    return f"projects/{project}/{kind}/{name}"


def _credentials(file: Path | None) -> tuple[Any, str | None]:
    scopes = ["https://www.googleapis.com/auth/pubsub"]
    try:
        if file is None:
            return google.auth.default(scopes=scopes)
        return google.auth.load_credentials_from_file(str(file), scopes=scopes)
    except (GoogleAuthError, OSError, ValueError) as error:
        place = file or "the environment (gcloud auth application-default login)"
        raise FeedError(f"no Google credentials from {place}: {error}") from error
