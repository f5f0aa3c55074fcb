"""Whose a sample is, of what resource and when, with the resource's metadata.

Definitions that say the same of it share one Subject, so that it is worked out once a notification.
"""

import re
from typing import Any, Final

from metering.definitions.fields import Field
from metering.metadata import clean_text, flatten
from metering.notification import Notification
from metering.refusal import RefusedError
from metering.timestamps import parse_ms

_PROJECT: Final = ("_context_project_id", "_context_tenant_id", "_context_tenant")
_USER: Final = ("_context_user_id", "_context_user")
_RESERVED: Final = "metering."  # what a user writes under it in an instance's metadata is kept
_RESERVED_LENGTH: Final = 256
_ASCII_ID: Final = re.compile(r"[\x21-\x7e]+")

Resolved = tuple[str, str, str, int, str]  # project, user, resource, timestamp, metadata


class Subject:
    """The resource_id, project_id, user_id, timestamp and metadata of a definition."""

    def __init__(
        self,
        fields: dict[str, Field],
        metadata: dict[str, Field],
        user_metadata: Field | None,
    ) -> None:
        self._resource = fields["resource_id"].first
        self._project = fields["project_id"].first if "project_id" in fields else None
        self._user = fields["user_id"].first if "user_id" in fields else None
        self._timestamp = fields["timestamp"].first if "timestamp" in fields else None
        self._metadata = [(name, field.first) for name, field in metadata.items()]
        self._user_metadata = user_metadata.first if user_metadata else None

    def resolve(self, n: Notification) -> Resolved:
        """Return what a notification says of the subject. Raises RefusedError, PathError."""
        body = n.body
        return (
            self.project(n, self._project(body) if self._project else None),
            self.user(n, self._user(body) if self._user else None),
            label("resource_id", self._resource(body)),
            self.time(n, self._timestamp(body) if self._timestamp else None),
            self.metadata(n),
        )

    def project(self, n: Notification, value: Any) -> str:
        """Return the project: the value found for it, else that of the request's context."""
        return _owner(n, "project_id", value, _PROJECT)

    def user(self, n: Notification, value: Any) -> str:
        """Return the user: the value found for it, else that of the request's context."""
        return _owner(n, "user_id", value, _USER)

    def time(self, n: Notification, value: Any) -> int:
        """Return the value found for the time, else when the notification was generated."""
        return n.generated if value is None or value == "" else parse_ms(value)

    def metadata(self, n: Notification) -> str:
        """Return the canonical metadata: what the definition picks, else the whole payload."""
        if self._metadata or self._user_metadata:
            picked = self._picked(n)
            if picked:
                return flatten(picked)
        payload = n.payload if isinstance(n.payload, dict) else {}
        return flatten({**payload, "event_type": n.event_type, "host": n.publisher_id})

    def _picked(self, n: Notification) -> dict[str, Any]:
        body = n.body
        picked = {name: value for name, first in self._metadata if (value := first(body))}
        of_user = self._user_metadata(body) if self._user_metadata else None
        if isinstance(of_user, dict):
            reserved = _reserved(of_user, picked)
            if reserved:
                picked["user_metadata"] = reserved
        return picked


def _reserved(of_user: dict[Any, Any], picked: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in of_user.items():
        name = str(key).removeprefix(_RESERVED).replace(".", "_")
        if str(key).startswith(_RESERVED) and name not in picked:
            found[name] = value[:_RESERVED_LENGTH] if isinstance(value, str) else value
    return found


def _owner(n: Notification, name: str, value: Any, fallbacks: tuple[str, ...]) -> str:
    if value is None or value == "":
        value = next((v for key in fallbacks if (v := n.body.get(key))), None)
    return "" if value is None else label(name, value)


def label(name: str, value: Any) -> str:
    """Return an id or a name as text. Raises RefusedError where it is missing or no text."""
    if type(value) is str and _ASCII_ID.fullmatch(value):
        return value
    if value is None or value == "":
        raise RefusedError("missing_field", f"no {name}")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    raise RefusedError("bad_field", f"{name} is no text: {type(value).__name__}")
