"""Rules that compare a statistic of samples with a threshold: Ceilometer's, and the three of Gnocchi.

Every one is read as the same values: what samples, which statistic in buckets of `period` seconds, how
many of them, and what to compare with. `aligned` buckets begin at multiples of the period; the others
end now.
"""

import base64
import binascii
import dataclasses
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from metering.alarms.conditions import COMPARISONS, Condition, conditions_from
from metering.alarms.faults import DefinitionError, bad_value
from metering.alarms.reading import Reading
from metering.alarms.search import search_filter
from metering.alarms.selection import Selection, filter_of

STATISTICS: Final = ("max", "min", "avg", "sum", "count")
METHODS: Final = ("mean", "sum", "last", "max", "min", "std", "median", "first", "count")
_PERCENTILE: Final = re.compile(r"(100|[1-9]?[0-9])pct")
_YEAR: Final = 31_536_000  # s
_MOST_PERIODS: Final = 100
_COMPARED: Final = ("comparison_operator", "threshold", "evaluation_periods")
_GNOCCHI: Final = (*_COMPARED, "aggregation_method", "granularity")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeterRule:
    """A statistic of samples against a threshold. Units: `period` in s."""

    type: ClassVar[str]
    aligned: ClassVar[bool] = True

    comparison_operator: str = "eq"
    threshold: float
    statistic: str  # one of STATISTICS, METHODS, "95pct", each of METHODS as "rate:mean" too
    period: int = 60
    evaluation_periods: int = 1
    exclude_outliers: bool = False

    def outside(self, value: float) -> bool:
        """Return whether a value breaches the rule."""
        return COMPARISONS[self.comparison_operator](value, self.threshold)

    def selection(self, project_id: str | None) -> Selection:
        """Return the samples that the rule looks at, of this project or of all."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it is served."""
        return {
            "comparison_operator": self.comparison_operator,
            "threshold": self.threshold,
            "evaluation_periods": self.evaluation_periods,
            "aggregation_method": self.statistic,
            "granularity": self.period,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsRule(MeterRule):
    """`threshold`: Ceilometer's statistics of a meter, in a window that ends now."""

    type: ClassVar[str] = "threshold"
    aligned: ClassVar[bool] = False

    meter_name: str
    query: tuple[Condition, ...] = ()

    def selection(self, project_id: str | None) -> Selection:
        return Selection((self.meter_name,), project_id=project_id, where=filter_of(self.query))

    def to_json(self) -> dict[str, Any]:
        return {
            "meter_name": self.meter_name,
            "query": [one.to_json() for one in self.query],
            "period": self.period,
            "comparison_operator": self.comparison_operator,
            "threshold": self.threshold,
            "statistic": self.statistic,
            "evaluation_periods": self.evaluation_periods,
            "exclude_outliers": self.exclude_outliers,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRule(MeterRule):
    """`gnocchi_resources_threshold`: one metric of one resource."""

    type: ClassVar[str] = "gnocchi_resources_threshold"

    metric: str
    resource_id: str
    resource_type: str

    def selection(self, project_id: str | None) -> Selection:
        return Selection((self.metric,), resource_id=self.resource_id, project_id=project_id)

    def to_json(self) -> dict[str, Any]:
        named = {"metric": self.metric, "resource_id": self.resource_id}
        return MeterRule.to_json(self) | named | {"resource_type": self.resource_type}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesRule(MeterRule):
    """`gnocchi_aggregation_by_resources_threshold`: one metric over the resources of a search."""

    type: ClassVar[str] = "gnocchi_aggregation_by_resources_threshold"

    metric: str
    query: str  # JSON text
    resource_type: str

    def selection(self, project_id: str | None) -> Selection:
        return Selection((self.metric,), project_id=project_id, where=search_filter(self.query))

    def to_json(self) -> dict[str, Any]:
        named = {"metric": self.metric, "query": self.query}
        return MeterRule.to_json(self) | named | {"resource_type": self.resource_type}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRule(MeterRule):
    """`gnocchi_aggregation_by_metrics_threshold`: metrics by their ids, which /v2/meters gives."""

    type: ClassVar[str] = "gnocchi_aggregation_by_metrics_threshold"

    metrics: tuple[str, ...]

    def selection(self, project_id: str | None) -> Selection:
        series = tuple(one for one in map(series_of, self.metrics) if one is not None)
        meters = tuple(dict.fromkeys(meter for _, meter in series))
        return Selection(meters, project_id=project_id, series=series)

    def to_json(self) -> dict[str, Any]:
        return MeterRule.to_json(self) | {"metrics": list(self.metrics)}


def series_of(metric: str) -> tuple[str, str] | None:
    """Return the (resource_id, meter) that a meter's id names; None for an id that is none of ours."""
    try:
        text = base64.b64decode(metric, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    resource_id, plus, meter = text.rpartition("+")
    return (resource_id, meter) if plus and resource_id and meter else None


def meter_id(resource_id: str, meter: str) -> str:
    """Return the id of one meter of one resource, as /v2/meters gives it."""
    return base64.b64encode(f"{resource_id}+{meter}".encode()).decode()


def statistics_rule(found: Any) -> StatisticsRule:
    """Return a threshold rule. Raises DefinitionError."""
    reading = Reading("threshold_rule", found)
    reading.only((*_COMPARED, "meter_name", "query", "period", "statistic", "exclude_outliers"))
    query = conditions_from(reading.entries("query"))
    filter_of(query)
    return StatisticsRule(
        meter_name=reading.name_text("meter_name"),
        query=query,
        period=reading.integer("period", 1, _YEAR, 60),
        statistic=reading.choice("statistic", STATISTICS, "avg"),
        exclude_outliers=reading.boolean("exclude_outliers", False),
        **_compared(reading),
    )


def resource_rule(found: Any) -> ResourceRule:
    """Return a rule on one resource. Raises DefinitionError."""
    reading = Reading("gnocchi_resources_threshold_rule", found)
    reading.only((*_GNOCCHI, "metric", "resource_id", "resource_type"))
    return ResourceRule(
        metric=reading.name_text("metric"),
        resource_id=reading.name_text("resource_id"),
        resource_type=reading.name_text("resource_type"),
        **_aggregated(reading),
    )


def resources_rule(found: Any) -> ResourcesRule:
    """Return a rule over resources. Raises DefinitionError."""
    reading = Reading("gnocchi_aggregation_by_resources_threshold_rule", found)
    reading.only((*_GNOCCHI, "metric", "query", "resource_type"))
    rule = ResourcesRule(
        metric=reading.name_text("metric"),
        query=reading.text("query"),
        resource_type=reading.name_text("resource_type"),
        **_aggregated(reading),
    )
    search_filter(rule.query)
    return rule


def metrics_rule(found: Any) -> MetricsRule:
    """Return a rule over metrics. Raises DefinitionError."""
    reading = Reading("gnocchi_aggregation_by_metrics_threshold_rule", found)
    reading.only((*_GNOCCHI, "metrics"))
    if not reading.has("metrics"):
        raise bad_value("metrics", None, "Mandatory field missing.")
    return MetricsRule(metrics=reading.texts("metrics"), **_aggregated(reading))


def _compared(reading: Reading) -> Mapping[str, Any]:
    return {
        "comparison_operator": reading.choice("comparison_operator", tuple(COMPARISONS), "eq"),
        "threshold": reading.number("threshold"),
        "evaluation_periods": reading.integer("evaluation_periods", 1, _MOST_PERIODS, 1),
    }


def _aggregated(reading: Reading) -> Mapping[str, Any]:
    method = reading.text("aggregation_method")
    plain = method.removeprefix("rate:")
    if plain not in METHODS and not _PERCENTILE.fullmatch(plain):
        known = [*METHODS, "1pct ... 99pct", "rate: and one of these"]
        raise DefinitionError(f"aggregation_method should be in {known} not {method[:100]}")
    return {
        **_compared(reading),
        "statistic": method,
        "period": reading.integer("granularity", 1, _YEAR, 60),
    }
