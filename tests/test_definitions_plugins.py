"""metering.definitions.plugins, as a definition uses them."""

import pytest

from metering.definitions.fields import Field, FieldError


def field(fields, name, **parameters):
    return Field({"fields": fields, "plugin": {"name": name, "parameters": parameters}})


def of(payload):
    return {"payload": payload}


def test_split_gives_a_segment():
    body = of({"host": "a.b.c"})
    assert field("payload.host", "split").first(body) == "a"
    assert field("payload.host", "split", segment=1, max_split=1).first(body) == "b.c"
    assert field("payload.host", "split", segment=-1).first(body) == "c"
    assert field("payload.host", "split", separator="/", segment=1).first(body) is None
    assert Field({"fields": "payload.gone", "plugin": "split"}).first(body) is None


def test_bitfield_sets_a_bit_for_each_flag():
    flags = [
        {"path": "payload.on", "bit": 0, "value": True},
        {"path": "payload.state", "bit": 1, "value": "active"},
        {"path": "$.payload.there", "bit": 2},
        {"path": "payload.null", "bit": 3},
    ]
    fields = ["payload.on", "payload.state", "payload.there", "payload.null"]
    bits = field(fields, "bitfield", initial_bitfield=16, flags=flags)
    assert bits.first(of({"on": True, "state": "active", "there": 0})) == 16 + 1 + 2 + 4
    assert bits.first(of({"on": False, "state": "x", "null": None})) == 16
    assert bits.first({}) == 16


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2026-11-22 10:00:00", "2026-11-22T11:00:00.5Z", 3600.5),
        ("2026-11-22T11:00:00Z", "2026-11-22T10:00:00Z", 3600.0),
        ("", "2026-11-22T10:00:00Z", None),
        (None, "2026-11-22T10:00:00Z", None),
        (1, 2, None),
    ],
)
def test_timedelta_is_the_seconds_between(start, end, seconds):
    between = Field({"fields": ["payload.a", "payload.b"], "plugin": "timedelta"})
    assert between.first(of({"a": start, "b": end})) == seconds


def test_map_gives_what_a_value_stands_for():
    table = {"Volts": "V", "ok": 1}
    assert field("payload.x", "map", values=table).first(of({"x": "Volts"})) == "V"
    assert field("payload.x", "map", values=table).first(of({"x": "volts"})) is None
    assert field("payload.x", "map", values=table, default=9).first(of({"x": [1]})) == 9
    folded = field("payload.x", "map", values=table, case_sensitive=False)
    assert folded.first(of({"x": "OK"})) == 1


def test_slug_is_lower_case_without_spaces():
    assert field("payload.x", "slug").all(of({"x": "DIMM GH (0x3b)"})) == ["dimm_gh_(0x3b)"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"fields": "payload.x", "plugin": "sum"}, "no plugin named 'sum'"),
        ({"fields": "payload.x", "plugin": {"parameters": {}}}, "needs a name"),
        ({"fields": "payload.x", "plugin": {"name": "map"}}, "values must be a mapping"),
        ({"fields": "payload.x", "plugin": {"name": "split", "parameters": [1]}}, "a mapping"),
        (
            {"fields": "payload.x", "plugin": {"name": "split", "parameters": {"segment": "x"}}},
            "segment must be a whole number",
        ),
        (
            {"fields": "payload.x", "plugin": {"name": "split", "parameters": {"at": 1}}},
            "unexpected keyword",
        ),
        (
            {"fields": "a", "plugin": {"name": "bitfield", "parameters": {"flags": [{"bit": 1}]}}},
            "path and bit",
        ),
        ({"plugin": "split"}, "needs fields"),
        ({"fields": []}, "must be a JSONPath"),
        ({"fields": True}, "must be a JSONPath"),
    ],
)
def test_a_wrong_plugin_is_told(spec, reason):
    with pytest.raises(FieldError, match=reason):
        Field(spec)
