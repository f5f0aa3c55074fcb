"""The URLs of actions: which are known, and the trust in some.

Shape: trust+http://TRUST:delete@host/path: the alarm's one trust, deleted with it, stands in its first
    such action so, and as trust+http://TRUST@host/path in the others. What is served has neither.
Source: Aodh's notifiers.
"""

from typing import Final
from urllib.parse import SplitResult, urlsplit

from metering.alarms.faults import DefinitionError

SCHEMES: Final = (
    "log",
    "test",
    "http",
    "https",
    "trust+http",
    "trust+https",
    "trust+heat",
    "pubsub",
    "amqp",
)
ADMINS_ONLY: Final = ("log", "test")
_WITHOUT_HOST: Final = (*ADMINS_ONLY, "trust+heat")
_ZAQAR: Final = ("zaqar", "trust+zaqar")
_PORTS: Final = {"http": 80, "https": 443}


def parts_of(action: str) -> SplitResult:
    """Return an action's parts. Raises DefinitionError where it is none that can be called."""
    try:
        parts = urlsplit(action)
        _ = parts.port, parts.hostname
    except ValueError:
        raise DefinitionError(f"Unable to parse action {action[:200]}") from None
    if parts.scheme in _ZAQAR:
        raise DefinitionError(
            f"Unsupported action {action[:200]}: there is no Zaqar behind this service; call an"
            " http(s) URL, or publish to pubsub://topic or amqp://exchange/topic"
        )
    if parts.scheme not in SCHEMES:
        raise DefinitionError(f"Unsupported action {action[:200]}")
    if parts.scheme not in _WITHOUT_HOST and not parts.netloc:
        raise DefinitionError(f"Unable to parse action {action[:200]}")
    return parts


def needs_trust(action: str) -> bool:
    """Return whether an action is called with a trust's token."""
    return action.startswith("trust+")


def trust_id(action: str) -> str | None:
    """Return the trust in an action; None where there is none."""
    return urlsplit(action).username if needs_trust(action) else None


def with_trust(action: str, trust: str, deletes: bool) -> str:
    """Return an action with a trust in it, marked where it is the one that is deleted."""
    scheme, _, rest = scrubbed(action).partition("://")
    return f"{scheme}://{trust}{':delete' if deletes else ''}@{rest}"


def receiver_of(action: str) -> str:
    """Return who is called: HOST:PORT, or the scheme where all of its calls go to one place."""
    parts = urlsplit(action.removeprefix("trust+"))
    if parts.scheme not in _PORTS:
        return parts.scheme
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def scrubbed(action: str) -> str:
    """Return an action without its trust."""
    credentials = urlsplit(action).netloc.rpartition("@")[0] if needs_trust(action) else ""
    return action.replace(f"://{credentials}@", "://", 1) if credentials else action
