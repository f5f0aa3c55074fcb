"""The number of shards may change with every start: the tables are those of one run with one number."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metering.config import Config, Database, Job, Spool
from store.client import Store
from store.usage import stored_final_until
from tests.stores import migrated
from tests.test_usage_job import MINUTE, START, Running, sample

SHARDS = [4, 64, 1, 7]
PART, STEP = 150, 15  # minutes
VMS = 8
LATENESS = 3600.0  # s
TABLES = (
    "SELECT meter, type, unit, volume, resource_id, project_id, user_id, timestamp, resource_metadata,"
    " message_id, late FROM {name}.v_samples ORDER BY ALL",
    "SELECT * EXCEPT version FROM {name}.v_usage_hourly WHERE state != 'open' ORDER BY ALL",
    "SELECT * EXCEPT version FROM {name}.v_usage_daily WHERE state != 'open' ORDER BY ALL",
    "SELECT reason, payload FROM {name}.v_invalid ORDER BY ALL",
)


def measured(minute: float, vm: int) -> list[dict[str, Any]]:
    """Return a sample of a counter, of which a rate is derived, and one of a level."""
    of = {"resource_id": f"vm-{vm}", "project_id": f"p-{vm % 3}"}
    level = {"counter_type": "gauge", "counter_unit": "MiB", "message_id": f"memory {vm} {minute}"}
    return [
        sample(minute, minute * (vm + 1) * 1e9, **of, message_id=f"cpu {vm} {minute}"),
        sample(minute, 100 + minute % 7 + vm, "memory.usage", **of, **level),
    ]


def part(number: int) -> list[dict[str, Any]]:
    """Return what comes in one run; but for the first there are some of the part before among it."""
    begin = number * PART
    moments: list[float] = [*range(begin, begin + PART, STEP)]
    found = [one for at in moments for vm in range(VMS) for one in measured(at, vm)]
    if number:
        for vm in range(0, VMS, 2):
            found += measured(begin - PART + 7, vm)  # its window is final: late
            found += measured(begin - 26, vm)  # out of order: its window is open
            again, contradicted = measured(begin - STEP, vm)
            found += [again, contradicted | {"counter_volume": 1.0}]
    return found


def final_behind(number: int) -> int:
    """Return up to when (ms) windows are final, once a part is there."""
    reached = START + ((number + 1) * PART - STEP - 5) * MINUTE - round(LATENESS * 1000)
    return reached // (60 * MINUTE) * 60 * MINUTE


def tables_of(store: Store, folder: Path, shards: Sequence[int]) -> list[Any]:
    """Return the tables that the job makes of all parts, started anew where the number changes."""
    configs = [
        Config(
            database=Database(path=store.database.path, name=store.name),
            spool=Spool(path=folder),
            job=Job(tick=0.05, lateness=LATENESS, shards=number),
        )
        for number in shards
    ]
    running = Running(configs[0], store)
    for number, config in enumerate(configs):
        if config != running.config:
            running.stop()
            running.config = config
            running.start()
        running.push(*part(number))
        until = final_behind(number)
        running.until(lambda wanted=until: stored_final_until(store) == wanted)
    running.stop()
    return [store.query(sql.format(name=store.name)).result_rows for sql in TABLES]


def test_the_tables_are_those_of_one_run_whatever_the_numbers_of_shards(
    store: Store, tmp_path: Path
) -> None:
    database = Database(path=store.database.path, name=f"{store.name}_one")
    with migrated(database) as other:
        of_one = tables_of(other, tmp_path / "one", [4] * len(SHARDS))
    of_many = tables_of(store, tmp_path / "many", SHARDS)
    for one, many in zip(of_one, of_many, strict=True):
        assert many == one
    samples, hours, _, invalid = of_one
    late = [row for row in samples if row[-1]]
    assert [len(rows) for rows in (late, invalid)] == [24, 12]
    assert {row[0] for row in samples} == {"cpu", "cpu_util", "memory.usage"}
    assert hours
