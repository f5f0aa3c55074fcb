"""Trusts: what lets the service act for an alarm's owner later on.

Source: Keystone's trusts; Aodh's way of keeping a trust's id in an action's URL.
"""

from collections.abc import Sequence
from typing import Protocol


class TrustsError(Exception):
    """A trust could not be made or deleted; says why."""


class Trusts(Protocol):
    """Makes and deletes trusts. Errors: TrustsError."""

    def create(self, user_id: str, project_id: str, roles: Sequence[str], token: str | None) -> str:
        """Return the id of a new trust of this user, who asked with this token."""

    def delete(self, trust_id: str, token: str | None) -> None:
        """Delete a trust; one that is gone already is fine."""
