"""The rule of a composite alarm: a tree of `and` and `or` over rules on meters and other alarms.

Source: Aodh's composite rule: leaves are rules with a `type`, without `_rule` around them. Ours takes
    {"type": "alarm", "alarm_id": "..."} for another alarm's state, too.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from metering.alarms import meter_rules
from metering.alarms.faults import DefinitionError
from metering.alarms.meter_rules import MeterRule
from metering.alarms.reading import Reading

_READERS: Final = {
    "gnocchi_aggregation_by_metrics_threshold": meter_rules.metrics_rule,
    "gnocchi_aggregation_by_resources_threshold": meter_rules.resources_rule,
    "gnocchi_resources_threshold": meter_rules.resource_rule,
    "threshold": meter_rules.statistics_rule,
}
_DEEPEST: Final = 10
_MOST: Final = 100  # leaves


@dataclasses.dataclass(frozen=True, slots=True)
class AlarmLeaf:
    """The state of another alarm."""

    alarm_id: str

    def to_json(self) -> dict[str, Any]:
        """Return the leaf as it is served."""
        return {"type": "alarm", "alarm_id": self.alarm_id}


@dataclasses.dataclass(frozen=True, slots=True)
class Branch:
    """All (`and`) or any (`or`) of its parts."""

    operator: str
    parts: "tuple[Tree, ...]"

    def to_json(self) -> dict[str, Any]:
        """Return the branch as it is served."""
        return {self.operator: [tree_json(part) for part in self.parts]}


Leaf = MeterRule | AlarmLeaf
Tree = Branch | Leaf


@dataclasses.dataclass(frozen=True, slots=True)
class CompositeRule:
    """`composite`: a tree; its leaves are rule1, rule2, ... from left to right."""

    type: ClassVar[str] = "composite"

    tree: Tree

    def leaves(self) -> list[Leaf]:
        """Return the leaves from left to right."""
        return list(_leaves(self.tree))

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        return tree_json(self.tree)


def tree_json(tree: Tree) -> dict[str, Any]:
    """Return a tree as it is served."""
    if isinstance(tree, MeterRule):
        return {"type": tree.type, **tree.to_json()}
    return tree.to_json()


def composite_rule(found: Any) -> CompositeRule:
    """Return a composite rule. Raises DefinitionError."""
    rule = CompositeRule(_tree(found, 1))
    if len(rule.leaves()) > _MOST:
        raise DefinitionError(f"A composite rule takes {_MOST} rules at the most.")
    return rule


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Branch):
        for part in tree.parts:
            yield from _leaves(part)
    else:
        yield tree


def _tree(found: Any, depth: int) -> Tree:
    if not isinstance(found, Mapping) or depth > _DEEPEST:
        raise _invalid(found)
    if len(found) == 1 and "type" not in found:
        ((operator, parts),) = found.items()
        if operator not in ("and", "or"):
            raise DefinitionError('Threshold rules should be combined with "and" or "or"')
        if not isinstance(parts, list) or not parts:
            raise _invalid(found)
        return Branch(operator, tuple(_tree(part, depth + 1) for part in parts))
    return _leaf(found)


def _leaf(found: Mapping[str, Any]) -> Leaf:
    kind = found.get("type")
    if not kind:
        raise DefinitionError("type must be set in every rule")
    rest = {key: value for key, value in found.items() if key != "type"}
    if kind == "alarm":
        reading = Reading("composite_rule", rest)
        reading.only(("alarm_id",))
        return AlarmLeaf(reading.name_text("alarm_id"))
    if kind not in _READERS:
        raise DefinitionError(
            f"Unsupported sub-rule type :{str(kind)[:100]} in composite rule,"
            f" should be one of: {[*sorted(_READERS), 'alarm']}"
        )
    return _READERS[kind](rest)


def _invalid(found: Any) -> DefinitionError:
    return DefinitionError(
        f"Invalid input composite rule: {str(found)[:200]}, it should be a dict with an"
        ' "and" or "or" as key, and the value of dict should be a list of basic threshold'
        f" rules or sub composite rules, can be nested, {_DEEPEST} deep at the most."
    )
