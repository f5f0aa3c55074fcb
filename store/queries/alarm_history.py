"""What became of alarms: entries of the history that a predicate takes, in an order."""

import dataclasses
from typing import Any, Final

from store.queries.alarms import Order, ordered
from store.queries.predicate import Predicate, Rendering

CHANGE_FIELDS: Final = {
    "event_id": "event_id",
    "alarm_id": "alarm_id",
    "type": "type",
    "detail": "detail",
    "user_id": "user_id",
    "project_id": "project_id",
    "on_behalf_of": "on_behalf_of",
    "timestamp": "timestamp",
    "severity": "severity",
}
_SELECTED: Final = ", ".join(CHANGE_FIELDS)


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmHistoryQuery:
    """The entries that a predicate takes, the newest first if nothing else is said.

    Shape: -> [event_id, alarm_id, type, detail, user_id, project_id, on_behalf_of, timestamp, severity]
    """

    where: Predicate
    limit: int
    order: Order = (("timestamp", "desc"),)

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(CHANGE_FIELDS)
        where = self.where.to_sql(into)
        limit = into.bind("UInt32", self.limit)
        order = ordered(CHANGE_FIELDS, self.order, "event_id")
        return (
            f"SELECT {_SELECTED} FROM {{database}}.alarm_history FINAL WHERE {where}"
            f" ORDER BY {order} LIMIT {limit}",
            into.parameters,
        )
