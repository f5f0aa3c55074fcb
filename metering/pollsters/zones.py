"""Zones of DNS, and what Alarming counts of its evaluations.

Source: DNS API v2, Alarming API v2; Ceilometer's meters of the same names.
"""

from collections.abc import Iterable
from typing import Any, Final

from metering.pollsters.kinds import (
    Detail,
    Kind,
    Listing,
    Meter,
    Part,
    Reading,
    at,
    fields,
    nobody,
    ranked,
)

ZONE_STATES: Final = {"active": 1, "pending": 2, "error": 3, "deleted": 4}
_EVERYBODY: Final = (("X-Auth-All-Projects", "true"),)
_LISTING: Final = Listing("dns", "/zones", "zones", headers=_EVERYBODY)
_METADATA: Final = fields(
    *("name", "email", "ttl", "description", "type", "status", "action", "serial", "pool_id")
)


def _answer(reading: Reading) -> Iterable[Any]:
    return [] if reading.answer is None else [reading.answer]


def _counters(reading: Reading) -> Iterable[Any]:
    counted = reading.thing.entry["state_counters"].items()
    return [{"alarm_state": state, "count": count} for state, count in counted]


ZONES: Final = Kind(
    "zones",
    _LISTING,
    (
        Part(
            (
                Meter("dns.zone.status", "status", ranked("status", ZONE_STATES)),
                Meter("dns.zone.ttl", "second", at("ttl")),
                Meter("dns.zone.serial", "serial", at("serial")),
            )
        ),
    ),
    user=nobody,
    metadata=_METADATA,
)
RECORDSETS: Final = Kind(
    "record sets",
    _LISTING,
    (Part((Meter("dns.zone.recordsets", "recordset", at("metadata.total_count")),), _answer),),
    user=nobody,
    metadata=_METADATA,
    detail=Detail("dns", "/zones/{id}/recordsets?limit=1", headers=_EVERYBODY),
    keep=("id",),
)
ALARMS: Final = Kind(
    "alarms",
    Listing("alarm", "/v2/metrics?all_projects=true", "evaluation_results", limit=False),
    (
        Part(
            (Meter("alarm.evaluation_result", "evaluation_result_count", at("count")),),
            _counters,
            # One series a state: under the alarm's id alone one would hide the other.
            lambda thing, item: f"{thing.id}/{item['alarm_state']}",
            fields("alarm_state"),
        ),
    ),
    id=at("alarm_id"),
    user=nobody,
)
KINDS: Final = (ZONES, RECORDSETS, ALARMS)
