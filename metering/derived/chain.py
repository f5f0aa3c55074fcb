"""A sink's chain of transformers, and which meters it takes and makes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from metering.derived.arithmetic import Arithmetic
from metering.derived.filters import MeterFilter
from metering.derived.lineage import Origin
from metering.derived.memory import LAST, LastSamples
from metering.derived.rows import Kind, Kinds, Rows, firsts
from metering.derived.transformers import (
    Aggregator,
    Delta,
    RateOfChange,
    UnitConversion,
    neighbours,
)
from metering.memory import U64

Transformer = UnitConversion | RateOfChange | Delta | Aggregator | Arithmetic

_NEVER: Final = -(1 << 62)  # ms


class ChainError(ValueError):
    """Transformers that can't stand in one sink; says why."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """Transformers one after the other: at most one that looks back, and a window after it.

    `number` is the place of the sink in the file.
    """

    number: int
    sink: str
    version: str  # a hash of the definition
    filters: Sequence[MeterFilter]
    transformers: Sequence[Transformer]

    def __post_init__(self) -> None:
        """Raises ChainError."""
        held = [t for t in self.transformers if not isinstance(t, UnitConversion)]
        kinds = [type(transformer) for transformer in held]
        if len(held) > 1 and not (
            len(held) == 2 and kinds[1] is Aggregator and kinds[0] in _GROWTH
        ):
            names = " and ".join(_NAMES[kind] for kind in kinds)
            raise ChainError(
                f"{names} can't follow each other; of those that look at several samples a sink may have"
                " one, and an aggregator after rate_of_change or delta"
            )

    @property
    def looks_back(self) -> RateOfChange | Delta | None:
        """What needs the sample before."""
        return next((t for t in self.transformers if isinstance(t, RateOfChange | Delta)), None)

    @property
    def arithmetic(self) -> Arithmetic | None:
        """What needs several meters of a resource."""
        return next((t for t in self.transformers if isinstance(t, Arithmetic)), None)

    @property
    def window(self) -> int | None:
        """The length of the windows it has to wait for (ms)."""
        return next((t.window for t in self.transformers if isinstance(t, Aggregator)), None)

    @property
    def passes(self) -> bool:
        """Whether samples may come out as they went in: those of another unit than a conversion's."""
        return any(
            isinstance(t, UnitConversion) and t.source_unit is not None for t in self.transformers
        )

    @property
    def needs_metadata(self) -> bool:
        """Whether metadata of earlier samples counts: what comes of them is remembered."""
        if self.arithmetic is not None and self.arithmetic.reads_metadata:
            return True
        before, main, _ = self._parts()
        return main is not None and any(t.scale.reads_metadata for t in before)

    def makes(self, meter: str) -> set[str]:
        """Return the names that samples of a meter may have at the end, never the meter's own."""
        if not any(each.takes(meter) for each in self.filters):
            return set()
        names = {meter}
        for transformer in self.transformers:
            if isinstance(transformer, Arithmetic) and names.isdisjoint(transformer.meters):
                return set()
            renamed = {transformer.naming.of(Kind(name, "", "")).meter for name in names}
            passes = isinstance(transformer, UnitConversion) and transformer.source_unit is not None
            names = renamed | names if passes else renamed
        return names - {meter}

    def origin(self, meter: str) -> Origin:
        """Return what samples of a meter are the origin of."""
        parents = tuple(self.arithmetic.meters) if self.arithmetic else (meter,)
        return Origin(self.number, parents, self.version)

    def before(self, rows: Rows, samples: pa.Table, kinds: Kinds) -> Rows:
        """Return what comes to the first transformer that looks at several samples."""
        return _converted(self._parts()[0], rows, samples, kinds)

    def after(self, rows: Rows, samples: pa.Table, kinds: Kinds, until: int | None = None) -> Rows:
        """Return what comes of the results of the first that looks back; windows up to `until` (ms)."""
        _, _, rest = self._parts()
        for transformer in rest:
            if isinstance(transformer, Aggregator):
                rows = transformer.rows(rows, samples, kinds, _NEVER if until is None else until)
            elif isinstance(transformer, UnitConversion):
                rows = transformer.rows(rows, samples, kinds)
        return rows

    def grown(self, rows: Rows, samples: pa.Table, kinds: Kinds, lasts: LastSamples | None) -> Rows:
        """Return what comes of rows and the ones before them; before the first those of `lasts`."""
        looks_back = self.looks_back
        if looks_back is None:
            return rows
        known = None
        if lasts is not None:
            known = lasts.of(lasts.places(rows["series"][firsts(rows["series"])]))
        return looks_back.rows(rows, neighbours(rows, known), samples, kinds)

    def remember(self, rows: Rows, lasts: LastSamples) -> None:
        """Keep the newest of each series, of rows that came to what looks back."""
        if self.looks_back is not None and self.window is None and len(rows):
            newest = rows[np.append(firsts(rows["series"])[1:], True)]
            kept = np.zeros(len(newest), LAST)
            for name in ("at", "volume", "kind"):
                kept[name] = newest[name]
            lasts.put(lasts.places(newest["series"]), kept)

    def lasts(self) -> LastSamples:
        """Return room for the last samples that it looks back at."""
        return self.arithmetic.lasts() if self.arithmetic else LastSamples()

    def forget(self, series: U64, lasts: LastSamples) -> None:
        """Know nothing of these series, each once."""
        if self.looks_back is not None and self.window is None:
            lasts.forget(lasts.places(series))

    def _parts(self) -> tuple[list[Any], Transformer | None, list[Any]]:
        for place, transformer in enumerate(self.transformers):
            if isinstance(transformer, RateOfChange | Delta | Arithmetic):
                rest = list(self.transformers[place + 1 :])
                return list(self.transformers[:place]), transformer, rest
            if isinstance(transformer, Aggregator):
                return list(self.transformers[:place]), None, list(self.transformers[place:])
        return list(self.transformers), None, []


def _converted(conversions: list[Any], rows: Rows, samples: pa.Table, kinds: Kinds) -> Rows:
    for conversion in conversions:
        rows = conversion.rows(rows, samples, kinds)
    return rows


_GROWTH: Final = (RateOfChange, Delta)
_NAMES: Final = {
    RateOfChange: "rate_of_change",
    Delta: "delta",
    Aggregator: "aggregator",
    Arithmetic: "arithmetic",
}
