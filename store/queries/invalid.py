"""What was refused: listing it, showing it, and remembering that it was fed again."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from store.client import Store

_COLUMNS: Final = (
    "id, feed, reason, detail, size, length(payload) AS kept, recorded_at, redriven_at"
)
_TABLE: Final = "{database}.invalid FINAL"


@dataclasses.dataclass(frozen=True, slots=True)
class InvalidQuery:
    """What was refused, the newest first; after `marker`, the id of the last one seen.

    Shape: -> [id, feed, reason, detail, size, kept, recorded_at, redriven_at], `payload` (base64)
        where wanted
    """

    limit: int
    reason: str | None = None
    feed: str | None = None
    marker: str | None = None
    pending: bool = False  # only what was not fed again since it came
    whole: bool = False  # only what was kept in full
    payload: bool = False

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        wanted = {
            "reason = {reason:String}": self.reason is not None,
            "feed = {feed:String}": self.feed is not None,
            "(recorded_at, id) < (SELECT recorded_at, id FROM {database}.invalid FINAL"
            " WHERE id = {marker:String})": self.marker is not None,
            "redriven_at IS NULL": self.pending,
            "length(payload) = size": self.whole,
        }
        where = " AND ".join(sql for sql, there in wanted.items() if there) or "1"
        sql = (
            f"SELECT {_COLUMNS}{_PAYLOAD if self.payload else ''} FROM {_TABLE} WHERE {where}"
            " ORDER BY recorded_at DESC, id DESC LIMIT {limit:UInt32}"
        )
        values = {"reason": self.reason, "feed": self.feed, "marker": self.marker}
        given = {name: value for name, value in values.items() if value is not None}
        return sql, given | {"limit": self.limit}


@dataclasses.dataclass(frozen=True, slots=True)
class OneInvalidQuery:
    """One refused payload. Shape: as InvalidQuery, with `payload`"""

    id: str

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        return f"SELECT {_COLUMNS}{_PAYLOAD} FROM {_TABLE} WHERE id = {{id:String}}", {
            "id": self.id
        }


_PAYLOAD: Final = ", base64Encode(payload) AS payload_"


def mark_redriven(store: Store, ids: Sequence[str], at: dt.datetime) -> None:
    """Remember when these were fed again.

    Guarantee: the rows are written again with the same version, so the last one written counts; if
        one was refused anew meanwhile, its own row is newer and stays.
    """
    store.query(
        f"INSERT INTO {store.name}.invalid SELECT id, feed, reason, detail, payload, size, recorded_at,"
        " toDateTime({at:UInt32}, 'UTC') FROM "
        + _TABLE.replace("{database}", store.name)
        + " WHERE id IN {ids:Array(String)}",
        {"at": int(at.timestamp()), "ids": list(ids)},
    )
