"""Random alarms, and streams of samples and ticks for them."""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from metering.draft import Draft
from tests.alarms.transcript import START, sample

RESOURCES = ("r", "q", "s")
PERIOD = 60  # s
LAG = 90  # s; how far the watermark is behind the clock
AHEAD = 60_000  # ms; a sample further ahead of the clock waits for it

METHODS = (
    "mean", "sum", "last", "max", "min", "std", "median", "first", "count", "75pct", "rate:mean",
    "rate:max",
)  # fmt: skip


@dataclasses.dataclass
class Round:
    """What came between two ticks, and the tick's time (ms)."""

    samples: list[Draft]
    now: int


def rules(mixed: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Return the definitions of alarms on `cpu`, of every type on meters; `mixed`: see composites."""
    return st.one_of(thresholds(), gnocchis(), composites(mixed))


def thresholds() -> st.SearchStrategy[dict[str, Any]]:
    query = st.sampled_from([[], [{"field": "resource_id", "op": "eq", "value": "r"}]])
    said = st.fixed_dictionaries(
        {
            "meter_name": st.just("cpu"),
            "statistic": st.sampled_from(["max", "min", "avg", "sum", "count"]),
            "period": st.sampled_from([30, PERIOD]),
            "query": query,
            "exclude_outliers": st.booleans(),
            **_compared(),
        }
    )
    return said.map(lambda rule: {"type": "threshold", "threshold_rule": rule})


def gnocchis() -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(
        st.sampled_from(["resources", "aggregation_by_resources", "aggregation_by_metrics"]),
        st.fixed_dictionaries(_gnocchi()),
    ).map(lambda drawn: _typed(*drawn))


def composites(mixed: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Return composite alarms; `mixed` is whether their rules may have periods of both kinds."""
    fields = _gnocchi() if mixed else _gnocchi() | {"evaluation_periods": st.just(1)}
    leaf = st.tuples(st.sampled_from(RESOURCES), st.fixed_dictionaries(fields)).map(_leaf)
    return st.tuples(st.sampled_from(["and", "or"]), st.lists(leaf, min_size=1, max_size=3)).map(
        lambda tree: {"type": "composite", "composite_rule": {tree[0]: tree[1]}}
    )


@st.composite
def streams(draw: st.DrawFn, in_order: bool = False) -> list[Round]:
    """Draw rounds of samples; out of order they may be as old as the watermark, and older.

    In order they are no further ahead of the clock, which the last tick told, than is looked at.
    """
    now, rounds = START, []
    for _ in range(draw(st.integers(1, 12))):
        earlier, now = now, now + draw(st.sampled_from([1, 10, 30, 60, 200, 500])) * 1000
        oldest = earlier + 1 if in_order else max(earlier - 2 * LAG * 1000, START)
        newest = min(now, earlier + AHEAD) if in_order else now
        times = draw(st.lists(st.integers(oldest, newest), max_size=8, unique=True))
        volumes = st.integers(-40, 40).map(lambda quarter: quarter / 4)
        made = [
            _sample(when, draw(volumes), draw(st.sampled_from(RESOURCES)))
            for when in (sorted(times) if in_order else times)
        ]
        rounds.append(Round(made, now))
    return rounds


@st.composite
def calm_streams(draw: st.DrawFn) -> list[Round]:
    """Draw rounds that leave most alarms as they are for a while: little is out of order, or another value."""
    usual, other = draw(st.permutations([0.0, 10.0]))
    now, rounds = START, []
    for _ in range(draw(st.integers(4, 12))):
        now += draw(st.sampled_from([10, 10, 20, 60, 90])) * 1000
        late = draw(st.sampled_from([0, 0, 0, 40_000, 100_000]))
        times = draw(st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True))
        values = st.sampled_from([usual] * 9 + [other])
        made = [
            _sample(now - late - tenth * 1000, draw(values), draw(st.sampled_from(RESOURCES[:2])))
            for tenth in times
        ]
        rounds.append(Round(made, now))
    return rounds


def _sample(when: int, volume: float, resource: str) -> Draft:
    return sample("00:00", volume, resource_id=resource)._replace(timestamp=when)


def _compared() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "comparison_operator": st.sampled_from(["lt", "le", "eq", "ne", "ge", "gt"]),
        "threshold": st.integers(-4, 8).map(lambda half: half / 2),
        "evaluation_periods": st.integers(1, 3),
    }


def _gnocchi() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "aggregation_method": st.sampled_from(METHODS),
        "granularity": st.sampled_from([30, PERIOD]),
        **_compared(),
    }


def _typed(kind: str, rule: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "resources": {"metric": "cpu", "resource_id": "r", "resource_type": "instance"},
        "aggregation_by_resources": {
            "metric": "cpu", "resource_type": "instance", "query": '{"!=": {"id": "s"}}',
        },
        "aggregation_by_metrics": {"metrics": ["citjcHU=", "cStjcHU="]},
    }  # fmt: skip
    name = f"gnocchi_{kind}_threshold"
    return {"type": name, f"{name}_rule": own[kind] | rule}


def _leaf(drawn: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    resource, rule = drawn
    named = {"metric": "cpu", "resource_id": resource, "resource_type": "instance"}
    return {"type": "gnocchi_resources_threshold"} | named | rule
