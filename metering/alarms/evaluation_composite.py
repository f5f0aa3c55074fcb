"""Composite alarms: a tree of rules and of other alarms' states.

Source: Aodh's composite evaluator: rules are looked at only as far as needed; then a rule with mixed periods
    counts as its trend where the alarm is unknown, else as the opposite.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from metering.alarms.buckets import Buckets
from metering.alarms.buckets_verdicts import BEFORE_ALL, Moment, Reason, Verdict
from metering.alarms.composition import AlarmLeaf, Branch, CompositeRule, Tree, tree_json
from metering.alarms.evaluation import Part, States, buckets_of
from metering.alarms.states import ALARM, OK, UNKNOWN, State

_BECAUSE: Final[dict[State, str]] = {
    "alarm": "outside their threshold.",
    "ok": "inside their threshold.",
    "insufficient data": "state evaluated to unknown.",
}
_OPPOSITE: Final[dict[State, State]] = {"alarm": "ok", "ok": "alarm"}


class CompositeEvaluator:
    """Evaluates a composite rule; its leaves are its parts."""

    def __init__(self, rule: CompositeRule) -> None:
        self.rule = rule
        self.leaves = rule.leaves()
        self.buckets: dict[int, Buckets] = {
            nth: buckets_of(leaf)
            for nth, leaf in enumerate(self.leaves)
            if not isinstance(leaf, AlarmLeaf)
        }
        self.parts: Mapping[int, Part] = self.buckets

    def findings(self, moment: Moment, states: States) -> Iterator["Composed"]:
        yield self.present(moment, states)

    def present(self, moment: Moment, states: States) -> "Composed":
        return Composed(self, moment, states)

    def due(self, state: State, moment: Moment) -> int:
        dues = (each.due(_settled(each.present(moment)), moment) for each in self.buckets.values())
        return min(dues, default=-BEFORE_ALL)


class Composed:
    """What a tree comes to; its rules are looked at when they are asked."""

    fresh = True

    def __init__(self, evaluator: CompositeEvaluator, moment: Moment, states: States) -> None:
        self._evaluator = evaluator
        self._moment, self._states = moment, states
        self._found: dict[int, State | None] = {}  # of the leaves that were looked at
        self._mixed: dict[int, State] = {}  # trends
        self._waiting = False
        self.waits = False

    @property
    def seen(self) -> int:
        """Up to when samples were looked at (ms)."""
        newest = (each.newest for each in self._evaluator.buckets.values())
        return max(self._moment.passed, *newest) if self._evaluator.buckets else BEFORE_ALL

    def after(self, before: State) -> State:
        """Return the state that follows; the same where what is missing may yet come."""
        self._found, self._mixed, self._waiting = {}, {}, False
        found = self._says()
        if found is None:
            for nth in range(len(self._evaluator.leaves)):
                self._look(nth)
            for nth, trend in self._mixed.items():
                self._found[nth] = trend if before == UNKNOWN else _OPPOSITE[trend]
            found = self._says()
        self.waits = found is None and self._waiting
        if found is None:
            return before if self._waiting else UNKNOWN
        return found

    def repeats(self, state: State) -> bool:
        """Return whether actions are repeated."""
        return state != UNKNOWN

    def reason(self, before: State, after: State) -> Reason:
        """Return why, with the rules that are in that state."""
        causes = {
            f"rule{nth + 1}": self._evaluator.leaves[nth]
            for nth, state in sorted(self._found.items())
            if state == after
        }
        form = _form(self._evaluator.rule.tree)
        way = "remaining as" if before == after else "transition to"
        text = (
            f"Composite rule alarm with composition form: {form} {way} {after}, due to rules:"
            f" {', '.join(sorted(causes))} {_BECAUSE[after]}"
        )
        rules = {name: tree_json(leaf) for name, leaf in causes.items()}
        return text, {"type": "composite", "composition_form": form, "causative_rules": rules}

    def _says(self) -> State | None:
        numbers = iter(range(len(self._evaluator.leaves)))
        tree = _numbered(self._evaluator.rule.tree, numbers)
        if _holds(tree, all, any, lambda nth: self._look(nth) == ALARM):
            return ALARM
        # What is not alarmed in an `and` makes it ok by itself; in an `or` all must be.
        return OK if _holds(tree, any, all, lambda nth: self._look(nth) == OK) else None

    def _look(self, nth: int) -> State | None:
        if nth not in self._found:
            self._found[nth] = self._state(nth)
        return self._found[nth]

    def _state(self, nth: int) -> State | None:
        leaf = self._evaluator.leaves[nth]
        if isinstance(leaf, AlarmLeaf):
            return self._states.get(leaf.alarm_id, UNKNOWN)
        verdict = self._evaluator.buckets[nth].present(self._moment)
        if verdict.trend is not None:
            self._mixed[nth] = verdict.trend
        self._waiting |= verdict.waits
        return verdict.state


_Numbered = tuple[str, "list[_Numbered]"] | int
_Join = Callable[[Iterator[bool]], bool]


def _numbered(tree: Tree, numbers: Iterator[int]) -> _Numbered:
    if isinstance(tree, Branch):
        return tree.operator, [_numbered(part, numbers) for part in tree.parts]
    return next(numbers)


def _holds(tree: _Numbered, of_and: _Join, of_or: _Join, leaf: Callable[[int], bool]) -> bool:
    if isinstance(tree, int):
        return leaf(tree)
    operator, parts = tree
    join = of_and if operator == "and" else of_or
    return join(_holds(part, of_and, of_or, leaf) for part in parts)


def _form(tree: Tree) -> str:
    """Return a tree as Aodh writes it: (rule1 or (rule2 and rule3))."""

    def written(part: _Numbered) -> str:
        if isinstance(part, int):
            return f"rule{part + 1}"
        operator, parts = part
        return f"({f' {operator} '.join(map(written, parts))})"

    return written(_numbered(tree, iter(range(10_000))))


def _settled(verdict: Verdict) -> State:
    """Return a state for which a rule's periods are watched: unknown ones wait for samples alone."""
    return UNKNOWN if verdict.state == UNKNOWN else OK
