"""For an alarm of each type: what evaluates it, and which samples it watches."""

from metering.alarms.buckets_statistics import takes_samples
from metering.alarms.composition import AlarmLeaf, CompositeRule
from metering.alarms.definition import Alarm
from metering.alarms.evaluation import Evaluator, MeterEvaluator, buckets_of
from metering.alarms.evaluation_absence import AbsenceEvaluator, SequenceEvaluator
from metering.alarms.evaluation_combination import CombinationEvaluator
from metering.alarms.evaluation_composite import CompositeEvaluator
from metering.alarms.evaluation_members import MemberEvaluator
from metering.alarms.matching_index import Watched
from metering.alarms.meter_rules import MeterRule
from metering.alarms.rules import AbsenceRule, CombinationRule, MemberHealthRule


def evaluator_of(alarm: Alarm) -> Evaluator | None:
    """Return what evaluates an alarm; None where only events do."""
    rule = alarm.rule
    if isinstance(rule, MeterRule):
        return MeterEvaluator(rule)
    if isinstance(rule, CompositeRule):
        return CompositeEvaluator(rule)
    if isinstance(rule, CombinationRule):
        return CombinationEvaluator(rule)
    if isinstance(rule, MemberHealthRule):
        return MemberEvaluator(rule, alarm.scope)
    if isinstance(rule, AbsenceRule):
        if rule.meter_name is None:
            return SequenceEvaluator(rule)
        return AbsenceEvaluator(rule, alarm.timestamp)
    return None


def watched_by(alarm: Alarm) -> list[Watched]:
    """Return the selections of samples that an alarm watches."""
    rule = alarm.rule
    if isinstance(rule, MeterRule):
        return [_watched(alarm, 0, rule)]
    if isinstance(rule, CompositeRule):
        leaves = enumerate(rule.leaves())
        return [_watched(alarm, n, leaf) for n, leaf in leaves if not isinstance(leaf, AlarmLeaf)]
    if isinstance(rule, AbsenceRule) and rule.meter_name is not None:
        selection, within = rule.selection(alarm.scope), rule.within * 1000
        return [Watched(alarm.alarm_id, 0, selection, within, within, latest=True)]
    return []


def _watched(alarm: Alarm, part: int, rule: MeterRule) -> Watched:
    detailed = not rule.aligned or takes_samples(rule.statistic)
    periods = buckets_of(rule)
    span = (periods.reach + 2 + periods.back) * periods.period
    return Watched(
        alarm.alarm_id, part, rule.selection(alarm.scope), rule.period * 1000, span, detailed
    )
