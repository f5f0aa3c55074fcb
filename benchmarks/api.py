"""Latencies of the API over a stored month: one client, one connection, one request after another."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

import orjson

from benchmarks.figures import Figure, percentile
from benchmarks.month import CLOSE, POLL, PROJECTS, Month
from benchmarks.scale import Scale
from benchmarks.service import Service
from sources.fleet_instances import build_instances

_HOUR = 3600
_METER = "cpu"

Path = Callable[[int], str]  # of the request of a number


def series_hour(scale: Scale, month: Month) -> Iterator[Figure]:
    """Measure one series' last hour: its samples, and their statistics."""
    ids = [each.id for each in build_instances(scale.instances, seed=1)[:CLOSE]]
    polls = _HOUR // POLL

    def hour(number: int) -> list[tuple[str, str, str]]:
        return [
            ("resource_id", "eq", ids[number % len(ids)]),
            ("timestamp", "ge", _iso(month.end - _HOUR)),
        ]

    def samples(number: int) -> str:
        return _path(f"/v2/meters/{_METER}", hour(number), limit=1000)

    def statistics(number: int) -> str:
        return _path(f"/v2/meters/{_METER}/statistics", hour(number))

    service = month.service()
    told = f"{polls} samples of 1 series, another one each time"
    taken = _timed(service, scale, samples, lambda rows: len(rows) == polls)
    yield from _figures("series_hour", taken, f"GET /v2/meters/{_METER}, {told}; {month.told()}")
    taken = _timed(service, scale, statistics, lambda rows: rows[0]["count"] == polls)
    told = f"GET /v2/meters/{_METER}/statistics over {told}; {month.told()}"
    yield from _figures("series_hour_statistics", taken, told)


def average_by_project(scale: Scale, month: Month) -> Iterator[Figure]:
    """Measure the average of every instance by project, for an hour polled every 60 s."""
    query = [("timestamp", "ge", _iso(month.end - _HOUR))]
    wanted = [("groupby", "project_id"), ("aggregate.func", "avg")]
    path = _path(f"/v2/meters/{_METER}/statistics", query, *wanted)
    groups = min(PROJECTS, scale.instances)
    taken = _timed(month.service(), scale, lambda _: path, lambda rows: len(rows) == groups)
    told = (
        f"GET /v2/meters/{_METER}/statistics, avg by project_id ({groups} projects) for one hour of"
        f" {scale.instances:,} instances, {month.in_last_hour + scale.instances:,} samples; {month.told()}"
    )
    yield from _figures("average_1000_by_project", taken, told)


def month_by_project(scale: Scale, month: Month) -> Iterator[Figure]:
    """Measure a month's statistics of one meter by project."""
    meter = "memory.usage"
    path = _path(
        f"/v2/meters/{meter}/statistics",
        [("timestamp", "ge", _iso(month.start))],
        ("groupby", "project_id"),
    )
    count = scale.instances * scale.hours

    def complete(rows: list[dict[str, Any]]) -> bool:
        return sum(row["count"] for row in rows) == count

    taken = _timed(month.service(), scale, lambda _: path, complete)
    told = (
        f"GET /v2/meters/{meter}/statistics by project_id over {scale.hours} hours of"
        f" {scale.instances:,} instances, {count:,} samples, the same each time, so what windows there"
        f" are is asked once a second; {month.told()}"
    )
    yield from _figures("month_by_project", taken, told)


def _figures(name: str, taken: list[float], told: str) -> Iterator[Figure]:
    for percent in (50, 99):
        value = round(percentile(taken, percent), 2)
        yield Figure(f"{name}_p{percent}_ms", value, "ms", f"least {min(taken):.2f} ms; {told}")


def _path(
    path: str, query: list[tuple[str, str, str]], *more: tuple[str, str], limit: int | None = None
) -> str:
    arguments = [
        (f"q.{part}", value)
        for each in query
        for part, value in zip(("field", "op", "value"), each, strict=True)
    ]
    arguments += more
    if limit:
        arguments.append(("limit", str(limit)))
    return f"{path}?{urlencode(arguments)}"


def _timed(service: Service, scale: Scale, path: Path, right: Callable[[Any], bool]) -> list[float]:
    """Return how long (ms) each request took, to the last byte of its answer. Raises RuntimeError."""
    taken = []
    connection = http.client.HTTPConnection("127.0.0.1", service.api, timeout=120)
    with contextlib.closing(connection):
        for number in range(scale.warm_up + scale.requests):
            start = time.perf_counter()
            connection.request("GET", path(number))
            answer = connection.getresponse()
            body = answer.read()
            taken.append((time.perf_counter() - start) * 1000)
            if answer.status != 200 or not right(orjson.loads(body)):
                raise RuntimeError(f"{path(number)}: {answer.status} {body[:500]!r}")
    return taken[scale.warm_up :]


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None).isoformat()
