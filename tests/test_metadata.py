"""metering.metadata: one canonical text for metadata that are equal by value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.metadata import clean_text, flatten

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
SCALARS |= st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4)
)
METADATA = st.dictionaries(st.text(), JSON, max_size=5)
ANY_TEXT = st.text(st.characters(codec=None, categories=None))
ANYTHING = st.recursive(
    SCALARS | st.integers() | st.floats() | ANY_TEXT,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(ANY_TEXT | st.integers(), v, max_size=3),
)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, "{}"),
        ({"b": 1, "a": "x"}, '{"a":"x","b":1}'),
        ({"flavor": {"name": "m1", "id": {"n": 4}}}, '{"flavor.id.n":4,"flavor.name":"m1"}'),
        ({"empty": {}, "nothing": None, "yes": True}, '{"nothing":null,"yes":true}'),
        ({"n": 1.0, "x": 1.5, "big": 1e300}, '{"big":1e+300,"n":1,"x":1.5}'),
        ({"tags": ["a", {"z": 1, "b": 2.0}]}, '{"tags":"[\\"a\\",{\\"b\\":2,\\"z\\":1}]"}'),
        ({"none": []}, '{"none":"[]"}'),
        ({1: "one", None: 0}, '{"1":"one","null":0}'),
        ({"é": "ü"}, '{"é":"ü"}'),
        ({"huge": 10**30}, '{"huge":1e+30}'),
        ({"huger": 16**400}, '{"huger":"0x1' + "0" * 400 + '"}'),
        ({"lone": "a\ud800b", "k\udfff": 1}, '{"k\\\\udfff":1,"lone":"a\\\\ud800b"}'),
    ],
)
def test_metadata_become_one_flat_text(metadata, text):
    assert flatten(metadata) == text


def test_keys_that_collide_settle_by_value_not_by_order():
    first = {"a": {"b": 1}, "a.b": 2}
    second = {"a.b": 2, "a": {"b": 1}}
    assert flatten(first) == flatten(second) == '{"a.b":2}'


def test_nesting_is_bounded():
    deep: dict = {"leaf": 1}
    for _ in range(500):
        deep = {"d": deep}
    flat = json.loads(flatten(deep))
    assert list(flat) == [".".join(["d"] * 32)]
    assert flat.popitem()[1].startswith('{"d":{"d":')


def test_a_deep_list_is_cut():
    deep: list = []
    for _ in range(500):
        deep = [deep]
    assert '"..."' in json.loads(flatten({"deep": deep}))["deep"]


def shuffled(value):
    """Return the same value with every mapping's order reversed and whole numbers as floats."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@given(METADATA)
def test_equal_by_value_is_equal_text(metadata):
    text = flatten(metadata)
    assert flatten(shuffled(metadata)) == text
    assert all(not isinstance(v, dict | list) for v in json.loads(text).values())


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters=".")), SCALARS, max_size=6
    )
)
def test_flat_metadata_come_back_as_they_are(metadata):
    assert json.loads(flatten(metadata)) == metadata


@given(st.dictionaries(ANY_TEXT | st.integers(), ANYTHING, max_size=4))
def test_nothing_that_python_can_hold_fails(metadata):
    json.loads(flatten(metadata))


@given(ANY_TEXT)
def test_clean_text_is_always_utf8(text):
    assert clean_text(text).encode().decode() == clean_text(text)
