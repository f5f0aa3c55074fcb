"""metering.definitions.expressions and .jsonpath: every form of path that definitions use."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse

from metering.definitions.expressions import compile_path
from metering.definitions.jsonpath import PathError

BODY = {
    "event_type": "thing.create",
    "publisher_id": "compute.host-1.example",
    "message_id": "m",
    "timestamp": "2026-11-22 19:47:32",
    "_context_user_id": "u",
    "_context_project_id": None,
    "payload": {
        "size": 6,
        "host": "h",
        "node": "n",
        "none": None,
        "empty": "",
        "nova_object.data": {"uuid": "i", "flavor": {"nova_object.data": {"vcpus": 2}}},
        "router:external": True,
        "metrics": [{"name": "cpu.a", "value": 0.5}, {"name": "cpu.b", "value": 3}],
        "meta": [{"key": "image_id", "value": "img"}, {"key": "other", "value": "x"}],
        "attached": [{"server_id": "s"}],
        "measurements": [{"metric": {"name": "bytes", "unit": "B"}, "result": 28}],
        "sensors": {"A": {"id": "Sensor A", "v": 1}, "B": {"id": "Sensor B", "v": 2}},
        "owner": "o",
    },
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.payload.size", [6]),
        ("payload.size", [6]),
        ("payload['size']", [6]),
        ("payload[size]", [6]),
        ("event_type", ["thing.create"]),
        ("$.payload.none", [None]),
        ("$.payload.gone.deeper", []),
        ("$.payload.size.deeper", []),
        ("$.payload.'nova_object.data'.uuid", ["i"]),
        ("$.payload.'nova_object.data'.flavor.'nova_object.data'.vcpus", [2]),
        ('$.payload."router:external"', [True]),
        ("ctxt.user_id", ["u"]),
        ("$.ctxt.user_id", ["u"]),
        ("metadata.message_id", ["m"]),
        ("$.metadata.timestamp", ["2026-11-22 19:47:32"]),
        ("$._context_user_id", ["u"]),
        # Filters, positions and wildcards.
        ("$.payload.metrics[?(@.name='cpu.b')].value", [3]),
        ("$.payload.metrics[?(@.name == 'cpu.b')].value", [3]),
        ("$.payload.metrics[?(@.value > 1)].name", ["cpu.b"]),
        ("$.payload.metrics[?name=~'cpu'].value", [0.5, 3]),
        ("payload.meta[?key=image_id].value", ["img"]),
        ("payload.attached[0].server_id", ["s"]),
        ("payload.attached[1].server_id", []),
        ("payload.metrics[*].name", ["cpu.a", "cpu.b"]),
        ("$.payload.metrics.[*].name", ["cpu.a", "cpu.b"]),
        ("$.payload.metrics[0:1].name", ["cpu.a"]),
        ("$.payload.measurements.[*].metric.[*].name", ["bytes"]),
        ("$.payload.sensors.*.id", ["Sensor A", "Sensor B"]),
        ("$.payload.sensors.*.`parent`.`parent`.owner", ["o", "o"]),
        ("$..server_id", ["s"]),
        ("$..user_id", []),
        # Text.
        ("publisher_id.`split(., 0, -1)`", ["compute"]),
        ("publisher_id.`split(., 1, 1)`", ["host-1.example"]),
        ("publisher_id.`split(., 9, -1)`", []),
        ("publisher_id.`sub(/compute/, c)`", ["c.host-1.example"]),
        ("$.payload.host.`sub(/.*/, )` + 'x.' + $.payload.host", ["x.h"]),
        ("'x.' + $.payload.host", ["x.h"]),
        ('$.payload.host + "_" + $.payload.node', ["h_n"]),
        ("$.payload.gone + '_' + $.payload.node", []),
        ("$.payload.host + $.payload.size", []),
        # Arithmetic.
        ("$.payload.metrics[?(@.name='cpu.a')].value * 100", [50.0]),
        ("$.payload.metrics.[*].value * 2", [1.0, 6]),
        ("$.payload.metrics.[*].value + $.payload.sensors.*.v", [1.5, 5]),
        ("$.payload.metrics.[*].value + $.payload.attached[*].server_id", []),
        ("$.payload.size / 4", [1.5]),
        ("$.payload.size - 1 - 2", [3]),
        ("$.payload.size * 2 + 1", [13]),
        ("1 + $.payload.size * 2", [13]),
        ("($.payload.size + 1) * 2", [14]),
        ("$.payload.size * -1", [-6]),
        ("$.payload.host * 100", []),
        # Unions.
        ("payload.gone|payload.size", [6]),
        ("(payload.none)|(payload.host)", [None, "h"]),
        ("ctxt.project_id|ctxt.user_id", [None, "u"]),
    ],
)  # fmt: skip
def test_a_path_finds(path, values):
    compiled = compile_path(path)
    assert [value for _, value in compiled.find(BODY)] == values
    assert compiled.first(BODY) == next((v for v in values if v is not None), None)


ITEMS = [
    {"id": 0, "name": "a", "size": 1, "on": True, "text": "7", "deep": {"er": 1}},
    {"id": 1, "name": "b", "size": 2.5, "on": False, "none": None},
    {"id": 2, "name": "c && d", "size": "3"},
    {"id": 3},
    {"id": 4, "name": None, "size": True},
]


@pytest.mark.parametrize(
    ("test", "ids"),
    [
        ("@.name", [0, 1, 2, 4]),
        ("@.none", [1]),
        ("@.deep.er == 1", [0]),
        ("name == 'a'", [0]),
        ("@.name = 'a'", [0]),
        ("@.name != 'a'", [1, 2, 3, 4]),
        ("@.name >= 'b'", [1, 2]),
        ("@.name < 'b'", [0]),
        ("@.name =~ '^[ab]$'", [0, 1]),
        ("@.size == 1", [0]),
        ("@.size != 1", [1, 2, 3, 4]),
        ("@.size > 1", [1]),
        ("@.size <= 2.5", [0, 1]),
        ("@.size == 3", []),
        ("@.text == 7", []),
        ("@.size == '3'", [2]),
        ("@.on == true", [0]),
        ("@.on != true", [1, 2, 3, 4]),
        ("@.on == 1", []),
        ("@.size == true", [4]),
        ("@.name =~ 'a|b' && @.size > 1", [1]),
        ("@.name != 'a' && @.size", [1, 2, 4]),
        ("@.name == 'c && d'", [2]),
    ],
)  # fmt: skip
def test_a_filter_compares_the_same_on_every_python(test, ids):
    compiled = compile_path(f"$.items[?({test})].id")
    assert [value for _, value in compiled.find({"items": ITEMS})] == ids
    keyed = {"items": {f"k{item['id']}": item for item in ITEMS}}
    assert [value for _, value in compiled.find(keyed)] == ids


@pytest.mark.parametrize(
    ("test", "ids"),
    [
        ("@.name == null", [4]),
        ("@.none != null && @.id > 2", [3, 4]),
        ("@.name == 'a' || @.size == 2.5", [0, 1]),
        ("@.size && @.name == 'a'", [0]),
        ("@.size && @.name", [0, 1, 2, 4]),
    ],
)
def test_what_filters_know_as_of_python_3_11_is_refused_before(test, ids):
    if sys.version_info < (3, 11):
        with pytest.raises(PathError):
            compile_path(f"$.items[?({test})].id")
    else:
        compiled = compile_path(f"$.items[?({test})].id")
        assert [value for _, value in compiled.find({"items": ITEMS})] == ids


@pytest.mark.parametrize(
    "path",
    ["", "  ", "$.payload.[", "$.payload.'x", "a |", "* 3", "$.a.`sub(/(/, x)`", "$.a.`split(x)`",
     "$.a[?(@.b=)]", "$..", "$.a $.b", "((a)", "a + ", "'"],
)  # fmt: skip
def test_what_is_no_path_is_told(path):
    with pytest.raises(PathError):
        compile_path(path)


def test_a_path_that_cannot_be_applied_is_told():
    with pytest.raises(PathError, match="ZeroDivisionError"):
        compile_path("$.payload.size / 0").first(BODY)


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("null", "true", "false", "ctxt", "metadata")
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda v: st.lists(v, max_size=2) | st.dictionaries(NAMES, v, max_size=3),
)


@given(st.lists(NAMES, min_size=1, max_size=4), st.dictionaries(NAMES, VALUES), st.booleans())
def test_a_plain_chain_finds_what_the_library_finds(names, body, rooted):
    text = ("$." if rooted else "") + ".".join(names)
    expected = [(str(m.full_path).removeprefix("$."), m.value) for m in parse(text).find(body)]
    assert compile_path(text).find(body) == expected
    assert compile_path(text).first(body) == (expected[0][1] if expected else None)
