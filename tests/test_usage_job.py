"""Usage through the whole job and the real store: windows, late samples, restatement, a restart."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import resources
from jobs.embedded import EmbeddedJob
from jobs.resources import Resources
from jobs.restate import Restater
from metering.config import Config, Database, Job, Spool, Usage
from metering.restatement import RestateError, RestateScope, SumChange
from store.client import Store
from tests.test_decode import batch, enveloped

MINUTE = 60_000  # ms
NOW = int(time.time() * 1000)
START = NOW // 7_200_000 * 7_200_000 - 10 * 3_600_000  # ms; two hours begin, ten hours ago
DEADLINE = 30.0  # s


@pytest.fixture
def config(store: Store, tmp_path: Path) -> Config:
    return Config(
        database=Database(path=store.database.path, name=store.name),
        spool=Spool(path=tmp_path / "spool"),
        job=Job(tick=0.05, lateness=3600),
        usage=Usage(periods=[3600, 7200]),
    )


class Running:
    """A job over the store; `start` again after `stop` is a restart."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store = config, store
        self.held: Resources
        self.start()

    def start(self) -> None:
        self.held = resources.resources(self.config)
        self.job = EmbeddedJob(self.held)
        self.job.start()

    def stop(self) -> None:
        self.job.stop()
        self.held.close()
        assert self.job.failure is None

    def push(self, *samples: dict[str, Any]) -> None:
        self.held.spool.append([enveloped(batch(*samples))])
        self.until(lambda: self.held.spool.status()["records"] == 0)

    def rows(self, meter: str = "cpu", period: int = 3600) -> list[tuple[Any, ...]]:
        """Return (hours after START, segment, count, usage, covered, restated) of the newest rows."""
        found = self.store.query(
            "SELECT (toUnixTimestamp(start) - {start:Int64}) / 3600, segment, count, usage, covered,"
            f" restated FROM {self.store.name}.usage FINAL"
            " WHERE meter = {meter:String} AND period = {period:UInt32} ORDER BY start, segment",
            {"meter": meter, "period": period, "start": START // 1000},
        )
        return [tuple(row) for row in found.result_rows]

    def until(self, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + DEADLINE
        while not holds():
            assert self.job.failure is None
            assert time.monotonic() < ends, f"not so: {self.rows()}"
            time.sleep(0.02)

    def until_rows(self, expected: list[tuple[Any, ...]], **of: Any) -> None:
        self.until(lambda: self.rows(**of) == expected)


@pytest.fixture
def running(config: Config, store: Store) -> Iterator[Running]:
    job = Running(config, store)
    yield job
    job.stop()


def sample(minute: float, volume: float, name: str = "cpu", **changes: Any) -> dict[str, Any]:
    moment = dt.datetime.fromtimestamp(START / 1000 + minute * 60, dt.timezone.utc)
    return {
        "counter_name": name, "counter_type": "cumulative", "counter_unit": "ns",
        "counter_volume": volume, "resource_id": "vm", "project_id": "p", "user_id": "u",
        "timestamp": moment.isoformat(), "source": "openstack", "resource_metadata": {},
        "message_id": f"{name} {minute} {volume}",
    } | changes  # fmt: skip


def restater(running: Running) -> Restater:
    held = running.held
    return Restater(held.config, held.store, held.restated.put)


def test_growth_is_split_by_hours_and_becomes_final(running: Running) -> None:
    running.push(sample(0, 0), sample(30, 300), sample(90, 900))
    running.until_rows([(0.0, "", 2, 600.0, 3600.0, 0), (1.0, "", 1, 300.0, 1800.0, 0)])
    running.until_rows([(0.0, "", 3, 900.0, 5400.0, 0)], period=7200)
    running.push(sample(300, 3000))
    hours = [(0.0, "", 2, 600.0, 3600.0, 0), (1.0, "", 1, 600.0, 3600.0, 0)]
    running.until(lambda: running.rows()[:2] == hours)
    until = f"SELECT max(until) FROM {running.store.name}.usage_final"
    final = dt.datetime.fromtimestamp(START / 1000 + 3 * 3600, dt.timezone.utc)
    # 300 minutes, less 5 of disorder and 60 of lateness, is in the fourth hour.
    running.until(
        lambda: (
            running.store.query(until).result_rows[0][0].replace(tzinfo=dt.timezone.utc) == final
        )
    )


def test_a_sample_out_of_order_splits_the_interval_again(running: Running) -> None:
    running.push(sample(0, 0), sample(120, 1200))
    running.until_rows(
        [(0.0, "", 1, 600.0, 3600.0, 0), (1.0, "", 0, 600.0, 300.0, 0), (2.0, "", 1, 0.0, 0.0, 0)]
    )
    running.push(sample(60, 1000))
    running.until_rows(
        [(0.0, "", 1, 1000.0, 3600.0, 0), (1.0, "", 1, 200.0, 3600.0, 0), (2.0, "", 1, 0.0, 0.0, 0)]
    )


def test_samples_that_come_while_their_series_is_worked_out_again_count_once(
    running: Running,
) -> None:
    """Their bundle has a tick, so what earlier ones touched is worked out again with them in the store."""
    for minute in range(60):
        running.held.spool.append([enveloped(batch(sample(minute, 10 * minute)))])
        if minute:
            between = sample(minute - 0.5, 10 * minute - 5)
            running.held.spool.append([enveloped(batch(between))])
        time.sleep(0.02)
    running.push(sample(61, 610))
    running.until_rows([(0.0, "", 119, 600.0, 3600.0, 0), (1.0, "", 1, 10.0, 60.0, 0)])


def test_a_late_sample_counts_once_it_is_restated(running: Running) -> None:
    running.push(sample(0, 0), sample(30, 300), sample(300, 3000))
    running.until(
        lambda: [row[3] for row in running.rows()] == [600.0, 600.0, 600.0, 600.0, 600.0, 0.0]
    )
    running.until(
        lambda: (
            running.held.store.query(
                f"SELECT count() FROM {running.store.name}.usage_final"
            ).result_rows[0][0]
            > 0
        )
    )
    before = running.rows()
    running.push(sample(60, 1000))
    late = f"SELECT late FROM {running.store.name}.samples FINAL WHERE volume = 1000"
    assert running.store.query(late).result_rows == [(1,)]
    assert running.rows() == before
    restate = restater(running)
    scope = RestateScope(START, START + 120 * MINUTE, meter="cpu")
    expected = [
        SumChange("cpu", "p", 3600, 3, 1800.0, 2000.0),
        SumChange("cpu", "p", 7200, 1, 1200.0, 1500.0),
    ]
    found = restate(scope, False)
    assert (found.sums, found.rows, found.applied) == (expected, 4, False)
    assert running.rows() == before
    assert restate(scope, True).applied
    assert running.store.query(late).result_rows == [(2,)]
    usage = [1000.0, 500.0, 500.0, 500.0, 500.0, 0.0]
    running.until(lambda: [row[3] for row in running.rows()] == usage)
    assert [row[5] for row in running.rows()] == [1, 1, 1, 0, 0, 0]
    # What derives from it follows.
    running.until(lambda: restate(RestateScope(START, START + 300 * MINUTE), False).rows == 0)


def test_a_restart_goes_on_where_it_was(running: Running) -> None:
    running.push(sample(0, 0), sample(30, 300), sample(70, 700))
    running.stop()
    running.start()
    running.push(sample(80, 900))
    running.until_rows([(0.0, "", 2, 600.0, 3600.0, 0), (1.0, "", 2, 300.0, 1200.0, 0)])


def test_a_change_of_flavor_splits_the_hour(running: Running) -> None:
    small, large = ({"resource_metadata": {"flavor": {"name": name}}} for name in ("s", "l"))
    of = {"counter_type": "gauge", "counter_unit": "instance"}
    running.push(
        sample(0, 1, "instance", **of | small),
        sample(17, 1, "instance", **of | large),
        sample(60, 1, "instance", **of | large),
    )
    running.until_rows(
        [
            (0.0, "flavor=l", 1, 43 / 60, 2580.0, 0),
            (0.0, "flavor=s", 1, 17 / 60, 1020.0, 0),
            (1.0, "flavor=l", 1, 0.0, 0.0, 0),
        ],
        meter="instance",
    )


def test_nothing_is_restated_before_something_is_final(running: Running) -> None:
    with pytest.raises(RestateError, match="nothing to restate"):
        restater(running)(RestateScope(START, START + MINUTE), True)
