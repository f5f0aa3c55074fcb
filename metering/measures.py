"""Gnocchi's measures: from a batch of them, and what is known of its resources, to samples.

Shape: {resource id: {metric: {measures: [{timestamp, value}], unit, archive_policy_name}}}, or a
    list of measures for a metric -> samples as polling agents send them.
Guarantee: the same measure gives the same sample; two deltas are one where resource, meter, moment
    and value are the same.
Source: Gnocchi 4.7's POST /v1/batch/resources/metrics/measures.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from metering.identity import content_id
from metering.meter_types import type_of
from metering.refusal import RefusedError
from metering.timestamps import LATEST, iso

_OWNER: Final = ("project_id", "user_id")


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """Measures of one metric of one resource, as sent."""

    resource_id: str
    meter: str
    unit: str
    policy: str
    measures: list[dict[str, Any]]


def series_of(batch: object) -> list[Series]:
    """Return what a batch holds, by resource and metric. Raises RefusedError."""
    if not isinstance(batch, dict):
        raise RefusedError("bad_field", "a batch is an object of resources")
    return [
        _series(resource, meter, content)
        for resource, metrics in batch.items()
        for meter, content in _mapping(metrics, resource).items()
    ]


def measured_samples(
    series: Series, attributes: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield the samples of a series; `attributes` are its resource's."""
    kind = type_of(series.meter, types, series.policy)
    metadata = {name: value for name, value in attributes.items() if name not in _OWNER}
    sample = {
        "counter_name": series.meter,
        "counter_type": kind,
        "counter_unit": series.unit,
        "resource_id": series.resource_id,
        "project_id": attributes.get("project_id"),
        "user_id": attributes.get("user_id"),
        "resource_metadata": metadata,
    }
    for measure in series.measures:
        moment, volume = _moment(measure["timestamp"]), measure["value"]
        named = {"counter_volume": volume, "timestamp": moment}
        if kind == "delta":  # what names it must not change with its resource's attributes
            parts = (series.meter, series.resource_id, moment, volume)
            named["message_id"] = content_id(parts)
        yield {**sample, **named}


def _moment(timestamp: Any) -> Any:
    """Return a time as text, also one in seconds since the epoch; what is none stays as it is."""
    if isinstance(timestamp, int | float) and 0 <= timestamp * 1000 <= LATEST:
        return iso(int(timestamp * 1000))
    return timestamp


def _series(resource: str, meter: str, content: Any) -> Series:
    where = f"{resource[:100]}/{meter[:100]}"
    said = {"measures": content} if isinstance(content, list) else _mapping(content, where)
    measures = said.get("measures")
    if not isinstance(measures, list) or not all(map(_is_measure, measures)):
        raise RefusedError("bad_field", f"{where}: measures are a list of timestamp and value")
    unit, policy = said.get("unit") or "", said.get("archive_policy_name") or ""
    if not (resource and meter and isinstance(unit, str) and isinstance(policy, str)):
        raise RefusedError("bad_field", f"{where}: names, unit and archive_policy_name are texts")
    return Series(resource, meter, unit, policy, measures)


def _is_measure(measure: Any) -> bool:
    return isinstance(measure, dict) and "timestamp" in measure and "value" in measure


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError("bad_field", f"{where[:200]}: must be an object")
    return value
