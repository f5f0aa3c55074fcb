"""Deliveries of actions that a predicate takes, and the attempts at one."""

import dataclasses
from typing import Any, Final

from store.deliveries import DELIVERY_COLUMNS
from store.queries.alarms import Order, ordered
from store.queries.predicate import Predicate, Rendering

DELIVERY_FIELDS: Final = {
    "id": "id",
    "alarm_id": "alarm_id",
    "project_id": "project_id",
    "state": "state::String",
    "timestamp": "created_at",
}
MOST_ATTEMPTS: Final = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """The deliveries that a predicate takes, the newest first if nothing else is said.

    Shape: -> DELIVERY_COLUMNS, and `timestamp`
    """

    where: Predicate
    limit: int
    order: Order = (("timestamp", "desc"),)

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(DELIVERY_FIELDS)
        where = self.where.to_sql(into)
        limit = into.bind("UInt32", self.limit)
        order = ordered(DELIVERY_FIELDS, self.order, "id")
        return (
            f"SELECT {DELIVERY_COLUMNS}, created_at AS timestamp FROM {{database}}.deliveries FINAL"
            f" WHERE {where} ORDER BY {order} LIMIT {limit}",
            into.parameters,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptsQuery:
    """The attempts at a delivery, the first ones first. Shape: -> [number, at, status, error, seconds]"""

    delivery_id: str

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering({})
        delivery = into.bind("String", self.delivery_id)
        return (
            "SELECT number, at, status, error, seconds FROM {database}.delivery_attempts FINAL"
            f" WHERE delivery_id = {delivery} ORDER BY number LIMIT {MOST_ATTEMPTS}",
            into.parameters,
        )
