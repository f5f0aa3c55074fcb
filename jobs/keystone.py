"""The login to OpenStack that trusts and their actions need, where one is configured."""

from typing import TYPE_CHECKING

from metering.alarms.settings import Actions

if TYPE_CHECKING:
    from sinks.trusts import Keystone


def keystone_of(settings: Actions) -> "Keystone | None":
    """Return the login of `alarms.actions.cloud`, if there is one. Raises TrustsError."""
    if settings.cloud is None:
        return None
    # openstacksdk takes time and memory to import: only where a cloud is configured.
    from sinks.trusts import Keystone

    return Keystone(settings.cloud, settings.clouds_file, settings.timeout)
