"""Late samples: those that came when their window was final."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from store.queries.paging import TIME, Column, Key, Marker, behind, order_by, text
from store.queries.predicate import Predicate, Rendering
from store.queries.samples import FINAL_SETTINGS
from store.queries.usage import LABELS

# Spelled so that the index on `late`, which it never goes back to 0 in, is used for no more than that:
# a row with 2 replaces one with 1, and must not be left out before it has.
UNRESTATED: Final = "late > 0 AND bitAnd(late, 1) = 1"
_TIME: Final = Column("timestamp", TIME.format("timestamp"), "Int64")
_VARIANT: Final = Column("variant", "variant", "Int64")


@dataclasses.dataclass(frozen=True, slots=True)
class LateQuery:
    """Late samples that a predicate takes, the oldest first, behind a marker.

    Each with the window of the shortest period that it missed; it missed every longer one's too.
    """

    where: Predicate
    period: int  # s; the shortest
    limit: int
    start: int | None = None  # ms; of timestamps
    end: int | None = None  # ms
    restated: bool | None = None  # only those that were restated since, or were not
    after: Marker | None = None

    @property
    def columns(self) -> Sequence[str]:
        """What the answer's columns are called."""
        return tuple(_SELECTED)

    @property
    def key(self) -> Key:
        """What rows are in the order of."""
        return (_TIME, *text("meter", "project_id", "resource_id"), _VARIANT)

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(LABELS)
        where = [f"({self.where.to_sql(into)})", "late > 0", behind(into, self.key, self.after)]
        for op, moment in ((">=", self.start), ("<", self.end)):
            if moment is not None:
                time = f"fromUnixTimestamp64Milli({into.bind('Int64', moment)}, 'UTC')"
                where.append(f"timestamp {op} {time}")
        if self.restated is not None:
            where.append(f"bitAnd(late, 1) = {0 if self.restated else 1}")
        period = into.bind("Int64", self.period)
        window = f"intDiv(toUnixTimestamp(timestamp), {period}) * {period}"
        columns = ", ".join(s.format(window=window, period=period) for s in _SELECTED.values())
        sql = (
            f"SELECT {columns} FROM {{database}}.samples FINAL WHERE {' AND '.join(where)}"
            f" ORDER BY {order_by(self.key)} LIMIT {into.bind('UInt32', self.limit)} {FINAL_SETTINGS}"
        )
        return sql, into.parameters


_SELECTED: Final = {
    "meter": "toString(meter)",
    "type": "toString(type)",
    "unit": "toString(unit)",
    "volume": "volume",
    "resource_id": "resource_id",
    "project_id": "nullIf(toString(project_id), '')",
    "user_id": "nullIf(toString(user_id), '')",
    "timestamp": "timestamp",
    "recorded_at": "toDateTime64(recorded_at, 0, 'UTC')",
    "window_start": "toDateTime64({window}, 0, 'UTC')",
    "window_end": "toDateTime64({window} + {period}, 0, 'UTC')",
    "state": "if(late = 2, 'restated', 'late')",
    "variant": "variant",
}
