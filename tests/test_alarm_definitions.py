"""Definitions of alarms: what is read, what is refused and in which words, and that nothing is lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.alarms.composition import AlarmLeaf, Branch, CompositeRule
from metering.alarms.conditions import Condition, conditions_from
from metering.alarms.definition import Alarm, alarm_from
from metering.alarms.faults import DefinitionError
from metering.alarms.meter_rules import MeterRule, MetricsRule, StatisticsRule, meter_id, series_of
from metering.alarms.rules import TYPES, AbsenceRule, EventRule
from metering.alarms.selection import AllOf, AnyOf, Compare, NoneOf, Selection
from tests.alarm_api import GNOCCHI, RULES, THRESHOLD, definition


def alarm(kind: str = "threshold", **fields: Any) -> Alarm:
    return alarm_from(definition(kind, **fields), "id")


def rule(kind: str, found: dict[str, Any]) -> Any:
    return alarm(kind, **{f"{kind}_rule": found}).rule


def refusal(kind: str, found: Any) -> str:
    with pytest.raises(DefinitionError) as error:
        rule(kind, found)
    return error.value.faultstring


def test_text_is_read_as_numbers_and_truths() -> None:
    found = rule(
        "threshold",
        {"meter_name": "m", "threshold": "1.5", "period": "30", "exclude_outliers": "True"},
    )
    assert found == StatisticsRule(
        meter_name="m", threshold=1.5, period=30, statistic="avg", exclude_outliers=True
    )
    assert rule("gnocchi_resources_threshold", _resource(granularity="300")).period == 300


def _resource(**fields: Any) -> dict[str, Any]:
    return RULES["gnocchi_resources_threshold"] | fields


def test_any_writing_is_text_but_control_characters_are_not() -> None:
    assert alarm(name="größe 👩‍💻", description="two\nlines").name == "größe 👩‍💻"
    with pytest.raises(DefinitionError, match="It holds control characters"):
        alarm(name="a\x00b")
    with pytest.raises(DefinitionError, match="longer than 10000 characters"):
        alarm(description="a" * 10_001)


def test_null_is_as_good_as_absent() -> None:
    found = alarm(ok_actions=None, time_constraints=None, description=None, enabled=None)
    assert found == alarm()


@pytest.mark.parametrize(
    ("kind", "found", "text"),
    [
        ("threshold", None, "threshold_rule must be set for threshold type alarm"),
        ("threshold", [], "Value: '[]'. It must be an object."),
        ("threshold", {"threshold": 1}, "field/attribute meter_name. Value: 'None'. Mandatory"),
        ("threshold", {"meter_name": "m"}, "field/attribute threshold. Value: 'None'. Mandatory"),
        ("threshold", THRESHOLD | {"threshold": "nan"}, "unable to convert to float"),
        ("threshold", THRESHOLD | {"threshold": True}, "unable to convert to float"),
        ("threshold", THRESHOLD | {"period": 0}, "Value should be greater or equal to 1"),
        ("threshold", THRESHOLD | {"period": 1.5}, "unable to convert to int"),
        ("threshold", THRESHOLD | {"evaluation_periods": 101}, "lower or equal to 100"),
        ("threshold", THRESHOLD | {"statistic": "mode"}, "should be one of: max, min, avg, sum"),
        ("threshold", THRESHOLD | {"comparison_operator": "~"}, "should be one of: lt, le, eq"),
        ("threshold", THRESHOLD | {"metric": "x"}, "Unknown attribute: metric"),
        (
            "threshold",
            THRESHOLD | {"query": [{"field": "colour", "value": "x"}]},
            'Unknown argument: "colour": unrecognized field in query',
        ),
        (
            "threshold",
            THRESHOLD | {"query": [{"field": "user", "op": "gt", "value": "x"}]},
            "unimplemented operator for user",
        ),
        (
            "threshold",
            THRESHOLD | {"query": [{"field": "timestamp", "op": "gt", "value": "x"}]},
            "not valid for this resource",
        ),
        (
            "threshold",
            THRESHOLD | {"query": [{"field": "metadata.x", "value": "x", "type": "integer"}]},
            "Unable to convert the value x to the expected data type integer.",
        ),
        (
            "threshold",
            THRESHOLD | {"query": [{"field": "metadata.x", "value": "x", "type": "colour"}]},
            "The data type colour is not supported.",
        ),
        (
            "gnocchi_resources_threshold",
            _resource(aggregation_method="mode"),
            "aggregation_method should be in",
        ),
        ("gnocchi_resources_threshold", _resource(aggregation_method="101pct"), "should be in"),
        ("gnocchi_resources_threshold", _resource(granularity=31_536_001), "lower or equal"),
        (
            "gnocchi_aggregation_by_metrics_threshold",
            GNOCCHI,
            "field/attribute metrics. Value: 'None'. Mandatory field missing.",
        ),
        (
            "gnocchi_aggregation_by_resources_threshold",
            RULES["gnocchi_aggregation_by_resources_threshold"] | {"query": "{"},
            "Invalid input for field/attribute rule/query. Value: '{'.",
        ),
        ("event", {"query": [{"field": "traits.a b", "value": "x"}]}, "Query value or traits"),
        ("event", {"query": [{"field": "traits.a", "value": "x", "type": "integer"}]}, "convert"),
        ("composite", {"xor": []}, 'Threshold rules should be combined with "and" or "or"'),
        ("composite", {"and": {}}, "Invalid input composite rule"),
        ("composite", {"and": [1]}, "Invalid input composite rule"),
        ("composite", {"and": [{"threshold": 1, "x": 2}]}, "type must be set in every rule"),
        ("composite", {"and": [{"type": "prometheus"}]}, "Unsupported sub-rule type :prometheus"),
        ("composite", {"and": [{"type": "threshold", "x": 1}]}, "Unknown attribute: x"),
        ("loadbalancer_member_health", {"pool_id": "p"}, "stack_id. Value: 'None'. Mandatory"),
        ("absence", {"within": 1}, "either meter_name or event_type"),
        ("absence", {"within": 1, "meter_name": "m", "event_type": "e"}, "either meter_name"),
        ("absence", {"within": 1, "event_type": "e"}, "field/attribute followed_by"),
        ("absence", {"meter_name": "m"}, "field/attribute within"),
        ("absence", {"within": 1, "meter_name": "m", "same": ["a"]}, "goes with event_type"),
    ],
)
def test_a_bad_rule_is_told(kind: str, found: Any, text: str) -> None:
    assert text in refusal(kind, found)


def test_the_tree_of_a_composite_is_read_from_left_to_right() -> None:
    first = {"type": "threshold", **THRESHOLD}
    second = {"type": "alarm", "alarm_id": "a"}
    third = {"type": "gnocchi_resources_threshold", **_resource()}
    found = rule("composite", {"and": [first, {"or": [second, third]}]})
    one, two, three = found.leaves()
    assert isinstance(one, StatisticsRule)
    assert two == AlarmLeaf("a")
    assert isinstance(three, MeterRule)
    assert found == CompositeRule(Branch("and", (one, Branch("or", (two, three)))))
    assert alarm("composite", composite_rule={"or": [first, second]}).alarm_ids() == ("a",)


def test_a_tree_is_bounded() -> None:
    deep: dict[str, Any] = {"type": "alarm", "alarm_id": "a"}
    for _ in range(10):
        deep = {"and": [deep]}
    assert "10 deep" in refusal("composite", deep)
    wide = {"or": [{"type": "alarm", "alarm_id": "a"}] * 101}
    assert "100 rules at the most" in refusal("composite", wide)


def test_what_a_rule_selects() -> None:
    tagged = Compare(None, ("metering.g", "user_metadata.g"), "eq", 7)
    query = [{"field": "resource", "value": "r"}, {"field": "metadata.metering.g", "value": "7"}]
    assert rule("threshold", THRESHOLD | {"query": query}).selection("p") == Selection(
        ("cpu_util",),
        project_id="p",
        where=AllOf((Compare("resource_id", (), "eq", "r"), tagged)),
    )
    assert rule("gnocchi_resources_threshold", _resource()).selection(None) == Selection(
        ("cpu_util",), resource_id="vm0"
    )
    metrics = [meter_id("a+b", "cpu"), meter_id("c", "disk"), "7c1f", "eA=="]
    found = rule("gnocchi_aggregation_by_metrics_threshold", GNOCCHI | {"metrics": metrics})
    assert found.selection("p") == Selection(
        ("cpu", "disk"), project_id="p", series=(("a+b", "cpu"), ("c", "disk"))
    )
    assert isinstance(found, MetricsRule)
    assert found.metrics == tuple(metrics)


def search(query: Any) -> Any:
    text = query if isinstance(query, str) else json.dumps(query)
    plain = RULES["gnocchi_aggregation_by_resources_threshold"]
    return rule("gnocchi_aggregation_by_resources_threshold", plain | {"query": text})


def test_a_search_is_read() -> None:
    server_group = ("user_metadata.server_group", "metering.server_group", "server_group")
    query = {
        "and": [
            {"=": {"server_group": "g"}},
            {"or": [{"like": {"display_name": "a%"}}, {"in": {"id": ["x", "y"]}}]},
            {"not": {"!=": {"ended_at": None}}},
            {">=": {"vcpus": 2}},
        ]
    }
    assert search(query).selection(None).where == AllOf(
        (
            Compare(None, server_group, "eq", "g"),
            AnyOf(
                (
                    Compare(None, ("display_name", "name"), "like", "a%"),
                    Compare("resource_id", (), "in", ("x", "y")),
                )
            ),
            NoneOf(Compare(None, ("ended_at", "user_metadata.ended_at"), "ne", None)),
            Compare(None, ("vcpus", "user_metadata.vcpus"), "ge", 2),
        )
    )
    assert search({}).selection(None).where == AllOf()


@pytest.mark.parametrize(
    "query",
    [
        "[]",
        "1",
        '{"=": 1}',
        '{"=": {"a": 1, "b": 2}}',
        '{"~": {"a": 1}}',
        '{"and": {"a": 1}}',
        '{"=": {"a": [1]}}',
        '{"in": {"a": 1}}',
        '{"like": {"a": 1}}',
        '{"and": [' * 21 + "{}" + "]}" * 21,
        json.dumps({"or": [{"=": {"a": 1}}] * 201}),
    ],
)
def test_a_bad_search_is_told(query: str) -> None:
    with pytest.raises(DefinitionError, match="rule/query"):
        search(query)


def test_conditions_are_typed_as_said_or_as_they_look() -> None:
    values: list[tuple[Any, str, Any]] = [
        ("7", "", 7),
        (7, "", 7),
        (True, "", True),
        ("a", "", "a"),
        ("7", "string", "7"),
        ("7", "float", 7.0),
        ("yes", "boolean", True),
        ("1970-01-01T00:00:01Z", "datetime", 1000),
    ]
    for value, kind, expected in values:
        (one,) = conditions_from([{"field": "f", "value": value, "type": kind}])
        assert one.typed() == expected
        assert type(one.typed()) is type(expected)
    assert Condition("traits.a", "eq", "7").typed("string") == "7"


def test_two_forms_of_absence_are_read() -> None:
    found = rule("absence", {"meter_name": "cpu", "within": 60})
    assert found == AbsenceRule(60, "cpu")
    assert found.selection("p") == Selection(("cpu",), project_id="p")
    events = rule(
        "absence",
        {
            "event_type": "a.start",
            "followed_by": {"event_type": "a.end"},
            "same": ["id"],
            "within": 60,
        },
    )
    assert events == AbsenceRule(60, None, "a.start", (), EventRule("a.end"), ("id",))
    assert events.selection("p") == Selection(())


def test_the_actions_of_each_state_are_its_own() -> None:
    found = alarm(
        ok_actions=["http://o/"],
        alarm_actions=["http://a/"],
        insufficient_data_actions=["http://i/"],
    )
    assert [found.actions(state) for state in ("ok", "alarm", "insufficient data")] == [
        ("http://o/",),
        ("http://a/",),
        ("http://i/",),
    ]


def test_every_type_has_a_rule_to_try() -> None:
    assert {*RULES, "combination"} == set(TYPES)


_NAMES = st.text("abc.-_ü", min_size=1, max_size=8)
_IDS = st.lists(_NAMES, min_size=2, max_size=4, unique=True)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
_CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"field": st.just("metadata.a") | st.just("resource_id"), "value": _NAMES},
        optional={"op": st.just("eq"), "type": st.sampled_from(["", "string"])},
    ),
    max_size=3,
)
_STATISTICS = st.fixed_dictionaries(
    {"meter_name": _NAMES, "threshold": _NUMBERS},
    optional={
        "query": _CONDITIONS,
        "period": st.integers(1, 10**6),
        "evaluation_periods": st.integers(1, 100),
        "statistic": st.sampled_from(["max", "count"]),
        "comparison_operator": st.sampled_from(["gt", "ne"]),
        "exclude_outliers": st.booleans(),
    },
)
_METRICS = st.fixed_dictionaries(
    {
        "metrics": st.lists(_NAMES, max_size=3),
        "threshold": _NUMBERS,
        "aggregation_method": st.sampled_from(["mean", "95pct", "rate:last"]),
    },
    optional={"granularity": st.integers(1, 10**6)},
)
_LEAVES = (
    _STATISTICS.map(lambda found: found | {"type": "threshold"})
    | _METRICS.map(lambda found: found | {"type": "gnocchi_aggregation_by_metrics_threshold"})
    | _NAMES.map(lambda name: {"type": "alarm", "alarm_id": name})
)
_TREES = st.recursive(
    _LEAVES,
    lambda trees: st.tuples(
        st.sampled_from(["and", "or"]), st.lists(trees, min_size=1, max_size=3)
    ).map(lambda pair: {pair[0]: pair[1]}),
    max_leaves=5,
)
_EVENTS = st.fixed_dictionaries({}, optional={"event_type": _NAMES, "query": st.just([])})
_RULES: dict[str, Any] = {
    "threshold": _STATISTICS,
    "gnocchi_aggregation_by_metrics_threshold": _METRICS,
    "composite": _TREES,
    "event": _EVENTS,
    "combination": st.fixed_dictionaries({"alarm_ids": _IDS}),
    "absence": st.fixed_dictionaries(
        {"event_type": _NAMES, "followed_by": _EVENTS, "within": st.integers(1, 1000)}
    ),
}


@given(st.data())
def test_an_alarm_that_is_served_is_read_again_as_it_was(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(_RULES)))
    found = alarm_from(
        {
            "name": data.draw(_NAMES),
            "type": kind,
            f"{kind}_rule": data.draw(_RULES[kind]),
            "description": "d",
            "severity": data.draw(st.sampled_from(["low", "critical"])),
            "ok_actions": data.draw(st.lists(_NAMES, max_size=2)),
        },
        "id",
    )
    assert alarm_from(json.loads(json.dumps(found.to_json())), "id") == found


def test_the_id_of_a_metric_names_its_series() -> None:
    assert series_of(meter_id("r", "cpu")) == ("r", "cpu")
    assert series_of("not base64") is None
    assert series_of(meter_id("", "cpu")) is None
