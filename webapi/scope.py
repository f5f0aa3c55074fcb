"""Who asks, and what they may see: an admin everything, anyone else their own project.

Until there is authentication the headers X-User-Id, X-Project-Id and X-Roles are believed; a request
with none of them is an admin's.
"""

import dataclasses

from flask import request

from webapi.errors import RequestError, not_authorized


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """The caller of this request."""

    user_id: str | None
    project_id: str | None
    admin: bool

    @property
    def only_project(self) -> str | None:
        """The one project whose data the caller may see; None is all of them."""
        return None if self.admin else self.project_id

    def check_project(self, project_id: str) -> None:
        """Let only a project pass that the caller may see. Raises RequestError (401)."""
        if not self.admin and project_id != self.project_id:
            raise not_authorized(project_id)


def current_scope() -> Scope:
    """Return who asks. Raises RequestError (401) for a caller with neither the role nor a project."""
    headers = request.headers
    user_id, project_id = headers.get("X-User-Id") or None, headers.get("X-Project-Id") or None
    roles = {role.strip().lower() for role in headers.get("X-Roles", "").split(",")} - {""}
    admin = "admin" in roles or not (user_id or project_id or roles)
    if not admin and project_id is None:
        raise RequestError(
            "Not Authorized: X-Project-Id is required of a caller without the admin role", 401
        )
    return Scope(user_id, project_id, admin)


def require_admin() -> Scope:
    """Return who asks, an admin. Raises RequestError (401) for anyone else."""
    scope = current_scope()
    if not scope.admin:
        raise not_authorized(scope.project_id or "")
    return scope
