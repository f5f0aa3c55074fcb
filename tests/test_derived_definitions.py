"""Files of derived meters: what they say, and what is wrong with them."""

import re
from pathlib import Path

import numpy as np
import pytest

from jobs.settings import load
from metering.definitions.reading import DefinitionError
from metering.derived.chain import Chain
from metering.derived.deriver import Deriver
from metering.derived.expressions import ExpressionError, compile_arithmetic, compile_scale
from metering.derived.pipeline_file import SHIPPED, read_pipeline
from metering.derived.plan import Plan
from tests.tables import samples

T0 = 1_795_000_000_000  # ms
DOC = Path(__file__).parent.parent / "docs" / "derived.md"

WRONG = r"""sources:
  - name: all
    meters: [cpu, "!disk"]
    sinks: [rate, nowhere]
    interval: never
  - name: all
    meters: "*"
    sinks: rate
  - {name: starred, meters: ["*", cpu], sinks: [rate], discovery: x, colour: red}
sinks:
  - name: rate
    transformers:
      - name: rate_of_change
        parameters:
          source: {map_from: {name: "(cpu", unit: "x"}}
          target: {map_to: {name: y, unit: '\2'}, type: total, scale: "__import__('os')"}
      - {name: lost}
  - name: sum
    transformers:
      - name: arithmetic
        parameters:
          target: {name: cpu, expr: $(cpu) + 1, scale: 3}
      - {name: delta, parameters: {growth_only: perhaps}}
  - name: window
    transformers:
      - {name: aggregator, parameters: {size: -1, retention_time: soon, timestamp: middle}}
"""
FAULTS = """\
3: meters: included and excluded meters can't stand in one source
4: sinks: there is no sink nowhere
5: interval: must be whole seconds, 1 or more
6: name: all is there twice
9: discovery: must be a list
9: meters: `*` takes every meter, so none can be included besides
9: no field colour; there are name, interval, meters, resources, discovery, sinks
15: map_from.name: no regular expression: missing ), unterminated subpattern at position 0
16: map_to.unit: invalid group reference 2 at position 1
16: scale: "__import__('os')" may not call __import__; there are abs, float, int, max, min, round
16: type: 'total' is none of gauge, delta, cumulative
17: no transformer named 'lost'; there are accumulator, aggregator, arithmetic, delta, rate_of_change, unit_conversion
19: transformers: arithmetic and delta can't follow each other; of those that look at several samples a sink may have one, and an aggregator after rate_of_change or delta
22: name: cpu is in the expression
22: no parameter target.scale; there are name, unit, type, expr
23: growth_only: must be true or false
26: retention_time: must be a number
26: size: must be a whole number, 0 or more
26: timestamp: must be one of first, last"""


def chains_of(tmp_path: Path, text: str) -> list[Chain]:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return read_pipeline(path, 3_900_000)


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as error:
        chains_of(tmp_path, WRONG)
    told = [fault.removeprefix(f"{tmp_path}/pipeline.yaml:") for fault in error.value.faults]
    assert told == FAULTS.splitlines()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", "1: must have a list `sinks`"),
        ("sources: []\nsinks: {}", "2: must have a list `sinks`"),
        ("sources: [x]\nsinks: []", "1: sources: each must be a mapping"),
        ("sources: [{}]\nsinks: []", "1: name: must be text"),
        ("sources: []\nsinks: [{name: a, transformers: x}]", "2: transformers: must be a list of mappings"),
    ],
)  # fmt: skip
def test_what_is_no_pipeline_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(fault)):
        chains_of(tmp_path, text)


def test_the_configuration_tells_a_file_s_faults(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("sources: []\n")
    with pytest.raises(Exception, match=r"derive.pipeline: .*own.yaml:1: must have a list `sinks`"):
        load(None, {"STREAMGAUGE_DERIVE__PIPELINE": str(path)})


def test_the_shipped_meters_are_those_of_the_document() -> None:
    plan = Plan(read_pipeline(None, 1))
    taken = re.findall(r"meters: \[(.*)\]|^      - ([\w.]+)$", SHIPPED.read_text(), re.M)
    parents = [name for some, one in taken for name in (some.split(", ") if some else [one])]
    made = {name for parent in parents for name in plan.names(parent)}
    told = DOC.read_text().split("## What is shipped")[1].split("\n\n")[1]
    lines = [line.split(" | ")[0] for line in told.splitlines()[2:]]
    assert made == {name for line in lines for name in re.findall(r"`([^`]+)`", line)}
    assert len(made) == 14


def test_a_pipeline_without_chains_derives_nothing() -> None:
    table = samples(meter=["cpu"] * 2, type=["cumulative"] * 2, timestamp=[T0, T0 + 1])
    assert Deriver([]).take([table]).samples.num_rows == 0


def test_a_sink_under_the_parent_s_own_name_makes_nothing(tmp_path: Path) -> None:
    text = """
sources: [{name: s, meters: ["*"], sinks: [k]}]
sinks: [{name: k, transformers: [{name: unit_conversion, parameters: {
    source: {unit: MiB}, target: {name: memory, unit: GiB, scale: 0.001}}}]}]
"""
    deriver = Deriver(chains_of(tmp_path, text))
    table = samples(
        meter=["memory", "usage", "other"], unit=["MiB", "MiB", "KiB"], volume=[1.0, 2.0, 3.0]
    )
    made = deriver.take([table]).samples
    assert made.select(["meter", "unit", "volume"]).to_pylist() == [
        {"meter": "memory", "unit": "GiB", "volume": 0.002}
    ]


def test_of_two_sinks_that_make_one_meter_the_first_counts(tmp_path: Path) -> None:
    text = """
sources: [{name: s, meters: [m], sinks: [a, b]}, {name: t, meters: ["*"], sinks: [a]}]
sinks:
  - {name: a, transformers: [{name: unit_conversion, parameters: {target: {name: made, scale: 2}}}]}
  - {name: b, transformers: [{name: unit_conversion, parameters: {target: {name: made, scale: 3}}}]}
"""
    made = Deriver(chains_of(tmp_path, text)).take([samples(meter=["m"], volume=[5.0])]).samples
    assert made["volume"].to_pylist() == [10.0]


def test_transformers_work_one_after_the_other(tmp_path: Path) -> None:
    text = r"""
sources: [{name: s, meters: ["prefix:*"], sinks: [k]}]
sinks:
  - name: k
    transformers:
      - {name: unit_conversion, parameters: {target: {unit: s, scale: volume / 1000}}}
      - {name: accumulator, parameters: {size: 5}}
      - {name: rate_of_change, parameters: {target: {type: gauge}}}
      - name: unit_conversion
        parameters:
          source: {unit: s, map_from: {name: "prefix:(.*)"}}
          target: {map_to: {name: '\1.percent'}, unit: "%", scale: 100, max: 60}
"""
    deriver = Deriver(chains_of(tmp_path, text))
    stamps = [T0, T0 + 1000, T0 + 2000]
    table = samples(
        meter=["prefix:busy"] * 3, type=["cumulative"] * 3, unit=["ms"] * 3, timestamp=stamps,
        volume=[125.0, 375.0, 2000.0],
    )  # fmt: skip
    made = deriver.take([table]).samples
    assert made.select(["meter", "type", "unit", "volume"]).to_pylist() == [
        {"meter": "busy.percent", "type": "gauge", "unit": "%", "volume": 25.0},
        {"meter": "busy.percent", "type": "gauge", "unit": "%", "volume": 60.0},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "volume.__class__",
        "resource_metadata",
        "().__class__.__bases__",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "[1, 2]",
        "{'a': 1}",
        "f'{volume}'",
        "(x := 1)",
        "volume if",
        "open('x')",
        "max(volume)",
        "abs(volume, 1)",
        "round(number=volume)",
        "volume @ 2",
        "volume in (1, 2)",
        "user_id",
        "resource_metadata[0] + x.y",
        "1j * volume",
        "1e400 ** b'x'",
        "...",
        "-" * 999 + "1",
        "1 + " * 300 + "1",
        "",
    ],
)
def test_nothing_but_arithmetic_is_compiled(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_scale(text)


@pytest.mark.parametrize(
    ("text", "facts", "value"),
    [
        ("volume * 2 + 1", {}, 9.0),
        ("2 ** -1 + 7 // 2 + 7 % 4", {}, 6.5),
        ("resource_metadata.a.b or 3", {}, 3.0),
        ("resource_metadata.a.b or 3", {"a.b": 5}, 5.0),
        ("resource_metadata['a']['b'] + resource_metadata['a.b']", {"a.b": 5}, 10.0),
        ("resource_metadata.a and 4", {"a": 0}, 0.0),
        ("1 if resource_metadata.a == 'x' else 2", {"a": "x"}, 1.0),
        ("1 if resource_metadata.a != 'x' else 2", {}, 1.0),
        ("1 if resource_metadata.a == None else 2", {}, 1.0),
        ("1 if 0 < volume <= 4 and not resource_metadata.a else 2", {"a": False}, 1.0),
        ("-abs(-volume) + int(2.9) + round(1.5)", {}, 0.0),
        ("float(resource_metadata.a) * 2", {"a": "2.5"}, 5.0),
        ("max(volume, 1, resource_metadata.a or 9) - min(volume, 3)", {}, 6.0),
        ("+volume if volume > 100 else resource_metadata.a", {"a": 7}, 7.0),
        ("True + True", {}, 2.0),
        ("volume / 0", {}, np.inf),
        ("9 ** 9 ** 9", {}, np.inf),
        ("resource_metadata.a * 2", {}, np.nan),
        ("resource_metadata.a * 2", {"a": "2"}, np.nan),
        ("float(resource_metadata.a)", {"a": "two"}, np.nan),
        ("volume < resource_metadata.a", {}, np.nan),
        ("'text'", {}, np.nan),
    ],
)
def test_expressions_mean_what_they_say(text: str, facts: dict[str, object], value: float) -> None:
    expression = compile_scale(text)
    told = tuple(facts.get(path) for path in expression.paths[0])
    found = expression.values([np.array([4.0, 4.0])], [told])
    np.testing.assert_equal(found, np.array([value, value]))


def test_operands_are_told_by_their_meters() -> None:
    expression = compile_arithmetic("$(a.b) - $(c-d).volume * $(a.b).resource_metadata.x.y")
    assert (expression.meters, expression.paths) == (["a.b", "c-d"], [("x.y",), ()])
    found = expression.values([np.array([9.0]), np.array([2.0])], [(3,), ()])
    assert found.tolist() == [3.0]
    for text in ("1 + 1", "volume", "$(a) + a", "$(a).user_id", "$(a)$(b)"):
        with pytest.raises(ExpressionError):
            compile_arithmetic(text)
