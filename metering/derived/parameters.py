"""What a transformer's `parameters` say, read into a transformer: every fault with its line."""

import math
import re
from collections.abc import Callable
from typing import Any, Final

from metering.definitions.reading import Entry, Faults
from metering.derived.arithmetic import Arithmetic
from metering.derived.expressions import (
    Expression,
    ExpressionError,
    compile_arithmetic,
    compile_scale,
)
from metering.derived.scaling import Naming, Scale
from metering.derived.transformers import Aggregator, Delta, RateOfChange, UnitConversion
from metering.schema import SAMPLE_TYPES

Transformer = UnitConversion | RateOfChange | Delta | Aggregator | Arithmetic

_HOUR: Final = 3600.0  # s; the window of an aggregator that has only a size
_MAPPED: Final = ("name", "unit")
_SOURCE: Final = ("unit", "map_from", "name")
_TARGET: Final = ("name", "unit", "type", "map_to", "scale", "max")


class Parameters:
    """The parameters of one transformer; every reading notes what is wrong."""

    def __init__(self, entry: Entry, faults: Faults, max_gap: int) -> None:
        given = entry.get("parameters")
        self.faults = faults
        self.max_gap = max_gap  # ms
        self.own = self._mapping(entry, "parameters", given)
        self.source = self._mapping(self.own, "source", self.own.get("source"))
        self.target = self._mapping(self.own, "target", self.own.get("target"))

    def known(self, *own: str, source: tuple[str, ...] = (), target: tuple[str, ...] = ()) -> None:
        """Note parameters that the transformer does not have."""
        parts = [
            (
                self.own,
                "",
                (*own, *(("source",) if source else ()), *(("target",) if target else ())),
            )
        ]
        parts += [(self.source, "source.", source), (self.target, "target.", target)]
        for part, prefix, names in parts:
            for name in part:
                if name not in names and (prefix == "" or part):
                    there = ", ".join(names) or "none"
                    self.faults.add(
                        part.line_of(name), f"no parameter {prefix}{name}; there are {there}"
                    )

    def naming(self) -> Naming:
        """Return the names that come out."""
        kind = self.text(self.target, "type")
        if kind is not None and kind not in SAMPLE_TYPES:
            said = f"type: {kind!r} is none of {', '.join(SAMPLE_TYPES)}"
            self.faults.add(self.target.line_of("type"), said)
        return Naming(
            self.text(self.target, "name"), self.text(self.target, "unit"), kind, self._maps()
        )

    def scale(self) -> Scale:
        """Return the factor and its bound."""
        scale: float | Expression | None = None
        given = self.target.get("scale")
        if isinstance(given, str):
            scale = self.expression("scale", given, compile_scale)
        elif given is not None:
            scale = self.number(self.target, "scale")
        return Scale(scale or None, self.number(self.target, "max") or None)

    def expression(
        self, name: str, text: str, compiler: Callable[[str], Expression]
    ) -> Expression | None:
        """Return a compiled expression of the target."""
        try:
            return compiler(text)
        except ExpressionError as error:
            self.faults.add(self.target.line_of(name), f"{name}: {text!r} {error}")
            return None

    def text(self, part: Entry, name: str, choices: tuple[str, ...] = ()) -> str | None:
        """Return a text, None where there is none."""
        value = part.get(name)
        if value is None or (isinstance(value, str) and (not choices or value in choices)):
            return value
        wanted = f"one of {', '.join(choices)}" if choices else "text"
        self.faults.add(part.line_of(name), f"{name}: must be {wanted}")
        return None

    def number(self, part: Entry, name: str, whole: bool = False) -> float | None:
        """Return a number, also from text ("60"); None where there is none."""
        value = part.get(name)
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or (whole and (number < 0 or not number.is_integer())):
            wanted = "a whole number, 0 or more" if whole else "a number"
            self.faults.add(part.line_of(name), f"{name}: must be {wanted}")
            return None
        return number

    def _mapping(self, part: Entry, name: str, given: Any) -> Entry:
        if given is not None and not isinstance(given, Entry):
            self.faults.add(part.line_of(name), f"{name}: must be a mapping")
        return given if isinstance(given, Entry) else Entry(part.line_of(name))

    def _maps(self) -> dict[str, tuple[re.Pattern[str], str]]:
        below = self._mapping(self.source, "map_from", self.source.get("map_from"))
        above = self._mapping(self.target, "map_to", self.target.get("map_to"))
        found = {}
        for name in (*below, *(name for name in above if name not in below)):
            part = below if name in below else above
            if name not in _MAPPED:
                self.faults.add(part.line_of(name), f"{name}: only name and unit can be mapped")
            elif name not in below or name not in above:
                missing = "map_to" if name in below else "map_from"
                self.faults.add(part.line_of(name), f"{name}: {missing} says nothing of it")
            else:
                pair = self._map(below, above, name)
                if pair is not None:
                    found[name] = pair
        return found

    def _map(self, below: Entry, above: Entry, name: str) -> tuple[re.Pattern[str], str] | None:
        pattern, replacement = self.text(below, name), self.text(above, name)
        if pattern is None or replacement is None:
            return None
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            self.faults.add(below.line_of(name), f"map_from.{name}: no regular expression: {error}")
            return None
        try:
            # An empty text matches this, and the replacement is made, whatever the groups hold.
            re.compile(f"(?:{pattern})?", compiled.flags).sub(replacement, "")
        except (re.error, IndexError) as error:
            self.faults.add(above.line_of(name), f"map_to.{name}: {error}")
            return None
        return compiled, replacement


def _unit_conversion(given: Parameters) -> Transformer | None:
    given.known(source=_SOURCE, target=_TARGET)
    return UnitConversion(given.naming(), given.scale(), given.text(given.source, "unit"))


def _rate_of_change(given: Parameters) -> Transformer | None:
    given.known(source=_SOURCE, target=_TARGET)
    return RateOfChange(given.naming(), given.scale())


def _delta(given: Parameters) -> Transformer | None:
    given.known("growth_only", source=("map_from",), target=("name", "map_to"))
    growth_only = given.own.get("growth_only", False)
    if not isinstance(growth_only, bool):
        given.faults.add(given.own.line_of("growth_only"), "growth_only: must be true or false")
    naming = given.naming()
    return Delta(Naming(naming.name, None, "delta", naming.maps), growth_only is True)


def _aggregator(given: Parameters) -> Transformer | None:
    names = ("size", "retention_time", "project_id", "user_id", "resource_metadata", "timestamp")
    given.known(*names, source=_SOURCE, target=_TARGET)
    size = given.number(given.own, "size", whole=True)
    seconds = given.number(given.own, "retention_time")
    ends = ("first", "last")
    chosen = {
        name: given.text(given.own, name, (*ends, "drop") if name == "resource_metadata" else ends)
        for name in names[2:]
    }
    if not seconds and (not size or size == 1):
        return UnitConversion(given.naming(), given.scale())  # each sample by itself
    if seconds is not None and seconds < 0.001:
        given.faults.add(
            given.own.line_of("retention_time"), "retention_time: must be 0.001 or more"
        )
        return None
    return Aggregator(
        given.naming(),
        given.scale(),
        round((seconds or _HOUR) * 1000),
        int(size) if size else None,
        chosen["project_id"],
        chosen["user_id"],
        chosen["resource_metadata"] or "last",
        chosen["timestamp"] or "first",
    )


def _accumulator(given: Parameters) -> Transformer | None:
    given.known("size")
    given.number(given.own, "size", whole=True)
    return (
        None  # samples pass when they come; how many are sent together is no part of their meaning
    )


def _arithmetic(given: Parameters) -> Transformer | None:
    given.known(target=("name", "unit", "type", "expr"))
    naming = given.naming()
    text = given.target.get("expr")
    if naming.name is None:
        given.faults.add(given.target.line, "target.name: is required")
    if not isinstance(text, str):
        given.faults.add(given.target.line_of("expr"), "target.expr: must be text")
        return None
    expression = given.expression("expr", text, compile_arithmetic)
    if expression is None:
        return None
    if naming.name in expression.meters:
        given.faults.add(given.target.line_of("name"), f"name: {naming.name} is in the expression")
    return Arithmetic(naming, expression, given.max_gap)


TRANSFORMERS: Final[dict[str, Callable[[Parameters], Transformer | None]]] = {
    "accumulator": _accumulator,
    "aggregator": _aggregator,
    "arithmetic": _arithmetic,
    "delta": _delta,
    "rate_of_change": _rate_of_change,
    "unit_conversion": _unit_conversion,
}
