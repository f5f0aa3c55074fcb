"""POST /v2/query/samples: filters, orders, bounds."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.client import Store
from tests.api import ALICE, bare_client, client, fault, fill, fleet


def ask(store: Store, filter: Any = None, orderby: Any = None, **body: Any) -> Any:
    if filter is not None:
        body["filter"] = json.dumps(filter)
    if orderby is not None:
        body["orderby"] = json.dumps(orderby)
    headers = body.pop("headers", None)
    return client(store).post("/v2/query/samples", json=body, headers=headers)


def found(response: Any) -> list[str]:
    assert response.status_code == 200, response.get_json()
    return [one["id"] for one in response.get_json()]


CPU, DISK = {"=": {"meter": "cpu"}}, {"=": {"counter_name": "disk.size"}}
VM1 = ["cpu-1", "cpu-4", "cpu-7"]


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        (DISK, ["disk-0"]),
        ({"=": {"resource": "vm1"}}, VM1),
        ({"AND": [{"=": {"project": "p1"}}, {"=": {"user_id": "bob"}}]}, VM1),
        ({"and": [CPU, {">": {"volume": 6}}]}, ["cpu-7", "cpu-8"]),
        ({"and": [CPU, {"=>": {"counter_volume": "7.0"}}]}, ["cpu-7", "cpu-8"]),
        ({"and": [CPU, {"=<": {"volume": 1}}]}, ["cpu-0", "cpu-1"]),
        ({"!=": {"type": "cumulative"}}, ["disk-0"]),
        ({"not": {"=": {"counter_type": "cumulative"}}}, ["disk-0"]),
        ({"or": [DISK, {"Not": {"or": [DISK, {"<": {"volume": 8}}]}}]}, ["cpu-8", "disk-0"]),
        ({"In": {"message_id": ["cpu-2", "disk-0", "wat"]}}, ["cpu-2", "disk-0"]),
        ({"and": [CPU, {"in": {"volume": [3, 4.0]}}]}, ["cpu-3", "cpu-4"]),
        ({"=~": {"meter": "^disk"}}, ["disk-0"]),
        ({"=~": {"metadata.flavor.name": "1$"}}, ["cpu-0", "cpu-3", "cpu-6", "disk-0"]),
        ({"and": [CPU, {"<": {"timestamp": "2026-11-22T10:01:00"}}]}, ["cpu-0", "cpu-1", "cpu-2"]),
        ({"=": {"timestamp": "2026-11-22T12:00:30+02:00"}}, ["disk-0"]),
        ({">=": {"metadata.vcpus": 2}}, VM1),
        ({"=": {"resource_metadata.active": True}}, ["cpu-2", "cpu-5", "cpu-8"]),
        ({"!=": {"metadata.vcpus": 1}}, ["cpu-1", "cpu-2", "cpu-4", "cpu-5", "cpu-7", "cpu-8", "disk-0"]),
        ({"=": {"unit": "GiB' OR '1'='1"}}, []),
    ],
)  # fmt: skip
def test_a_filter_takes_what_it_says(store: Store, filter: Any, ids: list[str]) -> None:
    fleet(store)
    assert sorted(found(ask(store, filter))) == ids


def test_samples_come_in_the_order_and_number_asked_for(store: Store) -> None:
    fleet(store)
    by_volume = ask(store, CPU, [{"user": "DESC"}, {"volume": "asc"}], limit="4")
    assert found(by_volume) == ["cpu-2", "cpu-5", "cpu-8", "cpu-1"]
    assert found(ask(store, CPU, limit=1)) == ["cpu-6"]
    assert len(found(ask(store))) == 10


def test_others_than_admins_get_samples_of_their_own_project(store: Store) -> None:
    fleet(store)
    assert len(found(ask(store, CPU, headers=ALICE))) == 6
    assert len(found(ask(store, {"not": DISK}, headers=ALICE))) == 6
    for filter in (
        {"=": {"project": "p2"}},
        {"or": [DISK, {"in": {"project_id": ["p1", "p2"]}}]},
    ):
        answer = ask(store, filter, headers=ALICE)
        assert fault(answer) == (401, "Not Authorized to access project p2")


def nested(depth: int) -> Any:
    tree: Any = CPU
    for _ in range(depth):
        tree = {"not": tree}
    return tree


@pytest.mark.parametrize(
    ("filter", "why"),
    [
        ([], "each part must be an object with one member"),
        ({}, "each part must be an object with one member"),
        ({"=": {"meter": "a", "unit": "b"}}, "each part must be an object with one member"),
        ({"xor": [CPU, CPU]}, "each part must be an object with one member"),
        ({"~": {"meter": "a"}}, "'~' is no operator"),
        ({"and": [CPU]}, "'and' takes a list of at least two expressions"),
        ({"in": {"meter": "a"}}, "'in' takes a list of values for meter"),
        ({"in": {"meter": []}}, "'in' takes a list of values for meter"),
        ({"=": {"meter": None}}, "the value for meter must be text, a number or a truth value"),
        ({"=": {"meter": ["a"]}}, "the value for meter must be text, a number or a truth value"),
        ({"=": {"volume": "much"}}, "much is no number, as volume is"),
        ({"=~": {"volume": "1"}}, "=~ takes a regular expression, for a field of text, not volume"),
        ({"=~": {"meter": "a" * 1001}}, "the regular expression for meter is too large"),
        ({"in": {"meter": ["x"] * 501}}, "it has more than 500 comparisons"),
        (nested(20), "it is nested deeper than 20"),
    ],
)  # fmt: skip
def test_a_filter_that_is_none_is_refused(filter: Any, why: str) -> None:
    answer = bare_client().post("/v2/query/samples", json={"filter": json.dumps(filter)})
    assert fault(answer) == (400, f"Filter expression not valid: {why}")


def test_a_deep_filter_within_bounds_is_answered(store: Store) -> None:
    fleet(store)
    assert len(found(ask(store, nested(18)))) == 9
    assert len(found(ask(store, {"in": {"resource": ["vm0"] * 500}}))) == 4


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"filter": "{"}, "Filter expression not valid: "),
        ({"filter": {"=": {"meter": "a"}}}, "Filter expression not valid: it must be JSON as text"),
        ({"filter": '{"=": {"timestamp": "soon"}}'}, "Failed to parse the timestamp value soon"),
        ({"filter": '{"=": {"wat": "soon"}}'}, "Filter expression not valid: wat is no field"),
        ({"orderby": "{}"}, "Order-by expression not valid: it must be a list"),
        ({"orderby": '[{"wat": "asc"}]'}, "Order-by expression not valid: wat is no field"),
        ({"orderby": '[{"meter": "up"}]'}, "Order-by expression not valid: the direction of meter"),
        ({"limit": 0}, "Limit must be positive"),
        ({"limit": "x"}, "Invalid input for field/attribute limit. Value: 'x'."),
        ({"limit": True}, "Invalid input for field/attribute limit. Value: 'True'."),
        ({"wat": 1}, "Unknown attribute: wat"),
        ([], "The body must be an object"),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_refused(body: Any, text: str) -> None:
    status, said = fault(bare_client().post("/v2/query/samples", json=body))
    assert status == 400
    assert said.startswith(text)


@pytest.fixture
def api(store: Store) -> FlaskClient:
    return client(store)


_TEXT = st.text(max_size=12)
_VALUE = st.one_of(_TEXT, st.integers(), st.floats(), st.booleans(), st.none())
_FIELD = st.sampled_from(["meter", "type", "volume", "timestamp", "metadata.a", "project"]) | _TEXT
_OP = st.sampled_from(["=", "!=", "<", "=~", "in", "IN", "not"]) | _TEXT
_LEAF = st.dictionaries(_OP, st.dictionaries(_FIELD, _VALUE | st.lists(_VALUE)), max_size=2)
_TREE = st.recursive(
    _LEAF, lambda t: st.dictionaries(st.sampled_from(["and", "or"]), st.lists(t), max_size=1)
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(filter=_TREE, body=st.dictionaries(st.sampled_from(["orderby", "limit"]), _VALUE))
def test_any_filter_is_answered_or_refused(
    api: FlaskClient, filter: Any, body: dict[str, Any]
) -> None:
    sent = json.dumps({"filter": json.dumps(filter), **body})
    answer = api.post("/v2/query/samples", data=sent, content_type="application/json")
    assert answer.status_code in (200, 400), (sent, answer.get_json())


def test_a_regular_expression_that_is_none_is_refused(store: Store) -> None:
    fleet(store)
    answer = ask(store, {"=~": {"meter": "("}})
    assert fault(answer) == (400, "Invalid regular expression, see RE2's syntax")


def test_an_unusual_text_is_only_a_text(store: Store) -> None:
    odd = "a'b\\c\td\n{p0:String}%(x)s\0é☃"
    fill(store, resource_id=[odd, "plain"])
    (one,) = ask(store, {"=": {"resource_id": odd}}).get_json()
    assert one["resource_id"] == odd
