"""/v1/usage/gaps and /v1/late: what is missing, and what came too late."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from store.client import Store
from store.rows import insert_latest, insert_samples, insert_usage, sample_rows
from tests.api import ALICE, bare_client, client, fault, ms
from tests.tables import samples, usage_rows

MINUTE = 60
HOUR = 3600
TEN_TO_NOON = "start=2026-11-22T10:00&end=2026-11-22T12:00"


def polled(store: Store, *seconds: float, late: int = 0, base: float = 0.0, **told: Any) -> None:
    """Put samples into the store, so many seconds after 10:00, which are their volume above `base`."""
    plain: dict[str, Any] = {"meter": "memory", "project_id": "p1", "resource_id": "vm0"}
    columns = {name: [value] * len(seconds) for name, value in (plain | told).items()}
    columns |= {"timestamp": [ms(at) for at in seconds]}
    columns |= {"volume": [base + at for at in seconds]}
    table = samples(**columns)
    store.insert("samples", sample_rows(table, late)) if late else insert_samples(store, table)
    insert_latest(store, table)


def cadence(store: Store, seconds: int, **told: Any) -> None:
    """Put in the usage row of the hour from 10:00 of a series that is polled so often."""
    row = {"meter": "memory", "project_id": "p1", "resource_id": "vm0", "start": ms(0) // 1000}
    insert_usage(store, usage_rows(row | {"cadence": seconds * 1000} | told))


def gaps(store: Store, query: str = TEN_TO_NOON, **headers: str) -> list[dict[str, Any]]:
    answer = client(store).get(f"/v1/usage/gaps?{query}", headers=headers)
    assert answer.status_code == 200, answer.get_json()
    found: list[dict[str, Any]] = answer.get_json()["gaps"]
    return found


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, str, int | None]]:
    """Return from, to, why and missing; times without their date."""
    return [(g["from"][11:], g["to"][11:], g["why"], g["missing"]) for g in found]


def every(step: int, start: int, end: int) -> range:
    return range(start, end, step)


def test_a_series_seen_throughout_has_no_gaps(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, -HOUR, 3 * HOUR))
    assert gaps(store) == []


def test_neighbours_farther_apart_than_the_cadence_lets_expect_are_a_gap(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, -HOUR, 1800), *every(600, 3000, 3 * HOUR))
    assert gaps(store) == [
        {
            "meter": "memory",
            "resource_id": "vm0",
            "project_id": "p1",
            "from": "2026-11-22T10:20:00",
            "to": "2026-11-22T10:50:00",
            "why": "no_samples",
            "missing": 2,
        }
    ]


def test_half_a_cadence_more_is_not_a_gap_yet(store: Store) -> None:
    cadence(store, 600)
    polled(store, -600, 0, 900, *every(600, 1500, 3 * HOUR))
    assert gaps(store) == []


def test_a_gap_is_told_as_far_as_it_lies_in_the_range(store: Store) -> None:
    cadence(store, 600)
    polled(store, -HOUR, 1800, *every(600, 2400, HOUR + 1800), 4 * HOUR)
    assert told(gaps(store)) == [
        ("10:00:00", "10:30:00", "no_samples", 2),
        ("11:20:00", "12:00:00", "no_samples", 3),
    ]


def test_a_range_within_a_gap_is_one_gap(store: Store) -> None:
    polled(store, -HOUR, 4 * HOUR)
    assert told(gaps(store)) == [("10:00:00", "12:00:00", "no_samples", None)]


def test_a_series_that_did_not_go_on_is_silent(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, -HOUR, HOUR))
    assert told(gaps(store)) == [("10:50:00", "12:00:00", "silent", 6)]


def test_one_whose_cadence_is_not_known_is_silent_after_max_gap(store: Store) -> None:
    polled(store, 0, resource_id="long")
    polled(store, HOUR, resource_id="short")  # 3900 s are not over at 12:00
    found = gaps(store)
    assert [row["resource_id"] for row in found] == ["long"]
    assert told(found) == [("10:00:00", "12:00:00", "silent", None)]


def test_nothing_is_expected_of_a_series_before_its_first_sample_or_after_its_last_range(
    store: Store,
) -> None:
    cadence(store, 600)
    polled(store, *every(600, HOUR + 1800, 3 * HOUR))
    polled(store, -4 * HOUR, resource_id="gone")
    polled(store, 5 * HOUR, resource_id="to come")
    assert gaps(store) == []


def test_nothing_is_expected_behind_the_end_of_a_resource(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, 0, 1800))
    polled(store, 1800, metadata='{"event_type":"compute.instance.delete.end"}')
    assert gaps(store) == []


def test_what_ends_a_resource_may_be_said_by_meter(store: Store) -> None:
    end = '{"event_type":"volume.detach.end"}'
    for meter in ("memory", "disk.size"):
        cadence(store, 600, meter=meter)
        polled(store, *every(600, 0, 1800), meter=meter)
        polled(store, 1800, meter=meter, metadata=end)
    usage = {"ends": [], "ends_by_meter": {"disk.*": ["*.detach.end"]}}
    answer = client(store, usage=usage).get(f"/v1/usage/gaps?{TEN_TO_NOON}")
    assert [row["meter"] for row in answer.get_json()["gaps"]] == ["memory"]


def test_deltas_are_not_expected_at_any_time(store: Store) -> None:
    polled(store, -HOUR, 0, 3 * HOUR, type="delta", message_id="x")
    assert gaps(store) == []


def test_a_counter_that_fell_was_reset(store: Store) -> None:
    cadence(store, 600, type="cumulative")
    polled(store, *every(600, 0, 1800), type="cumulative")
    polled(store, *every(600, 1800, 3 * HOUR), type="cumulative", base=-2000.0)
    assert told(gaps(store)) == [("10:20:00", "10:30:00", "reset", None)]


def test_a_gauge_that_fell_was_not(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, 0, 1800))
    polled(store, *every(600, 1800, 3 * HOUR), base=-2000.0)
    assert gaps(store) == []


def test_late_samples_are_missing_from_their_window_until_restated(store: Store) -> None:
    cadence(store, 600)
    polled(store, *every(600, 0, 1800), *every(600, 3600, 3 * HOUR))
    polled(store, 1800, 2400, 3000, late=1)
    assert told(gaps(store)) == [
        ("10:00:00", "11:00:00", "late", 3),
        ("10:20:00", "11:00:00", "no_samples", 3),
    ]
    polled(store, 1800, 2400, late=2)
    assert told(gaps(store)) == [
        ("10:00:00", "11:00:00", "late", 1),
        ("10:40:00", "11:00:00", "no_samples", 1),
    ]
    polled(store, 3000, late=2)
    assert gaps(store) == []


def test_a_series_of_late_samples_alone_has_only_these(store: Store) -> None:
    polled(store, 60, late=1)
    assert told(gaps(store)) == [("10:00:00", "11:00:00", "late", 1)]


@pytest.fixture
def several(store: Store) -> Store:
    """Three series of two projects, each silent since 10:00."""
    polled(store, 0, resource_id="a")
    polled(store, 0, resource_id="b", meter="disk")
    polled(store, 0, resource_id="c", project_id="p2")
    return store


@pytest.mark.parametrize(
    ("query", "resources"),
    [
        ("", ["b", "a", "c"]),
        ("&meter=disk", ["b"]),
        ("&project=p2", ["c"]),
        ("&resource=a", ["a"]),
        ("&user=u", ["b", "a", "c"]),
        ("&user=x", []),
    ],
)
def test_gaps_are_selected(several: Store, query: str, resources: list[str]) -> None:
    found = gaps(several, TEN_TO_NOON + query)
    assert [gap["resource_id"] for gap in found] == resources


def test_gaps_are_paged(several: Store) -> None:
    seen, marker = [], ""
    for _ in range(3):
        answer = client(several).get(f"/v1/usage/gaps?{TEN_TO_NOON}&limit=1{marker}").get_json()
        seen += [gap["resource_id"] for gap in answer["gaps"]]
        marker = f"&marker={answer['next']}"
    assert (seen, answer["next"]) == (["b", "a", "c"], None)


def test_others_than_admins_see_the_gaps_of_their_own_project(several: Store) -> None:
    assert [gap["resource_id"] for gap in gaps(several, **ALICE)] == ["b", "a"]
    answer = client(several).get("/v1/usage/gaps?project=p2", headers=ALICE)
    assert fault(answer)[0] == 401


def test_what_is_to_come_is_not_missing_yet(store: Store) -> None:
    assert gaps(store, "start=2200-01-01") == []
    assert gaps(store, "") == []


@pytest.mark.parametrize("query", ["start=x", "end=x", "limit=0", "marker=x", "period=3600"])
@pytest.mark.parametrize("path", ["/v1/usage/gaps", "/v1/late"])
def test_a_bad_question_is_refused(path: str, query: str) -> None:
    assert fault(bare_client().get(f"{path}?{query}"))[0] == 400


@pytest.fixture
def api(store: Store) -> FlaskClient:
    """Two late samples, one restated since, of two projects; and one in time."""
    polled(store, 60)
    polled(store, 90.5, late=1, unit="MiB")
    polled(store, HOUR + 60, late=2, resource_id="vm2", project_id="p2")
    return client(store)


def late(api: FlaskClient, query: str = "", **headers: str) -> list[str]:
    answer = api.get(f"/v1/late?{query}", headers=headers).get_json()
    return [row["resource_id"] for row in answer["late"]]


def test_a_late_sample_says_which_window_it_missed(api: FlaskClient) -> None:
    assert api.get("/v1/late?limit=1").get_json()["late"] == [
        {
            "meter": "memory",
            "type": "gauge",
            "unit": "MiB",
            "volume": 90.5,
            "resource_id": "vm0",
            "project_id": "p1",
            "user_id": "u",
            "timestamp": "2026-11-22T10:01:30.500000",
            "recorded_at": "2026-11-18T11:06:40",
            "window_start": "2026-11-22T10:00:00",
            "window_end": "2026-11-22T11:00:00",
            "state": "late",
        }
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["vm0", "vm2"]),
        ("restated=true", ["vm2"]),
        ("restated=0", ["vm0"]),
        ("meter=cpu", []),
        ("project=p2", ["vm2"]),
        ("start=2026-11-22T10:30", ["vm2"]),
        ("end=2026-11-22T10:30", ["vm0"]),
        ("limit=1", ["vm0"]),
    ],
)
def test_late_samples_are_selected(api: FlaskClient, query: str, found: list[str]) -> None:
    assert late(api, query) == found


def test_late_samples_are_paged(api: FlaskClient) -> None:
    marker = api.get("/v1/late?limit=1").get_json()["next"]
    assert late(api, f"limit=1&marker={marker}") == ["vm2"]


def test_a_late_sample_that_was_restated_since_says_so_in_one_row(
    api: FlaskClient, store: Store
) -> None:
    polled(store, 90.5, late=2, unit="MiB")
    assert [row["state"] for row in api.get("/v1/late").get_json()["late"]] == ["restated"] * 2
    assert late(api, "restated=false") == []


def test_others_than_admins_see_late_samples_of_their_own_project(api: FlaskClient) -> None:
    assert late(api, **ALICE) == ["vm0"]


def test_late_samples_come_as_csv(api: FlaskClient) -> None:
    text = api.get("/v1/late", headers={"Accept": "text/csv"}).text
    assert "variant" not in text
    assert '"2026-11-22T10:01:30.500"' in text
