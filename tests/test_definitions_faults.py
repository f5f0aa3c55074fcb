"""Bad definition files: refused with file, line and reason, every fault at once."""

from pathlib import Path

import pytest

from metering.definitions.events import EventDefinitions
from metering.definitions.meters import MeterDefinitions
from metering.definitions.reading import DefinitionError

GOOD = """metric:
- name: thing.size
  event_type: thing.*
  type: gauge
  unit: B
  volume: $.payload.size
  resource_id: $.payload.id
"""


def faults(load, tmp_path: Path, text: str | bytes) -> list[str]:
    """Return the faults that loading a file tells, without the file's name."""
    path = tmp_path / "own.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DefinitionError) as refused:
        load(path)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n", "1: must be a mapping with a list `metric`"),
        ("meters: []\n", "1: must be a mapping with a list `metric`"),
        ("", "1: must be a mapping with a list `metric`"),
        ("a: 1\nmetric: {}\n", "2: `metric` must be a list of definitions"),
        ("metric:\n- text\n", "1: definition 1 must be a mapping"),
        ("metric:\n- name: [\n", "3: not YAML: expected the node content, but found '<stream end>'"),
        ("metric:\n- a: 1\n b: 2\n", "3: not YAML: expected <block end>, but found '<block mapping start>'"),
        ("metric:\n- <<: *gone\n", "2: not YAML: found undefined alias 'gone'"),
        ("metric:\n- ? [a]\n  : 1\n", "2: not YAML: a key must be text"),
        ("metric: &a\n- *a\n", "1: not YAML: "),
        ("metric: !!python/object:os.system x\n", "1: not YAML: could not determine a constructor"),
        (b"metric:\n- name: \xff\n", "2: not UTF-8 text"),
        (b"metric:\n- name: \x00\n", "2: a character YAML does not allow: #x0000"),
        (changed("  unit: B\n", ""), "2: unit missing"),
        (changed("thing.size", "''"), "2: name missing"),
        (changed("type: gauge", "type: total"), "4: type: 'total' is none of gauge, delta, cumulative"),
        (changed("unit: B", "unit: 5"), "5: unit: must be text"),
        (changed("thing.*", "5"), "3: event_type: must be a text or a list of texts"),
        (changed("thing.*", "[a, 5]"), "3: event_type: must be a text or a list of texts"),
        (changed("$.payload.size", "$.payload.["), "6: volume: not a JSONPath: $.payload.[: "),
        (changed("$.payload.id", "[1]"), "7: resource_id: must be a JSONPath, a list of them, or a number"),
        (changed("$.payload.size", "{plugin: timedelta}"), "6: volume: needs fields"),
        (
            changed("$.payload.size", "{fields: a, plugin: sum}"),
            "6: volume: no plugin named 'sum'; there are bitfield, map, slug, split, timedelta",
        ),
        (GOOD + "  lookup: [volume, size]\n", "8: lookup: no such field: size"),
        (GOOD + "  lookup: {volume: 1}\n", "8: lookup: must be a list of fields"),
        (
            changed("$.payload.size", "{fields: [a, b], plugin: timedelta}") + "  lookup: volume\n",
            "6: volume: its plugin gives one value, a lookup needs one for each sample",
        ),
        (GOOD + "  metadata: [a]\n", "8: metadata: must be a mapping of names to paths"),
        (GOOD + "  metadata:\n    a: $.x\n    b: $.[\n", "10: metadata.b: not a JSONPath: $.[: "),
        (GOOD + "  user_metadata: $.[\n", "8: user_metadata: not a JSONPath: $.[: "),
        (GOOD + "  form: new\n", "8: form: must be legacy or versioned"),
    ],
)  # fmt: skip
def test_a_bad_meter_file_is_refused(tmp_path, text, fault):
    told = faults(MeterDefinitions.load, tmp_path, text)
    assert [line[: len(fault)] for line in told] == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\n", "1: must be a list of definitions"),
        ("- a\n", "1: definition 1 must be a mapping"),
        ("- event_type: a\n", "1: traits missing"),
        ("- traits: {}\n", "1: event_type missing"),
        ("- event_type: []\n  traits: {}\n", "1: event_type: must be a text or a list of texts"),
        (
            "- event_type: a\n  traits: [x]\n",
            "2: traits: must be a mapping of names to definitions",
        ),
        (
            "- event_type: a\n  traits:\n    x:\n      type: date\n      fields: payload.x\n",
            "4: trait x: type 'date' is none of text, int, float, datetime",
        ),
        (
            "- event_type: a\n  traits:\n    x:\n      fields: payload.[\n",
            "4: trait x: not a JSONPath: payload.[: ",
        ),
        ("- event_type: a\n  traits:\n    x: {type: int}\n", "3: trait x: needs fields"),
        ("- event_type: a\n  traits:\n    x: null\n", "3: trait x: must be a JSONPath"),
        (
            "- event_type: a\n  traits:\n    x:\n      fields: a\n      plugin: {name: map}\n",
            "4: trait x: plugin map: values must be a mapping",
        ),
    ],
)
def test_a_bad_event_file_is_refused(tmp_path, text, fault):
    told = faults(EventDefinitions.load, tmp_path, text)
    assert [line[: len(fault)] for line in told] == [fault]


def test_all_faults_are_told_at_once_in_the_order_of_lines(tmp_path):
    text = GOOD + (
        "- name: other\n"
        "  event_type: a\n"
        "  type: sum\n"
        "  unit: s\n"
        "  volume: $.[\n"
        "  resource_id: $.]\n"
        "- name: third\n"
    )
    told = faults(MeterDefinitions.load, tmp_path, text)
    assert [line.split(":")[:2] for line in told] == [
        ["10", " type"],
        ["12", " volume"],
        ["13", " resource_id"],
        ["14", " event_type, type, unit, volume, resource_id missing"],
    ]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DefinitionError, match=r"gone\.yaml: No such file or directory"):
        MeterDefinitions.load(tmp_path / "gone.yaml")


def test_files_without_definitions_are_fine(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("metric:\n")
    assert MeterDefinitions.load(path).meters == []
    path.write_text("")
    assert EventDefinitions.load(path).definitions == []
