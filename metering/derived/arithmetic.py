"""Arithmetic over several meters of a resource, by the values they have at a moment."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from metering.derived.expressions import Expression
from metering.derived.facts import FactTable
from metering.derived.memory import LAST, NONE, UNKNOWN, Lasts, LastSamples
from metering.derived.rows import Kinds, Rows, firsts, mapped, of_kinds
from metering.derived.scaling import Naming

Mask = npt.NDArray[np.bool_]


@dataclasses.dataclass(slots=True)
class Split:
    """Rows by operand, and those of resources that have to wait for history."""

    rows: Rows  # sorted by resource, time and operand, one of each
    operands: npt.NDArray[np.int64]
    facts: npt.NDArray[np.uint32]


class Arithmetic:
    """An expression over the values that several meters of a resource have at a moment.

    A value counts until the next one of its meter, at most `max_gap` (ms). There is a result at each
    moment at which one of the meters has a sample and all have a value; it has the labels of the
    newest sample, of several the first in the expression.
    """

    def __init__(self, naming: Naming, expression: Expression, max_gap: int) -> None:
        self.naming = naming
        self.meters = expression.meters
        self._expression = expression
        self._max_gap = max_gap
        self._tables = [FactTable(paths) for paths in expression.paths]

    @property
    def reads_metadata(self) -> bool:
        """Whether the expression reads metadata."""
        return any(self._expression.paths)

    def split(self, rows: Rows, samples: pa.Table, kinds: Kinds) -> Split:
        """Return the rows of operands; of deltas that share a moment the largest counts."""
        places = {meter: number for number, meter in enumerate(self.meters)}
        numbers = np.array([places.get(meter, -1) for meter in of_kinds(kinds, "meter")], np.int64)
        operands = numbers[rows["kind"]]
        rows, operands = rows[operands >= 0], operands[operands >= 0]
        keys = (-rows["volume"], operands, rows["at"], rows["resource"])
        order = np.lexsort(keys)
        rows, operands = rows[order], operands[order]
        kept = _moments(rows) | firsts(operands)
        rows, operands = rows[kept], operands[kept]
        facts = np.zeros(len(rows), np.uint32)
        for number, table in enumerate(self._tables):
            of = operands == number
            facts[of] = table.numbers(samples["metadata"], rows["metadata"][of])
        return Split(rows, operands, facts)

    def lasts(self) -> LastSamples:
        """Return room for the newest value of each operand, a key a resource."""
        return LastSamples(len(self.meters))

    def remember(self, split: Split, lasts: LastSamples) -> npt.NDArray[np.int64]:
        """Keep the newest values; return the newest moment (ms) each resource was known at before."""
        if not len(split.rows):
            return np.zeros(0, np.int64)
        starts = firsts(split.rows["resource"])
        places = lasts.places(split.rows["resource"][starts])
        before = np.full(len(places), np.iinfo(np.int64).min)
        ends = np.append(np.flatnonzero(starts)[1:], len(split.rows)) - 1
        for number in range(len(self.meters)):
            known = lasts.of(places, number)
            there = known["kind"] != NONE
            before[there] = np.maximum(before[there], known["at"][there])
            newest, here = _newest(split, number, ends)
            lasts.put(places[here], _as_lasts(split, newest[here]), number)
        return before

    def results(self, split: Split, lasts: LastSamples | None, kinds: Kinds) -> Rows:
        """Return the result of each moment; `lasts` are the values before."""
        rows = split.rows
        places = np.flatnonzero(_moments(rows))
        if not len(places):
            return rows[:0]
        made = rows[places]
        held = [self._held(split, places, number, lasts) for number in range(len(self.meters))]
        there = np.ones(len(made), np.bool_)
        for values in held:
            there &= (values["kind"] != NONE) & (made["at"] - values["at"] <= self._max_gap)
        made, held = made[there], [values[there] for values in held]
        made["volume"] = self._values(held)
        made["kind"], made["nth"] = self._named(held[0]["kind"], kinds), 0
        return made

    def _held(
        self, split: Split, moments: npt.NDArray[np.int64], operand: int, lasts: LastSamples | None
    ) -> Lasts:
        """Return the value that an operand has at each moment."""
        ends = np.append(moments[1:], len(split.rows)) - 1
        newest, here = _newest(split, operand, ends)
        if lasts is None:
            held = np.full(len(moments), UNKNOWN)
        else:
            starts = firsts(split.rows["resource"])
            places = lasts.places(split.rows["resource"][starts])
            held = lasts.of(places, operand)[(np.cumsum(starts) - 1)[moments]]
        held[here] = _as_lasts(split, newest[here])
        return held

    def _values(self, held: list[Lasts]) -> npt.NDArray[np.float64]:
        """Return the expression's values; rows of the same facts are worked out together."""
        facts = np.stack([values["facts"] for values in held])
        distinct, which = np.unique(facts, axis=1, return_inverse=True)
        which = which.reshape(-1)  # of another shape in some versions
        found = np.empty(facts.shape[1])
        for number in range(distinct.shape[1]):
            of = which == number
            told = [
                t.facts[n] for t, n in zip(self._tables, distinct[:, number].tolist(), strict=True)
            ]
            found[of] = self._expression.values([values["volume"][of] for values in held], told)
        return found

    def _named(self, first: npt.NDArray[np.uint32], kinds: Kinds) -> npt.NDArray[np.int64]:
        """Return the kind of each result: as the first meter of the expression, but for the naming."""
        return mapped(first, kinds, lambda kind: kinds.number(self.naming.of(kind)))


def _moments(rows: Rows) -> Mask:
    """Return the first row of each resource and moment."""
    starts = firsts(rows["resource"])
    starts[1:] |= rows["at"][1:] != rows["at"][:-1]
    return starts


def _newest(
    split: Split, operand: int, ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Mask]:
    """Return the last row of an operand up to some rows, and where that is of the same resource."""
    every = np.where(split.operands == operand, np.arange(len(split.rows)), -1)
    newest = np.maximum.accumulate(every)[ends]
    resources = split.rows["resource"]
    return newest, (newest >= 0) & (resources[newest] == resources[ends])


def _as_lasts(split: Split, places: npt.NDArray[np.int64]) -> Lasts:
    lasts = np.empty(len(places), LAST)
    for name in ("at", "volume", "kind"):
        lasts[name] = split.rows[name][places]
    lasts["facts"] = split.facts[places]
    return lasts
