"""One sample as Ceilometer's agents and API write it (counter_name, counter_volume, ...), checked.

Source: Ceilometer's Sample and OldSample.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from metering.draft import Draft
from metering.identity import content_id
from metering.metadata import flatten
from metering.refusal import RefusedError
from metering.schema import SAMPLE_TYPES
from metering.timestamps import parse_ms

DEFAULT_SOURCE: Final = "openstack"


def draft_sample(sample: Mapping[str, Any]) -> Draft:
    """Return the sample in the store's forms. Raises RefusedError."""
    if not isinstance(sample, Mapping):
        raise RefusedError("bad_field", "a sample is an object")
    kind = _required(sample, "counter_type")
    if kind not in SAMPLE_TYPES:
        raise RefusedError("bad_type", f"{kind[:100]!r}")
    metadata = sample.get("resource_metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise RefusedError("bad_field", "resource_metadata is no object")
    if sample.get("timestamp") is None:
        raise RefusedError("missing_field", "timestamp")
    return named(
        Draft(
            meter=_required(sample, "counter_name"),
            type=kind,
            unit=_optional(sample, "counter_unit"),
            volume=finite(sample.get("counter_volume")),
            project_id=_optional(sample, "project_id"),
            user_id=_optional(sample, "user_id"),
            resource_id=_required(sample, "resource_id"),
            timestamp=parse_ms(sample["timestamp"]),
            metadata=flatten(metadata or {}),
            source=_optional(sample, "source") or DEFAULT_SOURCE,
            message_id=_optional(sample, "message_id"),
        )
    )


def named(draft: Draft) -> Draft:
    """Return the sample with its content's name where it has no message id."""
    if draft.message_id:
        return draft
    return draft._replace(message_id=content_id(draft[:-1]))


def finite(volume: object) -> float:
    """Return a volume, also from text ("48"). Raises RefusedError."""
    if volume is None:
        raise RefusedError("missing_field", "counter_volume")
    if isinstance(volume, bool) or not isinstance(volume, int | float | str):
        raise RefusedError("bad_volume", f"{type(volume).__name__} is no number")
    try:
        number = float(volume)
    except (ValueError, OverflowError) as error:
        raise RefusedError("bad_volume", f"{str(volume)[:100]!r} is no number") from error
    if not math.isfinite(number):
        raise RefusedError("bad_volume", f"{number} is not finite")
    return number


def _required(sample: Mapping[str, Any], name: str) -> str:
    value = _optional(sample, name)
    if not value:
        raise RefusedError("missing_field", name)
    return value


def _optional(sample: Mapping[str, Any], name: str) -> str:
    value = sample.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise RefusedError("bad_field", f"{name} is no text")
