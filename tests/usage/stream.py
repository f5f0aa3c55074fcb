"""The usage windows moved by a script, beside a store of plain dicts."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from metering.batches import sample_table
from metering.draft import Draft
from metering.schema import TOUCHED, USAGE
from metering.usage.again import Past, work_out_again
from metering.usage.rules import UsageRules
from metering.usage.table import usage_table
from metering.usage.windows import Told, UsageWindows
from tests.usage.histories import Arrival, Batch, Script, Tick
from tests.usage.oracle import Row, Settings

SERIES = ("meter", "resource_id")
KEY = (
    "meter",
    "period",
    "project_id",
    "resource_id",
    "start",
    "user_id",
    "segment",
    "type",
    "unit",
)


def rules_of(settings: Settings) -> UsageRules:
    return UsageRules(
        periods=tuple(period * 1000 for period in settings.periods),
        lateness=settings.lateness * 1000,
        max_gap=settings.max_gap * 1000,
        segments=settings.segments,
        ends=settings.ends,
        ends_by_meter=settings.ends_by_meter,
    )


def draft(arrival: Arrival) -> Draft:
    sample = arrival.sample
    metadata = msgspec.json.encode(dict(sample.metadata), order="sorted").decode()
    return Draft(
        sample.meter, sample.type, sample.unit, float(sample.volume), sample.project_id, sample.user_id,
        sample.resource_id, sample.timestamp_ms, metadata, "test", arrival.message_id,
    )  # fmt: skip


class Stream:
    """A job's windows and its store, fed bundle by bundle. `again` starts a new job on the same store.

    A bundle's samples in order are in the store before the windows get them, so what is worked out again
    then has them, too.
    """

    def __init__(self, settings: Settings) -> None:
        self.rules = rules_of(settings)
        self.stored: dict[str, Draft] = {}
        self.withdrawn: list[tuple[str, str, int]] = []
        self.rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.until: int | None = None
        self.watermark: int | None = None
        self.now = 0
        self.late: list[Draft] = []
        self.told: list[dict[str, Any]] = []
        self.windows = UsageWindows(self.rules)

    def run(self, script: Script, ticks_apart: bool = True) -> None:
        """Each step is a bundle, but for ticks that come with the samples before them."""
        rest = list(script)
        while rest:
            batch = () if isinstance(rest[0], Tick) else rest.pop(0)
            alone = ticks_apart and batch
            tick = rest.pop(0) if not alone and rest and isinstance(rest[0], Tick) else None
            self._bundle(batch, tick)

    def _bundle(self, batch: Batch, tick: Tick | None) -> None:
        """What earlier bundles touched comes first."""
        clean, late = self._arrived(batch)
        self.stored |= clean
        self._work_out_again()
        if tick is not None:
            self._finals(tick)
        if clean:
            self.windows.take(sample_table([*clean.values()], 0))
        if late:
            moments = ((d.meter, d.resource_id, d.timestamp) for d in late.values())
            self.windows.touch(touched(moments))
        self.stored |= late
        if tick is not None:
            self._tick(tick)

    def _arrived(self, batch: Batch) -> tuple[dict[str, Draft], dict[str, Draft]]:
        """Return what is new: what is newer than its series, and what is not but in time."""
        by_time = sorted(self.stored.values(), key=lambda d: d.timestamp)
        newest = {(d.meter, d.resource_id): d.timestamp for d in by_time}
        arrived = {a.message_id: draft(a) for a in batch if a.message_id not in self.stored}
        is_late = {
            name: bool(self.rules.late(np.array([one.timestamp]), self.until)[0])
            for name, one in arrived.items()
        }
        fresh = {name: one for name, one in arrived.items() if not is_late[name]}
        self.late += [one for name, one in arrived.items() if is_late[name]]
        clean, late = {}, {}
        for name, one in fresh.items():
            in_order = one.timestamp > newest.get((one.meter, one.resource_id), -1)
            (clean if in_order else late)[name] = one
        return clean, late

    def withdraw(self, message_id: str) -> None:
        """Take a sample back, as when another with its id turns out to count; `again` looks at it, too."""
        one = self.stored.pop(message_id)
        self.withdrawn.append((one.meter, one.resource_id, one.timestamp))
        self.windows.touch(touched(self.withdrawn[-1:]))

    def _finals(self, tick: Tick) -> None:
        self.now = max(self.now + 2, tick.now)
        self._tell(list(self.windows.finals()), self.now - 1)

    def _tick(self, tick: Tick) -> None:
        if tick.watermark is not None:
            self.watermark = max(tick.watermark, self.watermark or tick.watermark)
        self._tell(list(self.windows.tick(self.now, self.watermark)), self.now)
        self.windows.forget()
        self.until = self.windows.final_until

    def _tell(self, told: list[Told], version: int) -> None:
        table = usage_table(self.windows, told, version)
        assert_texts_stand_once(table)
        for row in table.to_pylist():
            self.told.append(row)
            self.rows[tuple(row[name] for name in KEY)] = row

    def all_told(self) -> None:
        """Tick until nothing waits, and open windows stand as of the watermark."""
        self.run([Tick(self.now, self.watermark)] * 3)
        self.windows.changed(np.arange(len(self.windows.series)))
        self.windows._credit = 1e9
        self.run([Tick(self.now + 10_000, self.watermark)])

    def _work_out_again(self) -> None:
        if (series := self.windows.touched()) is not None:
            work_out_again(self.windows, series, Past(self.samples, self.usage))

    def again(self) -> None:
        """Start anew, as after a kill: every series of the store is worked out again."""
        self.windows = UsageWindows(self.rules, self.until)
        there = [(d.meter, d.resource_id, d.timestamp) for d in self.stored.values()]
        if there:
            known = touched(there)
            self.windows.know(known["meter"], known["resource_id"])
            self.windows.touch(touched([*there, *self.withdrawn]))

    def samples(self, since: pa.Table) -> pa.Table:
        found = []
        for meter, resource, moment in _series(since):
            of = [d for d in self.stored.values() if (d.meter, d.resource_id) == (meter, resource)]
            before = max((d.timestamp for d in of if d.timestamp < moment), default=moment)
            found += [d for d in of if d.timestamp >= before]
        return sample_table(found, 0)

    def usage(self, since: pa.Table) -> pa.Table:
        starts = {(meter, resource): moment for meter, resource, moment in _series(since)}
        found = [
            row
            for row in self.rows.values()
            if not row["is_deleted"]
            and row["start"].timestamp() * 1000
            >= starts.get((row["meter"], row["resource_id"]), float("inf"))
        ]
        return pa.Table.from_pylist(found, schema=USAGE)

    def usage_rows(self) -> list[Row]:
        """Return the newest rows as the oracle's; `final` by the watermark."""
        return sorted(_row(row, self.until) for row in self.rows.values() if not row["is_deleted"])


def touched(changes: Iterable[tuple[str, str, int]]) -> pa.Table:
    oldest: dict[tuple[str, str], int] = {}
    for meter, resource, moment in changes:
        oldest[meter, resource] = min(moment, oldest.get((meter, resource), moment))
    rows = [
        {"meter": meter, "resource_id": resource, "timestamp": moment}
        for (meter, resource), moment in oldest.items()
    ]
    return pa.Table.from_pylist(rows, schema=TOUCHED)


def _series(since: pa.Table) -> list[tuple[str, str, int]]:
    columns = [since[name].to_pylist() for name in SERIES]
    return list(zip(*columns, since["timestamp"].cast(pa.int64()).to_pylist(), strict=True))


def _row(row: dict[str, Any], until: int | None) -> Row:
    start = int(row["start"].timestamp())
    ms = {
        name: None if row[name] is None else round(row[name].timestamp() * 1000)
        for name in ("first_at", "last_at")
    }
    covered = row["covered"]
    average = row["usage"] / (covered / 3600) if row["type"] == "gauge" and covered else None
    final = until is not None and (start + row["period"]) * 1000 <= until
    same = {name: row[name] for name in Row._fields if name in row}
    return Row(**same | ms | {"start": start, "average": average, "final": final})


def assert_texts_stand_once(table: pa.Table) -> None:
    """Fail where a column names a text twice: the store refuses such a table."""
    for name in table.column_names:
        for chunk in table[name].chunks:
            if pa.types.is_dictionary(chunk.type):
                texts = chunk.dictionary.to_pylist()
                assert len(set(texts)) == len(texts), f"{name}: {texts}"
