"""Usage rows on their way into the store, and back."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.hashes import label_hashes, series_keys
from metering.schema import USAGE
from metering.usage.entries import ROW
from metering.usage.labels import CUMULATIVE, DELTA, GAUGE, Kind, Owner, label_numbers
from metering.usage.windows import Told, UsageWindows

_HOUR = 3_600_000  # ms


def usage_table(windows: UsageWindows, told: list[Told], now: int) -> pa.Table:
    """Return what was told as a table (USAGE) of version `now` (ms)."""
    parts = [_table(windows, part, now) for part in told if len(part.rows)]
    if not parts:
        return USAGE.empty_table()
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _table(windows: UsageWindows, told: Told, now: int) -> pa.Table:
    rows, labels = told.rows, windows.labels
    types = labels.types(rows["kind"])
    resources = windows.series.column("resource")[rows["series"]]
    kinds, kind = labels.kinds.told(rows["kind"])
    owners, owner = labels.owners.told(rows["owner"])
    named, resource = labels.resources.told(resources)
    none = rows["count"] == 0
    amount, covered = rows["amount"], rows["covered"] / 1000
    columns: dict[str, Any] = {
        "resource_id": _labels(named, resource),
        "period": np.full(len(rows), told.period // 1000, np.uint32),
        "start": rows["window"] // 1000,
        "count": rows["count"],
        "sum": np.where(types == CUMULATIVE, amount, rows["sum"]),
        "usage": np.where(types == GAUGE, amount / _HOUR, amount),
        "covered": pa.array(covered, mask=types == DELTA),
        "cadence": rows["cadence"],
        "amount": amount,
        "interim": np.full(len(rows), told.interim, np.uint8),
        "restated": (rows["window"] + told.period <= told.until).astype(np.uint8),
        "is_deleted": np.full(len(rows), told.gone, np.uint8),
        "version": np.full(len(rows), now, np.uint64),
    }
    columns |= {name: pa.array(rows[name], mask=none) for name in ("first", "last", "min", "max")}
    columns |= {name: pa.array(rows[name], mask=none) for name in ("first_at", "last_at")}
    columns |= {name: _labels([getattr(k, name) for k in kinds], kind) for name in Kind._fields}
    columns |= {name: _labels([getattr(o, name) for o in owners], owner) for name in Owner._fields}
    return pa.table([_as(columns[field.name], field.type) for field in USAGE], schema=USAGE)


def usage_rows(windows: UsageWindows, table: pa.Table) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the rows (ROW) of a table (USAGE), and each one's period in ms."""
    rows = np.zeros(table.num_rows, ROW)
    keys = series_keys(label_hashes(table["meter"]), label_hashes(table["resource_id"]))
    rows["series"] = windows.series.find(keys)
    # A series without samples any more has no other way to its resource.
    resources = windows.labels.resource_numbers(table)
    windows.series.column("resource")[rows["series"]] = resources
    rows["kind"] = label_numbers(windows.labels.kinds, Kind, table)
    rows["owner"] = label_numbers(windows.labels.owners, Owner, table)
    types = windows.labels.types(rows["kind"])
    rows["window"] = table["start"].cast(pa.int64()).to_numpy() * 1000
    for name in ("count", "cadence", "amount"):
        rows[name] = table[name].to_numpy()
    rows["sum"] = np.where(types == CUMULATIVE, 0.0, table["sum"].to_numpy())
    for name, none in (("first", 0.0), ("last", 0.0), ("min", np.inf), ("max", -np.inf)):
        rows[name] = table[name].fill_null(none).to_numpy()
    for name in ("first_at", "last_at"):
        rows[name] = table[name].cast(pa.int64()).fill_null(-1).to_numpy()
    rows["covered"] = np.rint(table["covered"].fill_null(0.0).to_numpy() * 1000)
    return rows, table["period"].to_numpy().astype(np.int64) * 1000


def _labels(texts: list[str], codes: npt.NDArray[Any]) -> pa.Array:
    """Return a text a row; the same text of two labels stands once, or the store refuses the table."""
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    places = np.array([numbers[text] for text in texts], np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(places[codes]), pa.array(list(numbers), pa.string())
    )


def _as(values: Any, kind: Any) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == kind else array.cast(kind)
