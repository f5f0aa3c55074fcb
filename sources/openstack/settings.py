"""What the openstack feed can be told."""

from pathlib import Path
from typing import Any

import pydantic

from sources.feed import SplitSettings


class OpenStackSettings(SplitSettings):
    """Which clouds are polled, what of them, how often, and how gently."""

    type: str = "openstack"
    clouds: list[str] = pydantic.Field(
        [], description="names in clouds.yaml; empty is the one of OS_CLOUD or the OS_* variables"
    )
    clouds_file: Path | None = pydantic.Field(
        None, description="clouds.yaml; null is where openstacksdk looks for it"
    )
    regions: list[str] = pydantic.Field(
        [], description="regions polled; empty is all that clouds.yaml names for a cloud"
    )
    polling: Path | None = pydantic.Field(
        None, description="Ceilometer's polling.yaml; null is every meter at `interval`"
    )
    interval: float = pydantic.Field(
        300.0, gt=0, description="seconds between two polls, where there is no polling.yaml"
    )
    pollsters: list[Path] = pydantic.Field(
        [], description="dynamic pollsters in Ceilometer's form: files, or folders of *.yaml"
    )
    jitter: float = pydantic.Field(
        10.0, ge=0, description="seconds by which a poller's first poll is delayed at the most"
    )
    concurrency: int = pydantic.Field(
        8, ge=1, le=256, description="calls under way at once to one service of a region"
    )
    timeout: float = pydantic.Field(30.0, gt=0, description="seconds a call may take")
    retries: int = pydantic.Field(
        4, ge=0, description="further tries of a call that got no answer, 429 or 5xx"
    )
    backoff_min: float = pydantic.Field(
        0.5, gt=0, description="seconds before the first further try"
    )
    backoff_max: float = pydantic.Field(
        60.0, gt=0, description="seconds that this grows to at the most, doubling, with jitter"
    )
    discovery: float = pydantic.Field(
        600.0,
        ge=0,
        description="seconds that lists are kept whose resources are asked one by one"
        " (servers, projects, zones)",
    )
    page: int = pydantic.Field(1000, ge=1, description="entries asked for in a page of a list")
    reader: int = pydantic.Field(0, ge=0, description="number of this reader, from 0")
    readers: int = pydantic.Field(
        1, ge=1, description="readers that share the work; each resource is one reader's"
    )
    reseller_prefix: str = pydantic.Field(
        "AUTH_", description="what Object Storage puts before a project's id in account names"
    )
    radosgw_access_key: pydantic.SecretStr | None = pydantic.Field(
        None, description="of a user of Ceph's object gateway that may read buckets and usage"
    )
    radosgw_secret_key: pydantic.SecretStr | None = pydantic.Field(
        None, description="its secret; without both keys the gateway is not polled"
    )
    radosgw_service_type: str = pydantic.Field(
        "object-store", description="the gateway's type in the catalog"
    )
    radosgw_service_name: str | None = pydantic.Field(
        None, description="its name there; null is the only one, or the first, of that type"
    )
    radosgw_implicit_tenants: bool = pydantic.Field(
        False, description="whether each project has a tenant of its own in the gateway"
    )
    telemetry_secret: pydantic.SecretStr | None = pydantic.Field(
        None, description="samples are signed with it; needed where decode.telemetry_secret is set"
    )

    def part(self, number: int, of: int) -> dict[str, Any]:
        """Return a part's share of this reader's resources, and of its calls."""
        return {
            "reader": self.reader + number * self.readers,
            "readers": self.readers * of,
            "concurrency": max(self.concurrency // of, 1),
        }

    @property
    def radosgw_keys(self) -> tuple[str, str] | None:
        """The keys (access, secret) that calls to Ceph's object gateway are signed with."""
        access, secret = self.radosgw_access_key, self.radosgw_secret_key
        if access is None or secret is None:
            return None
        return access.get_secret_value(), secret.get_secret_value()

    @pydantic.model_validator(mode="after")
    def _both_keys(self) -> "OpenStackSettings":
        if (self.radosgw_access_key is None) != (self.radosgw_secret_key is None):
            raise ValueError("radosgw_access_key and radosgw_secret_key belong together")
        return self

    @pydantic.model_validator(mode="after")
    def _among_readers(self) -> "OpenStackSettings":
        if self.reader >= self.readers:
            raise ValueError("reader must be below readers: they are numbered from 0")
        return self
