"""Usage: rows as they are now or were known at a time, and their sums by group."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from store.queries.finality import final_until
from store.queries.paging import TIME, Column, Key, Marker, behind, order_by, text
from store.queries.predicate import Predicate, Rendering

LABELS: Final = {name: name for name in ("meter", "project_id", "resource_id", "user_id")}
GROUPS: Final = ("meter", "project_id", "user_id", "resource_id", "segment", "start")
_START: Final = Column("start", TIME.format("start"), "Int64")
_TYPE: Final = Column("type", "toString(type)", "String")
_ODD: Final = {"start": _START, "type": _TYPE}
_KEY: Final = (
    *text("meter", "project_id", "resource_id"),
    _START,
    *text("user_id", "segment"),
    _TYPE,
    *text("unit"),
)
_SORTED: Final = (
    "meter, period, project_id, resource_id, start, user_id, segment, toString(type), unit"
)
_OPEN: Final = "start + period > final_until"
_AVERAGE: Final = "if({type} = 'gauge' AND {covered} > 0, {usage} / ({covered} / 3600), NULL)"

# What an answer's columns are called, and their SQL; the view usage_rows says the same.
_ROW: Final = {
    "meter": "toString(meter)",
    "type": "toString(type)",
    "unit": "toString(unit)",
    "resource_id": "resource_id",
    "project_id": "nullIf(toString(project_id), '')",
    "user_id": "nullIf(toString(user_id), '')",
    "segment": "toString(segment)",
    "period": "period",
    "start": "toDateTime64(start, 0, 'UTC')",
    "end": "toDateTime64(start + period, 0, 'UTC')",
    **{name: name for name in ("count", "first", "last", "sum", "min", "max")},
    "average": _AVERAGE.format(type="type", covered="covered", usage="usage"),
    **{name: name for name in ("usage", "covered")},
    "expected": "if(cadence > 0, toUInt32(round(period * 1000 / cadence)), NULL)",
    "complete": "covered / period",
    "state": f"multiIf(restated = 1, 'restated', {_OPEN}, 'open', 'final')",
    "version": "version",
}
_GROUPED: Final = {
    "period": "any(period)",
    "start": "toDateTime64(min(start), 0, 'UTC')",
    "end": "toDateTime64(max(start + period), 0, 'UTC')",
    "rows": "count()",
    **{name: f"sum({name})" for name in ("count", "sum")},
    **{name: f"{name}({name})" for name in ("min", "max")},
    "average": _AVERAGE.format(type="any(type)", covered="sum(covered)", usage="sum(usage)"),
    **{name: f"sum({name})" for name in ("usage", "covered")},
    "state": f"multiIf(max(restated = 0 AND {_OPEN}), 'open', max(restated) = 1, 'restated', 'final')",
    "version": "max(version)",
}


@dataclasses.dataclass(frozen=True, slots=True)
class UsageScope:
    """Which usage rows: those of a period whose windows begin in [start, end), none where None.

    Units: period, start and end in s, `as_of` in ms. Only final windows end before what is final.
    """

    where: Predicate  # on LABELS
    period: int
    start: int | None = None
    end: int | None = None
    as_of: int | None = None
    only_final: bool = False

    def select(
        self, columns: Sequence[str], key: Key, after: Marker | None, into: Rendering
    ) -> str:
        """Return the SQL of these columns of the rows behind a marker."""
        where = self._where(into)
        rest = f"{behind(into, key, after)}" + (f" AND NOT {_OPEN}" if self.only_final else "")
        if self.as_of is None:
            table, until = "{database}.usage FINAL", final_until()
        else:
            known = into.bind("UInt64", self.as_of)
            until = final_until(f"fromUnixTimestamp64Milli(toInt64({known}), 'UTC')")
            table = (
                f"(SELECT * FROM {{database}}.usage_versions WHERE {where} AND version <= {known}"
                f" ORDER BY {_SORTED}, version DESC LIMIT 1 BY {_SORTED})"
            )
            where = "is_deleted = 0"
        return f"WITH {until} AS final_until SELECT {', '.join(columns)} FROM {table} WHERE {where} AND {rest}"

    def _where(self, into: Rendering) -> str:
        found = [f"({self.where.to_sql(into)})", f"period = {into.bind('UInt32', self.period)}"]
        for op, moment in ((">=", self.start), ("<", self.end)):
            if moment is not None:
                found.append(f"start {op} toDateTime({into.bind('UInt32', moment)}, 'UTC')")
        return " AND ".join(found)


@dataclasses.dataclass(frozen=True, slots=True)
class UsageQuery:
    """Usage rows by series and time, behind a marker."""

    scope: UsageScope
    limit: int
    after: Marker | None = None

    @property
    def columns(self) -> Sequence[str]:
        """What the answer's columns are called."""
        return tuple(_ROW)

    @property
    def key(self) -> Key:
        """What rows are in the order of."""
        return _KEY

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(LABELS)
        rows = self.scope.select(tuple(_ROW.values()), _KEY, self.after, into)
        sql = f"{rows} ORDER BY {_SORTED} LIMIT {into.bind('UInt32', self.limit)} {_SETTINGS}"
        return sql, into.parameters


@dataclasses.dataclass(frozen=True, slots=True)
class GroupedUsageQuery:
    """Usage rows added up by group. Meters, types and units are never added to each other."""

    scope: UsageScope
    groupby: Sequence[str]  # of GROUPS
    limit: int
    after: Marker | None = None

    @property
    def columns(self) -> Sequence[str]:
        """What the answer's columns are called."""
        return tuple(self._selected())

    @property
    def key(self) -> Key:
        """What rows are in the order of."""
        fields = dict.fromkeys([*self.groupby, "meter", "type", "unit"])
        return [_ODD.get(field) or text(field)[0] for field in fields]

    def to_sql(self) -> tuple[str, dict[str, Any]]:
        into = Rendering(LABELS)
        rows = self.scope.select(tuple(self._selected().values()), self.key, self.after, into)
        groups = ", ".join(column.name for column in self.key)
        order, limit = order_by(self.key), into.bind("UInt32", self.limit)
        return (
            f"{rows} GROUP BY {groups} ORDER BY {order} LIMIT {limit} {_SETTINGS}",
            into.parameters,
        )

    def _selected(self) -> dict[str, str]:
        groups = {c.name: _ROW[c.name] for c in self.key if c.name != "start"}
        return groups | _GROUPED


# A row's key holds its window, so a key never lies in two partitions.
_SETTINGS: Final = "SETTINGS do_not_merge_across_partitions_select_final = 1"
