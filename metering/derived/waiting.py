"""What waits for a tick: series whose past changed, and windows that are not complete."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from metering.derived.chain import Chain
from metering.derived.plan import Plan
from metering.derived.rows import Rows
from metering.schema import TOUCHED

KEYS: Final = ["meter", "resource_id"]
_MS: Final = pl.Datetime("ms", "UTC")
SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "meter": pl.String,
    "resource_id": pl.String,
    "timestamp": _MS,
}

Series = tuple[str, str]  # meter, resource_id


class Waiting:
    """Series and moments, told by texts: the store is asked about them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._changed: list[pl.DataFrame] = []  # SCHEMA
        self._open: dict[tuple[int, int], set[Series]] = {}  # by chain, and end of the window in ms

    def change(self, series: pl.DataFrame) -> None:
        """Have series (SCHEMA) worked out again since a moment."""
        self._changed.append(series)
        for place, chain in enumerate(self._plan.chains):
            if chain.window is not None:
                mine = series.filter(pl.col("meter").is_in(self._plan.meters(place)))
                self.open(place, chain.window, mine)

    def open(self, place: int, window: int, series: pl.DataFrame) -> None:
        """Have the windows that hold these moments (SCHEMA) worked out once they are complete."""
        ends = (pl.col("timestamp").dt.epoch("ms") // window + 1) * window
        distinct = series.select(ends.alias("end"), *KEYS).unique()
        for end, meter, resource in distinct.iter_rows():
            self._open.setdefault((place, end), set()).add((meter, resource))

    def due(self, watermark: int | None) -> pl.DataFrame:
        """Return what changed and what is complete (SCHEMA), and forget it."""
        due, self._changed = self._changed, []
        complete = [key for key in self._open if watermark is not None and key[1] <= watermark]
        for place, end in sorted(complete):
            series = sorted(self._open.pop((place, end)))
            window = self._plan.chains[place].window
            assert window is not None
            rows = [(meter, resource, end - window) for meter, resource in series]
            due.append(frame_of(rows))
        return pl.concat(due) if due else frame_of([])


def asked_by(chain: Chain, meters: Iterable[str], changed: pl.DataFrame) -> pl.DataFrame:
    """Return the series that a chain needs (SCHEMA, each once), and since when."""
    meters = list(meters)
    mine = changed.filter(pl.col("meter").is_in(meters))
    if chain.window is not None:
        start = pl.col("timestamp").dt.epoch("ms") // chain.window * chain.window
        mine = mine.with_columns(start.cast(_MS).alias("timestamp"))
    if chain.arithmetic is not None:  # the moments of one operand change what others add up to
        oldest = mine.group_by("resource_id").agg(pl.col("timestamp").min())
        mine = pl.DataFrame({"meter": meters}, {"meter": pl.String}).join(oldest, how="cross")
    return oldest_of(mine)


def by_resources(series: pl.DataFrame, many: int) -> Iterator[pl.DataFrame]:
    """Yield the series (SCHEMA) of so many resources at a time."""
    resources = series["resource_id"].unique().sort()
    for start in range(0, len(resources), many):
        some = resources.slice(start, many)
        yield series.filter(pl.col("resource_id").is_in(some.implode()))


def oldest_of(series: pl.DataFrame) -> pl.DataFrame:
    """Return each series once, since its oldest moment."""
    oldest = series.group_by(KEYS).agg(pl.col("timestamp").min()).sort(KEYS)
    return oldest.select(TOUCHED.names)


def parents_of(rows: Rows, samples: pa.Table) -> pl.DataFrame:
    """Return the series and moments (SCHEMA) of the samples that rows are made of."""
    parents = pa.array(rows["parent"])
    columns = {name: samples[name].take(parents).cast(pa.string()) for name in KEYS}
    frame = pl.DataFrame({name: pl.Series(column) for name, column in columns.items()})
    return frame.with_columns(pl.Series("timestamp", rows["at"].astype(np.int64)).cast(_MS))


def frame_of(rows: pa.Table | list[tuple[str, str, int]]) -> pl.DataFrame:
    """Return TOUCHED, or tuples with ms, as a frame (SCHEMA)."""
    if isinstance(rows, list):
        frame = pl.DataFrame(rows, schema=SCHEMA | {"timestamp": pl.Int64()}, orient="row")
        return frame.with_columns(pl.col("timestamp").cast(_MS))
    return pl.DataFrame(rows).select(pl.col(*KEYS).cast(pl.String), pl.col("timestamp").cast(_MS))


def touched_of(series: pl.DataFrame) -> pa.Table:
    """Return a frame (SCHEMA) as TOUCHED."""
    table: pa.Table = series.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.select(TOUCHED.names).cast(TOUCHED)
