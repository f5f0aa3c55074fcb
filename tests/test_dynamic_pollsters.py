"""Dynamic pollsters in Ceilometer's form: what they say, what becomes of answers, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from metering.definitions.reading import DefinitionError
from metering.pollsters.answers import AnswerError
from metering.pollsters.dynamic import DynamicPollster
from metering.pollsters.dynamic_file import load_pollsters
from metering.pollsters.expression import ExpressionError, compile_expression
from metering.pollsters.readings import Poll

POLL = Poll.of(1_795_000_000, frozenset(), place={"region": "one"})
PLAIN = """
- name: dynamic.thing
  sample_type: gauge
  unit: thing
  endpoint_type: rating
  url_path: v1/things
  value_attribute: size
"""


def load(folder: Path, text: str) -> DynamicPollster:
    (folder / "pollsters.yaml").write_text(text)
    (found,) = load_pollsters([folder])
    return found


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(DefinitionError) as raised:
        load(folder, text)
    return [fault.partition("pollsters.yaml:")[2] for fault in raised.value.faults]


def sampled(pollster: DynamicPollster, entry: Any) -> list[tuple[Any, ...]]:
    return [
        (s["counter_name"], s["counter_volume"], s["resource_id"], s["project_id"], s["user_id"])
        for s in pollster.samples(entry, {}, POLL)
    ]


def test_the_least_definition_has_ceilometers_defaults(tmp_path: Path) -> None:
    pollster = load(tmp_path, PLAIN)
    entry = {"id": "r", "project_id": "p", "user_id": "u", "size": 5}
    assert sampled(pollster, entry) == [("dynamic.thing", 5, "r", "p", "u")]
    (sample,) = pollster.samples(entry, {}, POLL)
    assert (sample["counter_type"], sample["counter_unit"]) == ("gauge", "thing")
    assert sample["resource_metadata"] == {"region": "one"}
    assert pollster.call.page({"things": [entry]}) == [entry]
    assert pollster.call.page([entry]) == [entry]


def test_attributes_may_be_nested_and_worked_on(tmp_path: Path) -> None:
    text = PLAIN.replace("value_attribute: size", "value_attribute: 'a.b | value + 1 | int(value)'")
    pollster = load(
        tmp_path,
        text
        + """
  resource_id_attribute: "name | value.lower()"
  project_id_attribute: owner.id
  user_id_attribute: ". | value['who']"
""",
    )
    entry = {"a": {"b": 2.5}, "name": "X", "owner": {"id": "p"}, "who": "u"}
    assert sampled(pollster, entry) == [("dynamic.thing", 3, "x", "p", "u")]


def test_values_are_mapped_skipped_or_take_the_default(tmp_path: Path) -> None:
    pollster = load(
        tmp_path,
        PLAIN
        + """
  value_mapping: {ACTIVE: 1, DOWN: 2}
  default_value: 9
  skip_sample_values: [GONE]
""",
    )
    found = [sampled(pollster, {"size": size}) for size in ("ACTIVE", "DOWN", "ODD", "GONE")]
    assert [[each[1] for each in samples] for samples in found] == [[1], [2], [9], []]


def test_metadata_are_fields_under_their_own_or_other_names(tmp_path: Path) -> None:
    pollster = load(
        tmp_path,
        PLAIN
        + """
  metadata_fields: [name, flavor.ram, missing]
  metadata_mapping: {name: display_name}
  preserve_mapped_metadata: false
""",
    )
    (sample,) = pollster.samples({"size": 1, "name": "n", "flavor": {"ram": 2}}, {"x": 1}, POLL)
    assert sample["resource_metadata"] == {
        "display_name": "n",
        "flavor.ram": 2,
        "missing": None,
        "x": 1,
        "region": "one",
    }


def test_one_answer_becomes_samples_of_several_meters(tmp_path: Path) -> None:
    pollster = load(
        tmp_path,
        """
- name: dynamic.usage.{category}
  sample_type: delta
  unit: request
  endpoint_type: object-store
  url_path: usage
  value_attribute: "[categories].ops"
  resource_id_attribute: user
  skip_sample_values: [0, skipped]
""",
    )
    categories = [
        {"category": "get", "ops": 5},
        {"category": "put", "ops": 0},
        {"category": "skipped", "ops": 7},
        {"category": "del", "ops": 2},
    ]
    assert sampled(pollster, {"user": "r", "categories": categories}) == [
        ("dynamic.usage.get", 5, "r", None, None),
        ("dynamic.usage.del", 2, "r", None, None),
    ]


def test_answers_are_read_by_the_first_handler_that_can(tmp_path: Path) -> None:
    call = load(tmp_path, PLAIN + "  response_handlers: [json, xml]\n").call
    assert call.read('{"a": [1]}') == {"a": [1]}
    assert call.read("<a><b>1</b></a>") == {"a": {"b": "1"}}
    with pytest.raises(AnswerError, match="not json nor xml"):
        call.read("neither")
    text = load(tmp_path, PLAIN + "  response_handlers: [text]\n").call
    assert text.page(text.read("load 5")) == [{"out": "load 5"}]


def test_entries_stand_at_their_key_and_one_alone_is_a_list_of_one(tmp_path: Path) -> None:
    call = load(tmp_path, PLAIN + "  response_entries_key: a.b\n").call
    assert call.page({"a": {"b": [1, 2]}}) == [1, 2]
    assert call.page({"a": {"b": {"c": 1}}}) == [{"c": 1}]
    for answer in ({}, {"a": 5}, "text", None):
        with pytest.raises(AnswerError):
            call.page(answer)


def test_the_next_page_is_where_an_attribute_says(tmp_path: Path) -> None:
    line = """  next_sample_url_attribute: "links | value[0]['href']"\n"""
    call = load(tmp_path, PLAIN + line).call
    assert call.next_url({"links": [{"href": "v1/things?page=2"}]}) == "v1/things?page=2"
    assert call.next_url({"things": []}) is None


def test_headers_are_a_mapping_or_a_list_of_them(tmp_path: Path) -> None:
    call = load(tmp_path, PLAIN + "  headers: [{a: b}, {c: 2}]\n  timeout: 5\n").call
    assert (call.headers, call.timeout) == ((("a", "b"), ("c", "2")), 5.0)
    assert load(tmp_path, PLAIN + "  headers: {a: b}\n").call.headers == (("a", "b"),)


def test_extra_calls_are_skipped_where_an_entry_holds_what_a_skip_says(tmp_path: Path) -> None:
    pollster = load(
        tmp_path,
        PLAIN
        + """
  extra_metadata_fields:
    name: project_name
    endpoint_type: identity
    url_path: "'/v3/projects/' + str(sample['project_id'])"
    value: name
    metadata_fields: [domain_id]
  extra_metadata_fields_cache_seconds: 5
  extra_metadata_fields_skip: [{project_id: null}, {owner: {kind: system}}]
""",
    )
    (extra,) = pollster.extras
    values = {"sample": {"project_id": "p"}}
    assert (extra.name, extra.url(values), extra.cache) == ("project_name", "/v3/projects/p", 5.0)
    assert extra.values.of({"name": "shop"}) == "shop"
    skipped = [{"project_id": None}, {"owner": {"kind": "system", "id": 1}}, {"project_id": "p"}]
    assert [extra.is_skipped(entry) for entry in skipped] == [True, True, False]


def test_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """- name: a
  sample_type: total
  unit: x
  endpoint_type: y
  url_path: z
  value_attribute: "size | import os"
  timeout: long
- name: b
  host_command: "ls"
  colour: red
- 7
"""
    assert faults(tmp_path, text) == [
        "1: each pollster must be a mapping of fields",
        "2: sample_type: 'total' is none of gauge, delta, cumulative",
        "7: timeout: must not be str",
        "8: endpoint_type: is required, as text",
        "8: sample_type: None is none of gauge, delta, cumulative",
        "8: unit: is required, as text",
        "8: url_path: is required, as text",
        "8: value_attribute: is required, as text",
        "9: host_command: a definition runs no command of the host",
        "10: colour: unknown field of a pollster",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "open('/etc/passwd')",
        "value.__class__",
        "value.format(1)",
        "(lambda: 1)()",
        "eval('1')",
        "[x for x in ().__class__.__bases__]",
        "9 ** 9 ** 9",
        "value := 1",
        "import os",
        "other",
        "",
        "1 +",
        "x" * 3000,
    ],
)
def test_an_expression_may_not_leave_its_values(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, frozenset({"value"}))


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        ("value + 1", 2, 3),
        ("value['a'][0]", {"a": [5]}, 5),
        ("value.get('a', 7)", {}, 7),
        ("float(value.split()[0]) if value else -1", "2.5 GiB", 2.5),
        ("sum(each['n'] for each in value)", [{"n": 1}, {"n": 2}], 3),
        ("len([x for x in value if x > 1])", [1, 2, 3], 2),
        ("f'{value}-x'", "a", "a-x"),
        ("int(value.removesuffix('GB')) * 1024", "2GB", 2048),
    ],
)
def test_an_expression_works_on_its_values(text: str, value: Any, result: Any) -> None:
    assert compile_expression(text, frozenset({"value"}))({"value": value}) == result
