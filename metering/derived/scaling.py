"""What a transformer's `source` and `target` say: names, units, types, and a factor."""

import dataclasses
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.derived.expressions import Expression
from metering.derived.facts import FactTable
from metering.derived.rows import Kind, Kinds, Rows, mapped
from metering.derived.values import F64


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """The name, unit and type of what comes out; null is what went in."""

    name: str | None = None
    unit: str | None = None
    type: str | None = None
    maps: dict[str, tuple[re.Pattern[str], str]] = dataclasses.field(default_factory=dict)

    def of(self, kind: Kind) -> Kind:
        """Return the kind of what comes out. A map counts before a name; one that gives nothing does not."""
        return Kind(
            self._mapped("name", kind.meter) or self.name or kind.meter,
            self.type or kind.type,
            self._mapped("unit", kind.unit) or (kind.unit if self.unit is None else self.unit),
        )

    def _mapped(self, attribute: str, text: str) -> str | None:
        if attribute not in self.maps:
            return None
        pattern, replacement = self.maps[attribute]
        return pattern.sub(replacement, text)

    def renamed(self, rows: Rows, kinds: Kinds) -> npt.NDArray[np.int64]:
        """Return the number of each row's kind as it comes out."""
        return mapped(rows["kind"], kinds, lambda kind: kinds.number(self.of(kind)))


class Scale:
    """A factor: a number, or an expression with what it reads of metadata."""

    def __init__(self, scale: float | Expression | None, most: float | None) -> None:
        self._scale = scale
        self._most = most
        self._facts = FactTable(scale.paths[0]) if isinstance(scale, Expression) else None

    @property
    def reads_metadata(self) -> bool:
        """Whether the expression reads metadata."""
        return isinstance(self._scale, Expression) and bool(self._scale.paths[0])

    def volumes(self, rows: Rows, samples: pa.Table) -> F64:
        """Return scaled volumes: times a number, or what an expression says; NaN where it says nothing."""
        if isinstance(self._scale, Expression):
            return self._said(self._scale, rows, samples)
        volumes: F64 = rows["volume"] * (1.0 if self._scale is None else self._scale)
        return volumes

    def factors(self, rows: Rows, samples: pa.Table) -> F64:
        """Return what a rate is multiplied by; NaN where an expression says nothing."""
        if isinstance(self._scale, Expression):
            return self._said(self._scale, rows, samples)
        return np.full(len(rows), 1.0 if self._scale is None else self._scale)

    def bounded(self, volumes: F64) -> F64:
        """Return volumes, at most `max`."""
        return volumes if self._most is None else np.minimum(volumes, self._most)

    def _said(self, scale: Expression, rows: Rows, samples: pa.Table) -> F64:
        assert self._facts is not None
        numbers = self._facts.numbers(samples["metadata"], rows["metadata"])
        said = np.empty(len(rows))
        for number in np.unique(numbers).tolist():
            which = numbers == number
            facts = self._facts.facts[number]
            said[which] = scale.values([rows["volume"][which]], [facts])
        said[~np.isfinite(said)] = np.nan
        return said
