"""Raw payloads by HTTP: spooled line by line before they are answered."""

from sources.spool import SpoolFullError
from store.client import Store
from tests.api import ALICE, RecordingSpool, client, fault

LINES = {"Content-Type": "application/x-ndjson"}


def test_each_line_is_spooled_as_it_is(store: Store) -> None:
    spool = RecordingSpool()
    body = b'{"a": 1}\n\n  \nno json \xff\n{"b": 2}'
    answer = client(store, spool).post("/v1/payloads", data=body, headers=LINES)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 3})
    assert spool.bodies == [b'{"a": 1}', b"no json \xff", b'{"b": 2}']


def test_nothing_is_accepted_of_an_empty_body(store: Store) -> None:
    answer = client(store).post("/v1/payloads", data=b"\n", headers=LINES)
    assert (answer.status_code, answer.get_json()) == (201, {"accepted": 0})


def test_only_an_admin_may_send_them(store: Store) -> None:
    spool = RecordingSpool()
    answer = client(store, spool).post("/v1/payloads", data=b"{}", headers=LINES | ALICE)
    assert fault(answer) == (401, "Not Authorized to access project p1")
    assert spool.bodies == []


def test_another_content_type_is_refused(store: Store) -> None:
    answer = client(store).post("/v1/payloads", json={})
    assert fault(answer) == (415, "The body must be application/x-ndjson: one JSON object a line")


def test_a_full_spool_says_so_and_takes_nothing(store: Store) -> None:
    full = RecordingSpool(SpoolFullError("the spool is full"))
    answer = client(store, full).post("/v1/payloads", data=b"{}", headers=LINES)
    assert fault(answer) == (503, "the spool is full")


def test_a_body_over_the_bound_is_refused(store: Store) -> None:
    bounded = client(store, api={"max_body": 1024})
    answer = bounded.post("/v1/payloads", data=b"x" * 1025, headers=LINES)
    assert fault(answer)[0] == 413
