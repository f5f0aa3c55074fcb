"""/v1/usage: rows, groups, pages, forms, what was known at a time, and who may see what."""

import io
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from pyarrow import csv

from store.client import Store
from store.rows import insert_final, insert_usage
from tests.api import ALICE, bare_client, client, fault, ms
from tests.tables import usage_rows

HOUR = 3600
TEN = ms(0) // 1000  # 2026-11-22T10:00:00
NOON = ms(2 * HOUR)  # ms


def hours(**told: Any) -> list[dict[str, Any]]:
    """Return rows of the hours from 10:00 and 11:00 of vm0 and vm1 of p1 and vm2 of p2."""
    return [
        {"resource_id": f"vm{v}", "project_id": ("p1", "p1", "p2")[v], "start": TEN + h * HOUR}
        | {"usage": 10.0 * v + h, "sum": 100.0, "min": 1.0 + v, "max": 5.0 + v, "count": 2}
        | {"unit": "GiB", "meter": "memory", "first": 1.0, "last": 2.0, "cadence": 600_000}
        | {"covered": 1800.0, "version": NOON, "user_id": "alice"}
        | told
        for v in range(3)
        for h in range(2)
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    """Six hourly rows and a daily one; what is before 11:00 is final in both shards."""
    day = hours()[0] | {"period": 86400, "start": TEN - 10 * HOUR, "usage": 99.0}
    insert_usage(store, usage_rows(*hours(), day))
    for shard, until in ((0, ms(HOUR)), (1, ms(2 * HOUR))):
        insert_final(store, [shard], 2, until, NOON)
    return store


@pytest.fixture
def api(filled: Store) -> FlaskClient:
    return client(filled)


def rows(api: FlaskClient, query: str = "", **headers: str) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/usage?{query}", headers=headers)
    assert answer.status_code == 200, answer.get_json()
    found: list[dict[str, Any]] = answer.get_json()["usage"]
    return found


def which(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["resource_id"], row["start"][11:13]) for row in found]


ALL = [(f"vm{v}", h) for v in range(3) for h in ("10", "11")]


def test_a_row_says_all_there_is_to_a_window(api: FlaskClient) -> None:
    assert api.get("/v1/usage?resource=vm1&limit=1").get_json()["usage"] == [
        {
            "meter": "memory",
            "type": "gauge",
            "unit": "GiB",
            "resource_id": "vm1",
            "project_id": "p1",
            "user_id": "alice",
            "segment": "",
            "period": 3600,
            "start": "2026-11-22T10:00:00",
            "end": "2026-11-22T11:00:00",
            "count": 2,
            "first": 1.0,
            "last": 2.0,
            "sum": 100.0,
            "min": 2.0,
            "max": 6.0,
            "average": 20.0,
            "usage": 10.0,
            "covered": 1800.0,
            "expected": 6,
            "complete": 0.5,
            "state": "final",
            "version": NOON,
        }
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ALL),
        ("meter=memory", ALL),
        ("meter=cpu", []),
        ("project=p2", ALL[4:]),
        ("resource=vm1", ALL[2:4]),
        ("user=alice&resource=vm0", ALL[:2]),
        ("user=bob", []),
        ("period=3600", ALL),
        ("period=86400", [("vm0", "00")]),
        ("start=2026-11-22T11:00:00", ALL[1::2]),
        ("start=2026-11-22T10:00:00.001", ALL[1::2]),
        ("end=2026-11-22T11:00:00", ALL[::2]),
        ("end=2026-11-22T11:00:00.001", ALL),
        ("start=2026-11-22T12:00:00%2B02:00&end=2026-11-22T11:00Z", ALL[::2]),
        ("start=1960-01-01&end=2200-01-01", ALL),
        ("only_final=true", ALL[::2]),
        ("only_final=false", ALL),
    ],
)
def test_rows_are_selected(api: FlaskClient, query: str, found: list[Any]) -> None:
    assert which(rows(api, query)) == found


def test_a_row_is_open_until_every_shard_is_final_behind_it(filled: Store) -> None:
    states = [row["state"] for row in rows(client(filled), "resource=vm0")]
    assert states == ["final", "open"]
    insert_final(filled, [0], 2, ms(2 * HOUR), NOON + 1)
    states = [row["state"] for row in rows(client(filled), "resource=vm0")]
    assert states == ["final", "final"]
    insert_final(filled, [0], 3, ms(9 * HOUR), NOON + 2)  # two shards of three say nothing yet
    states = [row["state"] for row in rows(client(filled), "resource=vm0")]
    assert states == ["final", "final"]  # what was final stays so


def test_a_restated_row_says_so(filled: Store) -> None:
    insert_usage(
        filled, usage_rows(hours()[0] | {"restated": 1, "version": NOON + 5, "usage": 7.0})
    )
    (row,) = rows(client(filled), "resource=vm0&end=2026-11-22T11:00:00")
    assert (row["state"], row["usage"], row["version"]) == ("restated", 7.0, NOON + 5)


def test_rows_written_twice_are_there_once(filled: Store) -> None:
    insert_usage(filled, usage_rows(*hours()))
    assert which(rows(client(filled))) == ALL
    assert which(rows(client(filled), "as_of=2026-11-22T12:00:00")) == ALL


def test_an_older_version_written_later_changes_nothing(filled: Store) -> None:
    insert_usage(filled, usage_rows(*hours(usage=-1.0, version=NOON - 1)))
    assert {row["version"] for row in rows(client(filled))} == {NOON}


def test_usage_as_known_at_a_time(filled: Store) -> None:
    api = client(filled)
    first = hours()[0]
    insert_usage(filled, usage_rows(first | {"usage": 1.5, "version": NOON + 60_000}))
    insert_usage(filled, usage_rows(first | {"is_deleted": 1, "version": NOON + 120_000}))
    insert_final(filled, [0], 2, ms(2 * HOUR), NOON + 90_000)
    told = {}
    for time in ("11:59:59.999", "12:00", "12:01", "12:01:30", "12:02"):
        found = rows(api, f"as_of=2026-11-22T{time}&resource=vm0")
        told[time] = [(row["start"][11:13], row["usage"], row["state"]) for row in found]
    assert told == {
        "11:59:59.999": [],
        "12:00": [("10", 0.0, "final"), ("11", 1.0, "open")],
        "12:01": [("10", 1.5, "final"), ("11", 1.0, "open")],
        "12:01:30": [("10", 1.5, "final"), ("11", 1.0, "final")],
        "12:02": [("11", 1.0, "final")],
    }
    assert which(rows(api, "resource=vm0")) == [("vm0", "11")]
    assert which(rows(api, "resource=vm0&as_of=2026-11-22T12:01&only_final=1")) == [("vm0", "10")]


def test_since_when_a_window_is_final_does_not_move(filled: Store) -> None:
    insert_final(filled, [0], 2, ms(HOUR), NOON + 500_000)
    insert_final(filled, [0], 2, ms(0), NOON + 500_000)
    found = rows(client(filled), "resource=vm0&as_of=2026-11-22T12:00")
    assert [row["state"] for row in found] == ["final", "open"]


def test_pages_follow_each_other_whatever_their_size(api: FlaskClient) -> None:
    for limit in range(1, 8):
        seen, marker = [], None
        while True:
            query = f"limit={limit}" + (f"&marker={marker}" if marker else "")
            answer = api.get(f"/v1/usage?{query}").get_json()
            seen += which(answer["usage"])
            assert len(answer["usage"]) <= limit
            marker = answer["next"]
            if marker is None:
                break
        assert seen == ALL


def test_groups_are_paged_too(api: FlaskClient) -> None:
    query = "/v1/usage?groupby=project_id&groupby=start&limit=3"
    one = api.get(query)
    two = api.get(f"{query}&marker={one.get_json()['next']}")
    found = one.get_json()["usage"] + two.get_json()["usage"]
    assert [(row["project_id"], row["start"][11:13], row["usage"]) for row in found] == [
        ("p1", "10", 10.0),
        ("p1", "11", 12.0),
        ("p2", "10", 20.0),
        ("p2", "11", 21.0),
    ]
    assert two.get_json()["next"] is None


def test_the_header_link_leads_to_the_next_page(api: FlaskClient) -> None:
    answer = api.get("/v1/usage?meter=memory&limit=4")
    link = answer.headers["Link"]
    assert link.startswith("<http://localhost/v1/usage?meter=memory&limit=4&marker=")
    assert link.endswith('>; rel="next"')
    following = api.get(link[1:].split(">")[0])
    assert which(following.get_json()["usage"]) == ALL[4:]
    assert "Link" not in following.headers


def test_a_group_adds_up_and_says_what_of(api: FlaskClient) -> None:
    assert rows(api, "groupby=project_id&project=p1") == [
        {
            "project_id": "p1",
            "meter": "memory",
            "type": "gauge",
            "unit": "GiB",
            "period": 3600,
            "start": "2026-11-22T10:00:00",
            "end": "2026-11-22T12:00:00",
            "rows": 4,
            "count": 8,
            "sum": 400.0,
            "min": 1.0,
            "max": 6.0,
            "average": 11.0,
            "usage": 22.0,
            "covered": 7200.0,
            "state": "open",
            "version": NOON,
        }
    ]


def test_what_cannot_be_added_is_never_added(filled: Store) -> None:
    other = hours(unit="MiB", meter="disk", type="cumulative", covered=60.0)
    insert_usage(filled, usage_rows(*other, *hours(meter="x", type="delta", covered=None)))
    found = rows(client(filled), "groupby=segment")
    keys = ("meter", "type", "unit", "rows", "covered", "average", "usage")
    assert [tuple(row[key] for key in keys) for row in found] == [
        ("disk", "cumulative", "MiB", 6, 360.0, None, 63.0),
        ("memory", "gauge", "GiB", 6, 10800.0, 21.0, 63.0),
        ("x", "delta", "GiB", 6, None, None, 63.0),
    ]


def test_a_group_is_restated_where_one_row_is_and_none_is_open(filled: Store) -> None:
    insert_usage(filled, usage_rows(hours()[0] | {"restated": 1, "version": NOON + 1}))
    found = rows(client(filled), "groupby=resource_id&end=2026-11-22T11:00")
    assert [row["state"] for row in found] == ["restated", "final", "final"]


def test_groups_hold_final_windows_alone_where_asked(api: FlaskClient) -> None:
    (row,) = rows(api, "groupby=meter&only_final=1")
    assert (row["rows"], row["end"], row["state"]) == (3, "2026-11-22T11:00:00", "final")


def test_an_unknown_owner_is_null(filled: Store) -> None:
    insert_usage(filled, usage_rows({"meter": "m", "project_id": "", "user_id": ""}))
    (row,) = rows(client(filled), "meter=m")
    assert (row["project_id"], row["user_id"]) == (None, None)
    (row,) = rows(client(filled), "meter=m&groupby=project_id")
    assert row["project_id"] is None


def test_csv_has_a_header_and_empty_for_none(api: FlaskClient) -> None:
    answer = api.get("/v1/usage?limit=2&period=86400", headers={"Accept": "text/csv"})
    assert answer.content_type.startswith("text/csv")
    header, line = answer.text.splitlines()
    assert header.replace('"', "").split(",")[:3] == ["meter", "type", "unit"]
    assert "2026-11-22T00:00:00" in line
    table = csv.read_csv(io.BytesIO(answer.data))
    assert table["usage"].to_pylist() == [99.0]


def test_arrow_holds_the_same_rows_with_their_types(api: FlaskClient) -> None:
    kind = "application/vnd.apache.arrow.stream"
    answer = api.get("/v1/usage?limit=5", headers={"Accept": kind})
    assert answer.content_type == kind
    table = pa.ipc.open_stream(answer.data).read_all()
    assert table.schema.field("start").type == pa.timestamp("s", "UTC")
    assert table.num_rows == 5
    found = rows(api, "limit=5")
    assert table["usage"].to_pylist() == [row["usage"] for row in found]
    assert table.column_names == list(found[0])
    assert "Link" in answer.headers


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
    ],
)
def test_the_form_that_is_liked_best_is_answered(api: FlaskClient, accept: str, kind: str) -> None:
    answer = api.get("/v1/usage", headers={"Accept": accept})
    assert answer.content_type.split(";")[0] == kind


def test_an_empty_answer_has_its_columns(store: Store) -> None:
    assert client(store).get("/v1/usage").get_json() == {"usage": [], "next": None}
    answer = client(store).get("/v1/usage", headers={"Accept": "text/csv"})
    assert answer.text.count("\n") == 1


def test_others_than_admins_see_their_own_project(api: FlaskClient) -> None:
    assert which(rows(api, "", **ALICE)) == ALL[:4]
    assert which(rows(api, "project=p1", **ALICE)) == ALL[:4]
    assert fault(api.get("/v1/usage?project=p2", headers=ALICE))[0] == 401
    (row,) = rows(api, "groupby=meter", **ALICE)
    assert row["rows"] == 4


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("period=60", "Invalid input for field/attribute period. Value: '60'. usage.periods has these, in seconds: 3600, 86400"),
        ("period=x", "Invalid input for field/attribute period. Value: 'x'. unable to convert to int"),
        ("start=x", "Invalid input for field/attribute start. Value: 'x'. invalid timestamp format"),
        ("end=", "Invalid input for field/attribute end. Value: ''. invalid timestamp format"),
        ("as_of=soon", "Invalid input for field/attribute as_of. Value: 'soon'. invalid timestamp format"),
        ("start=2026-01-02&end=2026-01-02", "Invalid input for field/attribute end. Value: '2026-01-02'. it must be later than start"),
        ("only_final=maybe", "Invalid input for field/attribute only_final. Value: 'maybe'. unable to convert to bool"),
        ("groupby=unit", 'Unknown argument: "unit": groupby takes meter, project_id, user_id, resource_id, segment, start'),
        ("colour=red", 'Unknown argument: "colour"'),
        ("limit=0", "Limit must be positive"),
        ("marker=x", "Invalid input for field/attribute marker. Value: 'x'. it is `next` of an answer to the same question"),
        ("marker=WzFd", "Invalid input for field/attribute marker. Value: 'WzFd'. it is `next` of an answer to the same question"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_question_is_said(query: str, text: str) -> None:
    assert fault(bare_client().get(f"/v1/usage?{query}")) == (400, text)


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/usage/gaps", "/v1/late"])
def test_other_forms_are_not_answered(path: str) -> None:
    status, text = fault(bare_client().get(path, headers={"Accept": "text/html"}))
    assert (status, "text/csv" in text) == (406, True)


def test_a_question_over_its_memory_says_which_bound(store: Store) -> None:
    store.command(
        f"INSERT INTO {store.name}.usage (meter, resource_id, period, start)"
        " SELECT 'cpu', toString(number), 3600, toDateTime(1795341600) FROM numbers(300000)"
    )
    api = client(store, api={"query_memory": 1024**2})
    status, text = fault(api.get("/v1/usage?groupby=resource_id"))
    assert (status, text.startswith("the query took more memory than")) == (400, True)
